"""Layers and training steps on a GPU, in one command that keeps to a time.

Usage: python -m benchmarks.gpu.run --out FOLDER

It needs PyTorch and PyTorch Geometric, no more: what draws the figures and the Transformer of Hugging Face are left
out where they are missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.gpu.page import gpu_markdown
from benchmarks.harness.children import NOT_TRIED, OUT_OF_MEMORY
from benchmarks.harness.folder import Results, new_folder, write_figure
from benchmarks.harness.rounds import repeated
from benchmarks.layers.cases import LayerStep, Sizes, cases
from benchmarks.table2.paper import LAYERS, RANK, SETTINGS
from benchmarks.training_step.cases import MODELS, TORCH_ENCODER, Entry, ModelSizes, entries
from benchmarks.training_step.rounds import measure_training, with_shares
from scgraph.costs.machine import matmul_peak
from scgraph.errors import ScgraphError
from scgraph.files import write_atomic
from scgraph.memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

OWNED = (
    "training.csv", "layers.csv", "table.md", "figure.png", "figure.svg", "training.png", "training.svg",
    "config.yaml", "environment.json",
)  # fmt: skip
PRECISIONS = ("bf16-mixed", "32-true")
COMPILED = ("gnn", "gnn-linear", "tf")


@dataclass(frozen=True)
class Plan:
    """What is measured, and how long.

    Attributes:
        device: "cuda", "cuda:N" or "cpu".
        settings: channels and genes of the training steps, the most important first.
        genes: sizes of the layers.
        channels: width of the layers.
        layers: blocks of a model.
        rank: of the adjacency.
        cells: of a training step.
        layer_cells: of a layer.
        vocabulary: genes of the tables.
        rounds: of the training steps at one setting, at most.
        seconds: no further round is started after so long.
        layer_seconds: how long the steps of a layer are timed.
        peak_size: side of the product that gives the matmul peak; None for that of the bench.
        budget_seconds: no point is started after so long.
    """

    device: str
    settings: tuple[tuple[int, int], ...] = SETTINGS
    genes: tuple[int, ...] = (512, 1024, 2048, 4096, 8192, 16384)
    channels: int = 256
    layers: int = LAYERS
    rank: int = RANK
    cells: int = 64
    layer_cells: int = 8
    vocabulary: int = 20_000
    rounds: int = 30
    seconds: float = 12.0
    layer_seconds: float = 0.2
    peak_size: int | None = None
    budget_seconds: float = 540.0


TINY: dict[str, Any] = {
    "settings": ((16, 16), (8, 16)), "genes": (8, 16), "channels": 16, "layers": 1, "rank": 4, "cells": 2,
    "layer_cells": 1, "vocabulary": 32, "rounds": 2, "seconds": 0.1, "layer_seconds": 0.0, "peak_size": 64,
}  # fmt: skip


@dataclass
class Measured:
    """What has been measured, written after every point.

    Attributes:
        results: the folder.
        plan: what is measured.
        training: a row a setting, precision and model.
        layers: a row a precision, layer and size.
        peaks: rates of a large matrix product, a precision.
    """

    results: Results
    plan: Plan
    training: list[dict[str, Any]] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    peaks: dict[str, float] = field(default_factory=dict)

    @property
    def late(self) -> bool:
        """Whether no further point may be started."""
        return time.perf_counter() - self.results.started > self.plan.budget_seconds

    def write(self) -> str:
        """Write the tables; return the page."""
        page = gpu_markdown(self.training, self.layers, self.peaks, asdict(self.plan), device_name(self.plan.device))
        self.results.write_rows(training=self.training, layers=self.layers)
        return self.results.finish(
            page,
            device=device_name(self.plan.device),
            cuda=torch.version.cuda,
            float32_matmul_precision=torch.get_float32_matmul_precision(),
            matmul_peaks=self.peaks,
        )


def measure_everything(measured: Measured) -> None:
    """Measure by importance: the first setting, all layers, the other settings, compiled models."""
    plan = measured.plan
    first, *others = plan.settings
    for precision in PRECISIONS:
        train_setting(measured, first, precision, entries(MODELS))
    for precision in PRECISIONS:
        measure_layers(measured, precision)
    for setting in others:
        for precision in PRECISIONS:
            train_setting(measured, setting, precision, entries(MODELS))
    if plan.device == "cpu":
        say("compiled models: measured on a GPU only")
        return
    variants = [Entry(f"{model} (compile)", model, options={"compile": True}) for model in COMPILED]
    for precision in PRECISIONS:
        train_setting(measured, first, precision, [*entries([*COMPILED, TORCH_ENCODER]), *variants], compiled=True)


def train_setting(
    measured: Measured, setting: tuple[int, int], precision: str, chosen: Sequence[Entry], *, compiled: bool = False
) -> None:
    """All models of one setting and precision in turn, with the matmul peak before and after."""
    plan = measured.plan
    channels, genes = setting
    what = f"training, C {channels}, G {genes}, {precision}{', compiled' if compiled else ''}"
    if measured.late:
        say(f"{what}: {NOT_TRIED}, the time is up")
        return
    sizes = ModelSizes(
        genes, channels, plan.layers, plan.rank, cells=plan.cells, vocabulary=plan.vocabulary, device=plan.device,
        precision=precision,
    )  # fmt: skip
    try:
        before = matmul_peak(plan.device, precision, size=plan.peak_size)
        rows, _ = measure_training(chosen, sizes, rounds=plan.rounds, seconds=plan.seconds)
        peak = max(before, matmul_peak(plan.device, precision, size=plan.peak_size))
    except Exception as error:  # noqa: BLE001  # what fails at one point must not lose the others
        rows, peak = [], 0.0
        say(f"{what}: failed: {' '.join(str(error).split())[:200]}")
    if rows:
        measured.peaks[precision] = max(measured.peaks.get(precision, 0.0), peak)
        measured.training += [row | {"compiled": compiled} for row in with_shares(rows, peak)]
        say(f"{what}: done")
    measured.write()
    empty_cache(plan.device)


def measure_layers(measured: Measured, precision: str) -> None:
    """Every layer at every size of one precision; what has run out of memory is not tried at larger sizes."""
    plan = measured.plan
    stopped: set[str] = set()
    for genes in plan.genes:
        sizes = Sizes(
            genes, plan.channels, plan.rank, plan.layer_cells, device=plan.device, precision=precision
        )  # fmt: skip
        for case in cases():
            row: dict[str, Any] = {"case": case.name, "genes": genes, "precision": precision, "status": NOT_TRIED}
            measured.layers.append(row | {"milliseconds": None, "steps": None, "saved_mb": None, "peak_mb": None})
            if case.name in stopped or measured.late:
                continue
            found = measure_layer(LayerRequest(case.name, sizes, plan.layer_seconds))
            measured.layers[-1] |= found
            if found["status"] != "ok":
                stopped.add(case.name)
                say(f"{case.name}, {genes} genes, {precision}: {found['status']}")
            empty_cache(plan.device)
        say(f"layers, {genes} genes, {precision}: {NOT_TRIED + ', the time is up' if measured.late else 'done'}")
        measured.write()


@dataclass(frozen=True)
class LayerRequest:
    """One layer at one size."""

    name: str
    sizes: Sizes
    seconds: float


def measure_layer(request: LayerRequest) -> dict[str, Any]:
    """Time and the allocator's memory of one layer; running out of memory is an answer."""
    case = next(case for case in cases() if case.name == request.name)
    cuda = request.sizes.device.startswith("cuda")
    try:
        before = torch.cuda.memory_allocated(request.sizes.device) if cuda else 0
        step = LayerStep(case, request.sizes)
        found: dict[str, Any] = {"saved_mb": step.saved_mb()}
        if cuda:
            torch.cuda.reset_peak_memory_stats(request.sizes.device)
        times = repeated(step, request.seconds)
        if cuda:
            found["peak_mb"] = (torch.cuda.max_memory_allocated(request.sizes.device) - before) / 1e6
    except Exception as error:  # noqa: BLE001  # what fails at one point must not lose the others
        said = " ".join(str(error).split())[:200]
        return {"status": OUT_OF_MEMORY if is_out_of_memory(error) else "failed", "message": said}
    return found | {"status": "ok", "milliseconds": 1e3 * median(times), "steps": len(times)}


