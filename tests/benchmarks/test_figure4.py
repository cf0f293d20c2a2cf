"""Figure 4: children that are killed or run out of memory do not stop it."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from tests.forking import Forked
from tests.helpers import make_cells

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and sets RLIMIT_DATA")

QUICK = [
    f"--set={word}"
    for word in (
        "model.layers=1", "model.channels=8", "train.epochs=1", "train.batch_size=32", "seeds=1",
    )
]  # fmt: skip


def kill_first_child(killed: list[int], stop: threading.Event) -> None:
    """Kill the first process of ours that measures a point, as a system without memory does."""
    while not killed and not stop.is_set():
        time.sleep(0.05)
        for task in Path("/proc/self/task").glob("*/children"):
            for child in task.read_text().split():
                if "benchmarks.figure4.point" in Path(f"/proc/{child}/cmdline").read_text():
                    os.kill(int(child), signal.SIGKILL)
                    killed.append(int(child))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_and_too_large_points_are_marked_and_survived(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.figure4 import run as figure4

    data, out = tmp_path / "cells.h5ad", tmp_path / "out"
    make_cells(genes=8000).write_h5ad(data)
    command = ["--data", str(data), "--models", "gnn", "--genes", "4,8,all", "--memory-gb", "3", *QUICK]
    # Streamed, the largest cell would fit.
    command += ["--set=model.conv_options.stream_from=100000", "--out", str(out)]
    killed: list[int] = []
    stop = threading.Event()
    killer = threading.Thread(target=kill_first_child, args=(killed, stop))
    killer.start()
    try:
        with pytest.raises(SystemExit) as ended:
            figure4.main(command)
    finally:
        stop.set()
        killer.join()
    assert not ended.value.code
    assert len(killed) == 1

    points = pd.read_csv(out / "genes.csv")
    assert points["status"].tolist() == ["out of memory", "ok", "out of memory"]
    assert points["genes"].tolist()[:2] == [4, 8]
    assert points["genes"][2] > 5000
    assert points["message"][0] == "killed by the system"
    assert "allocate memory" in points["message"][2]
    assert points["accuracy_mean"].notna().tolist() == [False, True, False]
    assert points["multiply_adds"][1] == 8 * 8 * 8 + 8 * 8 * 8 + 8 * 8 * 48
    page = (out / "genes.md").read_text()
    assert page.count("out of memory") == 2
    assert (out / "figure4.svg").read_text().startswith("<?xml")
    assert (out / "figure4.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "environment.json").read_text())["seconds"] > 0

    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        figure4.main(command)
    assert not ended.value.code
    said = capsys.readouterr().err
    assert said.count("holds it already") == 3
    assert "genes: ok" not in said
    after = {path.name: path.read_bytes() for path in out.iterdir()}
    assert {n: b for n, b in after.items() if n != "environment.json"} == {
        n: b for n, b in before.items() if n != "environment.json"
    }


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_another_failure_is_reported_and_tried_again(
    cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.figure4 import run as figure4

    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        figure4.main(
            [
                *("--data", str(cells_file), "--models", "gnn", "--genes", "4", "--out", str(out), *QUICK),
                *("--set", "train.learning_rate=1.0e+30", "--set", "train.epochs=3", "--set", "train.clip=null"),
            ]
        )
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "failed: gnn, 4 genes: " in said
    assert "loss" in said
    assert not (out / "genes.csv").exists()


def test_a_point_tells_memory_from_other_failures(cells_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.figure4 import point
    from benchmarks.figure4.point import PointRequest, run_point
    from scgraph.cli.options import bench_settings

    def config(channels: int) -> dict[str, object]:
        return bench_settings(
            "bench/paper", None, model={"channels": channels}, train={"genes": 4, "batch_size": 8}
        ).model_dump(mode="json")

    # Room for the libraries, and not for a weight of 16,384 x 16,384.
    small = PointRequest("gnn", 4, str(cells_file), [], config(2**14), None, None, drop_leaks=False, memory_gb=1)
    assert run_point(small).status == "out of memory"

    def fork(words: list[str], *, stderr: Any, **options: Any) -> SimpleNamespace:
        def run() -> None:
            sys.argv, sys.stdin = words[-2:], io.StringIO(options["input"])
            sys.exit(point.main())

        return SimpleNamespace(returncode=Forked(run, Path(stderr.name)).wait())

    # What is not of memory needs no fresh process.
    monkeypatch.setattr(point, "subprocess", SimpleNamespace(run=fork, DEVNULL=None))
    lost = PointRequest("gnn", 4, "gone.h5ad", [], config(256), None, None, drop_leaks=False, memory_gb=16)
    found = run_point(lost)
    assert found.status == "failed"
    assert "gone.h5ad" in found.message


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--genes", "64,some"], "'some' is neither a number of genes nor all"),
        (["--models", "gnm"], "Did you mean 'gnn'?"),
        (["--set", "train.gens=3"], "Did you mean 'genes'?"),
        (["--set", "train.batch_size=0"], "batch_size"),
    ],
)
def test_bad_input_is_refused(
    words: list[str], said: str, cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.figure4 import run as figure4

    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        figure4.main(["--data", str(cells_file), "--out", str(out), *QUICK, *words])
    assert ended.value.code == 2
    found = capsys.readouterr().err
    assert said in found
    assert found.count("\n") == 1
    assert not out.exists()


def test_figure_of_points_that_all_fit_in_memory() -> None:
    from benchmarks.figure4.page import draw_figure4
    from scgraph.synthetic.figures import figure_bytes

    # Warnings are errors here: the layout once collapsed where no model ran out of memory.
    points = pd.DataFrame(
        [
            {"genes": genes, "model": model, "status": "ok", "accuracy_mean": 0.5, "accuracy_sd": 0.1}
            | {"multiply_adds": 10 * genes**2, "saved_mb": genes / 100}
            for genes in (64, 128, 256, 512, 1024, 2048, 2455)
            for model in ("gnn", "tf")
        ]
    )
    figure = draw_figure4(points)
    assert figure_bytes(figure, form="png").startswith(b"\x89PNG")
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["64", "128", "256", "512", "1024", "", "2455"]
