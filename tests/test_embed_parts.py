"""Several processes share one `embed`, a part of the cells each: joined, they are the bytes of one process."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pytest

import scgraph
from scgraph.api import embed_file
from scgraph.cli import main
from scgraph.data import prepare
from scgraph.errors import ConfigError, OutputError
from scgraph.train import partial
from scgraph.train.distributed.world import torchrun_environment
from scgraph.train.parts import Part
from tests.embedding import cells_in_blocks, embed_killed_after
from tests.forking import Forked
from tests.forms import write_zarr

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def model(quick_models: Path) -> Path:
    return quick_models / "gnn-linear"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cells of which some have no count, in a file that is read a few at a time, each marked when it is written."""
    adata = cells_in_blocks(monkeypatch, [0, 29, 30, 31, 88, 89])
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many cells this process has embedded, a number a block."""
    seen: list[int] = []
    embed_store = scgraph.train.vectors.Embedder.__call__

    def counted(self: Any, store: Any) -> Any:
        seen.append(len(store))
        return embed_store(self, store)

    monkeypatch.setattr("scgraph.train.vectors.Embedder.__call__", counted)
    return seen


def other(path: Path, change: Callable[[ad.AnnData], None]) -> Path:
    adata = ad.read_h5ad(path)
    change(adata)
    adata.write_h5ad(path.with_name("other.h5ad"))
    return path.with_name("other.h5ad")


@pytest.mark.parametrize("of", [1, 2, 7, 100])
def test_parts_are_all_cells_once_and_equal_in_size(of: int) -> None:
    rows = [Part.parse(f"{number}/{of}").rows(90) for number in range(1, of + 1)]
    assert [row for one in rows for row in one] == list(range(90))
    sizes = [len(one) for one in rows]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["0/8", "9/8", "2", "a/b", "-1/8", "1/0", "2/8/3", "²/8"])
def test_what_is_no_part_is_refused(text: str, model: Path, source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is no part.*2/8"):
        embed_file(source, model, out=tmp_path / "out.h5ad", part=text)


@pytest.mark.parametrize("option", ["out", "vectors"])
def test_processes_of_which_one_is_killed_are_joined_to_the_same_bytes(
    model: Path, source: Path, tmp_path: Path, option: str, computed: list[int]
) -> None:
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    embed_file(source, model, **{option: whole})
    assert sum(computed) == 84
    before = sorted(path.name for path in tmp_path.iterdir())
    parts = [f"{number}/4" for number in range(1, 4)]  # and one that never began
    running = [
        embed_killed_after(11 if part == "2/4" else 1000, source, model, part=part, **{option: out}) for part in parts
    ]
    assert [one.wait() for one in running] == [0, -signal.SIGKILL, 0]
    assert not out.exists()
    states = [json.loads((Part.parse(part).place(out) / "progress.json").read_text()) for part in parts]
    assert [state["cells"] for state in states] == [22, states[1]["cells"], 22]
    assert 11 <= states[1]["cells"] < 23
    computed.clear()
    said: list[str] = []
    embed_file(source, model, **{option: out}, say=said.append)
    assert sum(computed) <= 90 - sum(state["cells"] for state in states)  # what is there is not computed again
    assert any(f"4 parts: {sum(state['cells'] for state in states)} of 90 cells are embedded" in text for text in said)
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "out.h5ad"])


def test_a_killed_part_goes_on_and_a_killed_joining_too(
    model: Path, source: Path, tmp_path: Path, computed: list[int]
) -> None:
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    embed_file(source, model, vectors=whole)
    assert embed_killed_after(20, source, model, vectors=out, part="2/2").wait() == -signal.SIGKILL
    with pytest.raises(OutputError, match="partial-2-of-2: holds what an interrupted run has embedded"):
        embed_file(source, model, vectors=out, part="2/2")
    computed.clear()
    record = embed_file(source, model, vectors=out, part="2/2", resume=True)
    assert (record["cells"], record["part"]) == (45, "2/2")
    assert sum(computed) < 30
    assert embed_killed_after(15, source, model, vectors=out).wait() == -signal.SIGKILL  # joining, as the first lacks
    assert not out.exists()
    computed.clear()
    embed_file(source, model, vectors=out)
    assert 0 < sum(computed) <= 30
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("form", ["csc", "dense", "zarr", "store"])
def test_every_form_is_embedded_in_parts(
    model: Path, source: Path, tmp_path: Path, form: str, computed: list[int]
) -> None:
    adata, path = ad.read_h5ad(source), tmp_path / f"{form}.{'zarr' if form == 'zarr' else 'h5ad'}"
    if form == "store":
        path = tmp_path / "store"
        prepare([source], out=path)
    elif form == "zarr":
        write_zarr(path, adata)
    else:
        adata.X = adata.X.tocsc() if form == "csc" else adata.X.toarray()
        adata.write_h5ad(path)
    embed_file(path, model, vectors=tmp_path / "whole.h5ad")
    assert sum(computed) == 84
    computed.clear()
    for number in range(1, 4):
        embed_file(path, model, vectors=tmp_path / "out.h5ad", part=f"{number}/3")
    assert sum(computed) == 84  # none of them twice
    embed_file(path, model, vectors=tmp_path / "out.h5ad")
    assert sum(computed) == 84
    assert (tmp_path / "out.h5ad").read_bytes() == (tmp_path / "whole.h5ad").read_bytes()


def test_parts_that_do_not_belong_together_are_refused(model: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5ad"
    embed_file(source, model, vectors=out, part="1/2")
    changed = other(source, lambda adata: adata.X.data.__imul__(2))
    begun = "partial-1-of-2: was begun with another"
    for part in ("2/2", None):
        with pytest.raises(OutputError, match=f"{begun} source. Give what .* or remove the folders of all parts"):
            embed_file(changed, model, vectors=out, part=part)
        with pytest.raises(OutputError, match=f"{begun} model, another values"):
            embed_file(source, model.parent / "gnn", vectors=out, part=part, values="counts")
    with pytest.raises(OutputError, match="folders of 2 parts, and 3/3 is none of these"):
        embed_file(source, model, vectors=out, part="3/3")
    assert not (tmp_path / "out.h5ad.partial-3-of-3").exists()
    embed_file(source, model, vectors=out, part="1/2", overwrite=True)
    (tmp_path / "out.h5ad.partial-1-of-3").mkdir()
    with pytest.raises(OutputError, match="folders of 2 and of 3 parts stand beside it"):
        embed_file(source, model, vectors=out)
    assert not out.exists()


def test_a_run_over_all_cells_and_parts_are_not_mixed(model: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5ad"
    assert embed_killed_after(20, source, model, vectors=out).wait() == -signal.SIGKILL
    with pytest.raises(OutputError, match="over all cells has embedded, and parts are asked for"):
        embed_file(source, model, vectors=out, part="1/2", resume=True)
    embed_file(source, model, vectors=out, resume=True)
    with pytest.raises(OutputError, match="stands there already"):
        embed_file(source, model, vectors=out, part="1/2")


def test_parts_of_another_kind_of_device_are_joined_only_where_nothing_lacks(
    model: Path, source: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    embed_file(source, model, vectors=whole)

    def as_on_a_gpu(part: str) -> None:
        progress = Part.parse(part).place(out) / "progress.json"
        progress.write_text(progress.read_text().replace('"device": "cpu"', '"device": "cuda"'))

    embed_file(source, model, vectors=out, part="1/2")
    as_on_a_gpu("1/2")
    for part in ("2/2", None):
        with pytest.raises(OutputError, match="partial-1-of-2: was begun with another device"):
            embed_file(source, model, vectors=out, part=part)
    (tmp_path / "out.h5ad.partial-1-of-2").rename(tmp_path / "aside")
    embed_file(source, model, vectors=out, part="2/2")
    (tmp_path / "aside").rename(tmp_path / "out.h5ad.partial-1-of-2")
    with pytest.raises(OutputError, match="partial-2-of-2: was begun with another device"):
        embed_file(source, model, vectors=out)
    as_on_a_gpu("2/2")
    embed_file(source, model, vectors=out)
    assert out.read_bytes() == whole.read_bytes()


def test_a_part_is_embedded_by_one_process_and_not_joined_meanwhile(model: Path, source: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.h5ad", tmp_path / "out.h5ad"
    embed_file(source, model, vectors=whole)
    go_on = tmp_path / "go-on"

    def run() -> None:
        mark = partial.PartialVectors.mark

        def wait(self: partial.PartialVectors) -> None:
            mark(self)
            while self.done and not go_on.exists():
                time.sleep(0.01)

        partial.PartialVectors.mark = wait  # type: ignore[method-assign]
        embed_file(source, model, vectors=out, part="1/2")

    running, progress = Forked(run), tmp_path / "out.h5ad.partial-1-of-2/progress.json"
    until = time.monotonic() + 60
    while not (progress.exists() and json.loads(progress.read_text())["cells"]) and time.monotonic() < until:
        time.sleep(0.01)
    for options in ({"part": "1/2", "resume": True}, {"part": "1/2", "overwrite": True}, {}, {"overwrite": True}):
        with pytest.raises(OutputError, match="partial-1-of-2: another process writes to it"):
            embed_file(source, model, vectors=out, **options)
    embed_file(source, model, vectors=out, part="2/2")  # beside it
    go_on.touch()
    assert running.wait() == 0
    embed_file(source, model, vectors=out)
    assert out.read_bytes() == whole.read_bytes()


def test_a_part_killed_before_its_first_cell_is_made_up_for(model: Path, source: Path, tmp_path: Path) -> None:
    left = tmp_path / "out.h5ad.partial-1-of-2"
    left.mkdir()
    (left / "lock").touch()
    embed_file(source, model, vectors=tmp_path / "out.h5ad", part="2/2")
    embed_file(source, model, vectors=tmp_path / "out.h5ad")
    assert not left.exists()
    left.mkdir()
    (left / "notes.txt").touch()
    with pytest.raises(OutputError, match="partial-1-of-2: stands there and was not left by embed"):
        embed_file(source, model, vectors=tmp_path / "out.h5ad", overwrite=True)


def test_more_parts_than_cells(model: Path, source: Path, tmp_path: Path) -> None:
    few = other(source, lambda adata: adata._inplace_subset_obs(np.arange(3)))
    embed_file(few, model, vectors=tmp_path / "whole.h5ad")
    assert embed_file(few, model, vectors=tmp_path / "out.h5ad", part="1/5")["cells"] == 0
    embed_file(few, model, vectors=tmp_path / "out.h5ad", part="5/5")
    embed_file(few, model, vectors=tmp_path / "out.h5ad")
    assert (tmp_path / "out.h5ad").read_bytes() == (tmp_path / "whole.h5ad").read_bytes()


def test_processes_of_torchrun_take_a_part_each(
    model: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.h5ad"
    words = ["embed", str(model), str(source), "--vectors", str(out)]
    for rank in range(2):
        for name, value in torchrun_environment(rank, 2, 1).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert not stop.value.code
        assert (Part(2, rank + 1).place(out) / "progress.json").exists()
    assert "45 cells, 16 numbers each, part 1/2; the same without --part writes" in "".join(capsys.readouterr().out)
    for name in torchrun_environment(0, 2, 1):
        monkeypatch.delenv(name)
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert not stop.value.code
    embed_file(source, model, vectors=tmp_path / "whole.h5ad")
    assert out.read_bytes() == (tmp_path / "whole.h5ad").read_bytes()
