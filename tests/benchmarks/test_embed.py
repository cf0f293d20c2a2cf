"""The benchmark of embedding, small: every way is measured, nothing is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_way_is_measured(cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.embed import run
    from benchmarks.embed.labelled import LABELLED
    from benchmarks.embed.peers import is_installed
    from benchmarks.embed.point import COMMANDS, HOW, IN_MEMORY

    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    words = ["--data", str(cells_file), "--out", str(out), "--cells", "2500", "--sparse-cells", "3000"]
    with pytest.raises(SystemExit) as ended:
        run.main([*words, "--sparse-genes", "5", "--gnn-cells", "2500", "--rounds", "1", "--scratch", str(scratch)])
    assert not ended.value.code, capsys.readouterr().err
    frame = pd.read_csv(out / "embed.csv")
    assert frame["how"].tolist() == [*IN_MEMORY, *COMMANDS, COMMANDS[0], COMMANDS[2]]
    assert set(HOW) == {*IN_MEMORY, *COMMANDS, *LABELLED}
    assert frame["status"].tolist() == ["ok" if is_installed(how) else "not installed" for how in frame["how"]]
    measured = frame[frame["status"] == "ok"]
    assert (measured[["cells_per_second", "peak_mb", "start_mb"]] > 0).all(axis=None)
    assert frame["genes"].tolist()[-1] == 5
    assert "| scgraph embed gnn-linear | 3,000 | 5 |" in (out / "embed.md").read_text()
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_commands_that_need_labels_have_rows_of_their_own(
    cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.embed import run
    from benchmarks.embed.labelled import LABELLED
    from benchmarks.embed.point import HOW

    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    words = ["--data", str(cells_file), "--label", "cell_type", "--out", str(out), "--cells", "300"]
    with pytest.raises(SystemExit) as ended:
        run.main([*words, "--sparse-cells", "400", "--sparse-genes", "20", "--scratch", str(scratch)])
    assert not ended.value.code, capsys.readouterr().err
    frame = pd.read_csv(out / "embed.csv")
    assert frame["how"].tolist() == [*LABELLED, *LABELLED]
    assert frame["measured_cells"].tolist() == [300] * len(LABELLED) + [400] * len(LABELLED)
    assert (frame[["cells_per_second", "peak_mb", "start_mb"]] > 0).all(axis=None)
    page = (out / "embed.md").read_text()
    assert "| scgraph annotate | 400 | 20 |" in page
    assert [how for how in HOW if f"- {how}: " in page] == list(LABELLED)
    assert list(scratch.iterdir()) == []


def test_files_of_one_pool_share_a_panel() -> None:
    from benchmarks.embed.labelled import BENCH
    from benchmarks.embed.page import draw_embed

    files = ((10_000, 721), (100_000, 713), (10_000, 60))
    rows = [{"how": BENCH, "status": "ok", "cells": cells, "genes": genes, "peak_mb": 1e3} for cells, genes in files]
    labels = [axis.get_xlabel() for axis in draw_embed(rows).axes]
    assert labels == [f"cells of the file, about {genes} genes each" for genes in (700, 60)]


def test_the_files_carry_the_labels_of_their_cells(cells_file: Path, tmp_path: Path) -> None:
    from benchmarks.embed.cells import LABEL, write_cells
    from scgraph.data import read_cells

    pool, plain = (read_cells(cells_file, label=label) for label in ("donor", None))
    write_cells(pool, 200, 0, tmp_path / "labelled.h5ad")
    write_cells(plain, 200, 0, tmp_path / "plain.h5ad")
    drawn, same = read_cells(tmp_path / "labelled.h5ad", label=LABEL), read_cells(tmp_path / "plain.h5ad")
    assert (drawn.matrix != same.matrix).nnz == 0
    donors = {row.tobytes(): donor for row, donor in zip(pool.matrix.toarray(), pool.labels, strict=True)}
    assert drawn.labels.tolist() == [donors[row.tobytes()] for row in drawn.matrix.toarray()]


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", ["scvi-tools SCVI", "scvi-tools SCVI, batches of 2,048"])
def test_a_peer_takes_every_cell_to_a_vector(cells_file: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    from benchmarks.embed import peers

    pytest.importorskip(peers.PEERS[how].package)
    monkeypatch.setattr(peers, "CELLS", 50)
    assert sum(peers.PEERS[how].prepare(cells_file)()) == 50


def test_a_peer_that_is_not_installed_has_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.embed.page import embed_markdown
    from benchmarks.embed.peers import PEERS, Peer, is_installed

    peer = next(iter(PEERS))
    monkeypatch.setitem(PEERS, peer, Peer("no_such_package", "", PEERS[peer].prepare))
    assert not is_installed(peer)
    assert is_installed("gnn")
    row = {"how": peer, "cells": 9, "genes": 8, "threads": 1, "round": 0, "status": "not installed"}
    assert f"| {peer} | 8 | not installed | - | not installed |" in embed_markdown([row], 1, [])


def test_bad_input_is_refused(cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.embed import run

    for words, said in (
        (["--cells", "many"], "is no positive number"),
        (["--only", "umap"], "--only: no row is called 'umap'. There are: scgraph embed gnn-linear,"),
    ):
        with pytest.raises(SystemExit) as ended:
            run.main(["--data", str(cells_file), "--out", str(tmp_path / "out"), *words])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
