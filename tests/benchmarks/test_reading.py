"""The benchmark of reading, small: every way is measured, nothing is left behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_way_of_reading_is_measured(
    cells_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.reading import point as reading_points
    from benchmarks.reading import run as reading

    # Children cost seconds each: one way of the store, one peer, and the one that may not be installed.
    monkeypatch.setattr(reading, "STORE", ("store, blocks",))
    monkeypatch.setattr(reading, "PEERS", ("h5ad, slices",))
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    words = ["--data", str(cells_file), "--out", str(out), "--cells", "1000", "--genes", "8", "--batch-size", "50"]
    with pytest.raises(SystemExit) as ended:
        reading.main([*words, "--workers", "1", "--seconds", "0.05", "--scratch", str(scratch)])
    assert not ended.value.code, capsys.readouterr().err
    frame = pd.read_csv(out / "reading.csv")
    assert frame["how"].tolist() == ["store, blocks", "h5ad, slices", "h5ad, slices", "store, blocks", "store, blocks"]
    assert (frame["status"] == "ok").all()
    assert frame["cells"].iloc[0] == 950  # every cell once, the first batch not counted
    assert (frame[["cells_per_second", "rss_mb", "start_mb"]] > 0).all(axis=None)
    assert "| store, blocks, 1 threads | 1,000 | 8 |" in (out / "reading.md").read_text()
    assert (out / "reading.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "environment.json").read_text())["command"].startswith("python -m benchmarks.reading.run")
    assert list(scratch.iterdir()) == []
    lost = reading_points.run_point(reading_points.Request("h5ad, slices", "gone.h5ad", 0, 9, 0, 1.0))
    assert lost.status.startswith("failed")
    assert set(reading_points.HOW) == set(reading_points.BATCHES)


@pytest.mark.parametrize("cells", ["many", "10", "1000,x"])
def test_bad_input_is_refused(cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], cells: str) -> None:
    from benchmarks.reading import run as reading

    with pytest.raises(SystemExit) as ended:
        reading.main(["--data", str(cells_file), "--out", str(tmp_path / "out"), "--cells", cells])
    assert ended.value.code == 2
    assert "is no number of 1,000 or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