def draw(measured: Measured) -> None:
    """Draw the layers and the training steps of the first setting, in the first precision that ran."""
    try:
        from benchmarks.layers.page import draw_layers
        from benchmarks.training_step.rounds import draw_training

        layers = [row for row in measured.layers if row["precision"] == PRECISIONS[0]]
        if any(row["status"] == "ok" for row in layers):
            write_figure(measured.results.folder, draw_layers(layers))
        channels, genes = measured.plan.settings[0]
        rows = [
            row
            for row in measured.training
            if (row["channels"], row["genes"], row["precision"]) == (channels, genes, PRECISIONS[0])
            and not row["compiled"]
        ]
        if rows:
            title = f"A training step, C {channels}, G {genes}, {PRECISIONS[0]}, {device_name(measured.plan.device)}"
            write_figure(measured.results.folder, draw_training(rows, title), name="training")
    except ImportError as error:
        say(f"No figures: {error}.")


def device_name(device: str) -> str:
    """What the device is called."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


def empty_cache(device: str) -> None:
    """Give back what the allocator of a GPU keeps."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def say(text: str) -> None:
    """Print a line on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.run", description="Layers and training steps on a GPU."
    )
    parser.add_argument("--out", type=Path, required=True, help="Folder for the results.")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: cuda).")
    parser.add_argument("--budget-seconds", type=float, default=540.0, help="No point is started after so long.")
    parser.add_argument("--cells", type=int, default=64, help="Cells of a training step (default: 64).")
    parser.add_argument("--tiny", action="store_true", help="Tiny sizes, to see that it runs.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the results in the folder.")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = parsed(arguments)
    try:
        cuda = options.device.startswith("cuda")
        if not cuda and options.device != "cpu":
            say(f"gpu: --device: {options.device!r} is neither cuda, cuda:N nor cpu.")
            return 2
        if cuda and not torch.cuda.is_available():
            say("gpu: this machine has no GPU that PyTorch can use. See --device cpu --tiny for a trial run.")
            return 2
        plan = Plan(options.device, budget_seconds=options.budget_seconds, cells=options.cells)
        if options.tiny:
            plan = replace(plan, **TINY)
        results = new_folder("gpu", options.out, overwrite=options.overwrite, owned=OWNED)
        write_atomic(results.folder / "config.yaml", json.dumps(asdict(plan), indent=2) + "\n")  # JSON is YAML
        measured = Measured(results, plan)
        measure_everything(measured)
        draw(measured)
        sys.stdout.write(measured.write())
    except ScgraphError as error:
        say(f"gpu: {error}")
        return 2
    except KeyboardInterrupt:
        say("gpu: stopped. What had been measured is in the folder.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
