"""The commands that need labels, on files that are drawn from labelled cells."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from benchmarks.embed.cells import LABEL, TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Reference = tuple[str, str | None, str]
    Work = Callable[[], Iterator[int]]

__all__ = ["LABELLED", "labelled"]

PROBE, ANNOTATE, BENCH = "scgraph probe gnn-linear", "scgraph annotate", "scgraph bench gnn-linear"
PERTURB = "scgraph perturb gnn-linear"
LEAST_CELLS = 10
"""Cells of a class that is divided."""

LABELLED = {
    PROBE: "`scgraph.api.probe` of the file with one seed: vectors, components and both classifiers, of classes of "
    f"{LEAST_CELLS} cells or more",
    ANNOTATE: "`annotate_file` of the file from the cells that it was drawn from, with components alone, to a copy "
    "with labels; choosing and training the classifier, the same for all files, is timed too",
    BENCH: "`scgraph.bench` of the file with one seed, no uses besides all labels, and a pretraining of one pass, of "
    "the same classes: every baseline, the model untrained, pretrained and beside components",
    PERTURB: "`run_perturb` of the file with one seed; half of its cells are controls, the others "
    "carry genes that are drawn at random, so that scores mean nothing",
}
"""What is measured."""


def labelled(how: str, path: Path, models: Path, reference: Reference, load: Callable[[Path], None]) -> Work:
    """Return what is to be timed; packages and compiled loops are loaded before.

    Args:
        how: which of `LABELLED`.
        path: file of cells, with classes and targets.
        models: folder of the models.
        reference: labelled cells that the file was drawn from: a file, its layer, its column of classes.
        load: given the folder of a model, compiles what embeds with it.
    """
    import h5py

    for package in ("sklearn.decomposition", "sklearn.linear_model"):
        import_module(package)
    with h5py.File(path) as file:
        cells = len(file["X/indptr"]) - 1
    model = models / how.rpartition(" ")[2]
    if how != ANNOTATE:
        load(model)
    run = {ANNOTATE: _annotate, PROBE: _probe, BENCH: _bench, PERTURB: _perturb}[how]

    def work() -> Iterator[int]:
        run(path, model, reference)
        yield cells

    return work


def _annotate(path: Path, model: Path, reference: Reference) -> None:
    from scgraph.annotate import annotate_file

    del model
    data, layer, label = reference
    options: dict[str, Any] = {"reference_layer": layer, "device": "cpu"}
    annotate_file(path, data, out=path.with_name("annotated.h5ad"), label=label, overwrite=True, **options)


def _probe(path: Path, model: Path, reference: Reference) -> None:
    from scgraph.api import probe

    del reference
    settings = {"seeds": 1, "drop_classes_below": LEAST_CELLS}
    probe(path, model, config=settings, label=LABEL, device="cpu")


def _bench(path: Path, model: Path, reference: Reference) -> None:
    from scgraph.bench import run_bench

    del reference
    settings = {"seeds": 1, "drop_classes_below": LEAST_CELLS, "uses": [], "max_steps": 1, "train": {"device": "cpu"}}
    run_bench([model.name], [path], config=settings, label=LABEL)


def _perturb(path: Path, model: Path, reference: Reference) -> None:
    from scgraph.perturb import run_perturb

    del reference
    settings = {"seeds": 1, "split": "genes"}
    run_perturb(path, model, perturbation=TARGET, config=settings, device="cpu")
