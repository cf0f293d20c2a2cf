"""The benchmark of reading, small: every way is measured, nothing is left behind."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from benchmarks.reading.peers import PEERS
from benchmarks.reading.point import Point, run_point
from benchmarks.reading.request import Request
from benchmarks.reading.ways import OWN, WAYS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_way_of_reading_is_measured(
    cells_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.reading import run as reading

    # Children cost seconds each: a way of every kind, and one that is not installed.
    monkeypatch.setattr(reading, "STORE", ("store, blocks",))
    monkeypatch.setattr(reading, "OWN", ("memory, random", "pretrain, zarr"))
    monkeypatch.setattr(reading, "PEERS", ("h5ad, slices", "annbatch, collection"))
    monkeypatch.setitem(WAYS, "annbatch, collection", replace(PEERS["annbatch, collection"], packages=("no_such",)))
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    words = ["--data", str(cells_file), "--out", str(out), "--cells", "1000", "--genes", "8", "--batch-size", "50"]
    with pytest.raises(SystemExit) as ended:
        reading.main([*words, "--workers", "1", "--seconds", "0.05", "--scratch", str(scratch)])
    assert not ended.value.code, capsys.readouterr().err
    frame = pd.read_csv(out / "reading.csv")
    hows = ["store, blocks", "memory, random", "h5ad, slices", "h5ad, slices", "pretrain, zarr"]
    missing = ["annbatch, collection"] * 2
    assert frame["how"].tolist() == [*hows, *missing, "store, random", "store, blocks"]
    assert frame["genes"].tolist() == [8, 8, 0, 8, 0, 0, 8, 8, 8]
    assert (frame.loc[frame["how"].isin(missing), "status"] == "not installed").all()
    measured = frame[~frame["how"].isin(missing)]
    assert (measured["status"] == "ok").all()
    assert frame["cells"].iloc[0] == 950  # every cell once, the first batch not counted
    assert frame["cells"].iloc[4] == 1000  # a pass, which is counted from its start
    assert (measured[["cells_per_second", "rss_mb", "start_mb"]] > 0).all(axis=None)
    assert "| store, blocks, 1 threads | 1,000 | 8 |" in (out / "reading.md").read_text()
    assert (out / "reading.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "environment.json").read_text())["command"].startswith("python -m benchmarks.reading.run")
    assert list(scratch.iterdir()) == []
    lost = run_point(Request("h5ad, slices", "gone.h5ad", 0, 9, 0, 1.0))
    assert lost.status.startswith("failed")


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", [*OWN, *PEERS])
def test_a_way_gives_the_cells_of_its_file(cells_file: Path, tmp_path: Path, how: str) -> None:
    from benchmarks.reading.run import read_pool
    from benchmarks.reading.sources import resample, write_source

    way = WAYS[how]
    for package in way.packages:
        pytest.importorskip(package)
    pool = read_pool(str(cells_file), None)
    resample(pool, 200, tmp_path / "store")
    path = write_source(way.source, tmp_path / "store", tmp_path)
    for genes in (8, 0) if way.samples and not way.threads else (8,):
        batches = way.batches(Request(how, str(path), genes, 64, int(way.threads), 0.1))
        first = next(batches)
        if way.whole:
            assert first == 0
            assert sum(batches) == 200
        else:
            assert 0 < first <= 200
            assert next(batches, 1) > 0


def test_every_way_is_on_the_page() -> None:
    from benchmarks.reading.page import reading_markdown

    row = {"how": "annbatch, zarr", "cells_in_file": 9, "genes": 0, "workers": 0, "cold": False}
    frame = pd.DataFrame([row | asdict(Point("not installed"))])
    page = reading_markdown(frame, 5.0, 8, load=None)
    assert all(f"- {how}: {way.means}." in page for how, way in WAYS.items())
    assert "| annbatch, zarr | 9 | all | not installed | - | - | - | - |" in page


@pytest.mark.parametrize("cells", ["many", "10", "1000,x"])
def test_bad_input_is_refused(cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], cells: str) -> None:
    from benchmarks.reading import run as reading

    with pytest.raises(SystemExit) as ended:
        reading.main(["--data", str(cells_file), "--out", str(tmp_path / "out"), "--cells", cells])
    assert ended.value.code == 2
    assert "is no number of 1,000 or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
