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
    from benchmarks.embed.point import COMMANDS, HOW, IN_MEMORY

    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    words = ["--data", str(cells_file), "--out", str(out), "--cells", "2500", "--sparse-cells", "3000"]
    with pytest.raises(SystemExit) as ended:
        run.main([*words, "--sparse-genes", "5", "--gnn-cells", "2500", "--rounds", "1", "--scratch", str(scratch)])
    assert not ended.value.code, capsys.readouterr().err
    frame = pd.read_csv(out / "embed.csv")
    assert frame["how"].tolist() == [*IN_MEMORY, *COMMANDS, COMMANDS[0], COMMANDS[2]]
    assert set(HOW) == {*IN_MEMORY, *COMMANDS}
    assert (frame["status"] == "ok").all()
    assert (frame[["cells_per_second", "peak_mb", "start_mb"]] > 0).all(axis=None)
    assert frame["genes"].tolist()[-1] == 5
    assert "| scgraph embed gnn-linear | 3,000 | 5 |" in (out / "embed.md").read_text()
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert list(scratch.iterdir()) == []


def test_bad_input_is_refused(cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.embed import run

    with pytest.raises(SystemExit) as ended:
        run.main(["--data", str(cells_file), "--out", str(tmp_path / "out"), "--cells", "many"])
    assert ended.value.code == 2
    assert "is no positive number" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
