"""A perturbation run from file and model to output folder."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scgraph.config import TrainConfig
from scgraph.config_files import parse_config
from scgraph.data import read_network
from scgraph.display import short_repr
from scgraph.errors import ScgraphError
from scgraph.files import file_atomic, json_text, prepare_output_folder, write_atomic
from scgraph.perturb import figures
from scgraph.perturb.config import as_perturb_config
from scgraph.perturb.embeddings import gene_tables
from scgraph.perturb.methods import STEPS, Experiment
from scgraph.perturb.scores import score_changes, summarise
from scgraph.perturb.screen import read_screen
from scgraph.perturb.splits import split_perturbations
from scgraph.perturb.tables import summary_markdown
from scgraph.reporting.bars import progress_bars
from scgraph.reporting.drawing import image_bytes, png
from scgraph.reporting.environment import environment
from scgraph.reporting.escape import csv_text
from scgraph.train import as_saved, resolve_device

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.models import SavedModel
    from scgraph.perturb.config import PerturbConfig
    from scgraph.perturb.methods import Prediction
    from scgraph.perturb.splits import PerturbationSplit
    from scgraph.train import Pretrained

__all__ = ["PerturbResult", "run_perturb"]

OWNED = (
    "results.csv",
    "summary.md",
    "predictions.h5ad",
    "scores.png",
    "scores.svg",
    "changes.png",
    "changes.svg",
    "config.yaml",
    "environment.json",
)


@short_repr
class PerturbResult(NamedTuple):
    """What a run found.

    Attributes:
        results: one row a seed, model and test perturbation; see `scgraph.perturb.scores.score_changes`.
        summary: one row a group of perturbations and model; see `scgraph.perturb.scores.summarise`.
        predictions: predicted changes, perturbations × genes: of every tested perturbation the mean over the seeds
            that tested it, in `layers["measured"]` what was measured, and of those asked for besides the mean over
            all seeds.
        notes: what must be said aloud.
        folder: where the files are, None where nothing was written.
    """

    results: pd.DataFrame
    summary: pd.DataFrame
    predictions: AnnData
    notes: tuple[str, ...]
    folder: Path | None


def run_perturb(
    data: str | Path | AnnData,
    model: Pretrained | SavedModel | str | Path,
    *,
    perturbation: str | None = None,
    control: str | Sequence[str] | None = None,
    covariate: str | Sequence[str] | None = None,
    network: str | Path | None = None,
    layer: str | None = None,
    values: str | None = None,
    config: PerturbConfig | str | Path | dict[str, Any] | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    allow_conv: Collection[str] = (),
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
    command: Sequence[str] | None = None,
) -> PerturbResult:
    """Predict the expression change after perturbations of genes that training has not seen, beside baselines.

    Args:
        data: an .h5ad file or AnnData of perturbed and control cells, counts or log-normalised values.
        model: a folder, or what `scgraph.load_model` or `scgraph.pretrain` returned.
        perturbation: column of obs with the perturbations; `perturbation`, `condition` and kin are found.
        control: labels of the control cells; found where they look like it.
        covariate: columns of obs that are to be the same in perturbed cells and the controls they are compared with.
        network: file of edges between genes, which may be perturbed too, see docs/networks.md.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        config: settings, a YAML file of them, or None for the defaults; see `PerturbConfig`.
        out: folder for the results; None writes nothing.
        device: auto, cpu, cuda or cuda:N.
        allow_conv: convolutions of your own that the model may use.
        overwrite: replace an earlier run in `out`.
        show_progress: show a bar.
        say: told what was read and done.
        command: words for `environment.json`; by default those of this process.

    Raises:
        DataError: the file cannot be used: no controls, no perturbation of a known gene, too few of them.
        ConfigError: an impossible setting, or a table that the model does not have.
        ModelFileError: the model cannot be read.
        OutputError: the folder cannot be written to; said before the work starts.
        TrainingError: a loss is not finite.
    """
    settings = as_perturb_config(config or {})
    place = resolve_device(device)
    saved = as_saved(model, allow_conv=allow_conv)
    source = "config.json of the model, training"
    training = parse_config(TrainConfig, saved.metadata.get("training", {}), source=source)
    gene_tables(saved.model, settings.embedding)  # a table that is not there is refused before anything is read
    edges = None if network is None else read_network(network)
    screen = read_screen(
        data,
        saved.vocabulary,
        settings,
        perturbation=perturbation,
        control=control,
        covariate=covariate,
        network=edges,
        layer=layer,
        values=values,
    )
    genes = [one.genes for one in screen.perturbations]
    shares = {"test_share": settings.test_share, "validation_share": settings.validation_share}
    splits = [split_perturbations(genes, seed=seed, **shares) for seed in range(settings.seeds)]
    for note in (*screen.notes, screen.match_note, splits[0].how()):
        say(note)
    is_new = out is not None and not Path(out).exists()
    folder = None if out is None else prepare_output_folder(out, overwrite=overwrite, owned=OWNED)
    job = Experiment(screen, saved, settings, training, place)
    try:
        found = []
        with progress_bars(show_progress) as begin:
            move, steps = begin("predicting changes"), count(1)
            for seed, split in enumerate(splits):
                found.append(job.predict(split, seed=seed, tick=lambda: move(next(steps), STEPS * len(splits))))
                say(f"seed {seed}: {', '.join(f'{n} {p.choice}' for n, p in found[-1].items() if p.choice)}")
        done = _result(job, splits, found, folder)
        if folder is not None:
            _write(done, folder, job, splits[0], found[0][job.model_name], command)
    except ScgraphError:
        if folder is not None and is_new:
            shutil.rmtree(folder)
        raise
    return done


def _result(
    job: Experiment, splits: Sequence[PerturbationSplit], found: Sequence[dict[str, Prediction]], folder: Path | None
) -> PerturbResult:
    import pandas as pd

    screen, settings = job.screen, job.settings
    targets = None if settings.score_targets else screen.targets()
    parts = []
    for seed, (split, predictions) in enumerate(zip(splits, found, strict=True)):
        rows = [screen.perturbations[at] for at in split.test]
        for name, prediction in predictions.items():
            scored = score_changes(
                prediction.change[split.test],
                screen.change[split.test],
                top=settings.top,
                left_out=None if targets is None else targets[split.test],
            )
            named = {
                "seed": seed,
                "model": name,
                "perturbation": [one.name for one in rows],
                "group": split.groups,
                "cells": [len(one.cells) for one in rows],
            }
            parts.append(pd.DataFrame({**named, **scored, "choice": prediction.choice}))
    results = pd.concat(parts, ignore_index=True)
    notes = [*screen.notes, screen.match_note, splits[0].how()]
    if not job.has_doubles:
        notes.append("no perturbation has two genes, so there is no additive prediction")
    unmatched = int((screen.ids[screen.scored] == 0).sum())
    if unmatched:
        notes.append(
            f"{unmatched:,} of {len(screen.scored):,} genes are not in the vocabulary of the model: of them it is told "
            "the expression in control cells only"
        )
    predictions = _predictions(job, splits, [one[job.model_name].change for one in found])
    return PerturbResult(results, summarise(results, job.baselines), predictions, tuple(notes), folder)


def _predictions(
    job: Experiment, splits: Sequence[PerturbationSplit], changes: Sequence[NDArray[np.float32]]
) -> AnnData:
    """Average the predictions of the network over seeds; training perturbations of a seed do not count."""
    import anndata
    import pandas as pd

    screen = job.screen
    known, every = len(screen.perturbations), len(job.genes)
    total = np.zeros((every, len(screen.scored)))
    times = np.zeros(every, dtype=np.int64)
    for split, change in zip(splits, changes, strict=True):
        rows = np.concatenate([split.test, np.arange(known, every)])
        total[rows] += change[rows]
        times[rows] += 1
    kept = np.flatnonzero(times)
    listed = [*screen.perturbations, *screen.new]
    measured = np.full((every, len(screen.scored)), np.nan, dtype=np.float32)
    measured[:known] = screen.change
    obs = pd.DataFrame(
        {
            "part": ["test" if at < known else "new" for at in kept],
            "cells": [len(listed[at].cells) for at in kept],
            "seeds": times[kept],
        },
        index=[f"{listed[at].name}{'' if at < known else ' (new)'}" for at in kept],
    )
    names = screen.gene_names()
    symbols = pd.Index(names if len(set(names)) == len(names) else [str(column) for column in screen.scored])
    var = pd.DataFrame({"feature_name": names, "control_mean": screen.state}, index=symbols)
    change = (total[kept] / times[kept, None]).astype(np.float32)
    return anndata.AnnData(change, obs=obs, var=var, layers={"measured": measured[kept]})


def _write(
    done: PerturbResult,
    folder: Path,
    job: Experiment,
    split: PerturbationSplit,
    first: Prediction,
    command: Sequence[str] | None,
) -> None:
    import yaml

    screen, settings = job.screen, job.settings
    where = environment(command)
    text = summary_markdown(
        done.summary,
        model=job.model_name,
        top=settings.top,
        targets=settings.score_targets,
        notes=done.notes,
        environment=where,
    )
    drawn = {
        "scores": figures.scores(done.summary, baselines=job.baselines, top=settings.top),
        "changes": figures.changes(
            first.change[split.test],
            screen.change[split.test],
            [screen.perturbations[at].name for at in split.test],
            screen.targets()[split.test],
            model=job.model_name,
        ),
    }
    origin = {key: screen.cells.manifest[key] for key in ("sha256", "cells", "genes", "kind", "layer", "values")}
    origin |= {
        "perturbation": screen.column,
        "control": list(screen.control_labels),
        "covariate": list(screen.covariates),
    }
    if screen.genes.network is not None:
        origin["network"] = screen.genes.network.manifest
    made = {"conv": job.model_name, "vocabulary": job.saved.vocabulary.sha256, "versions": dict(job.saved.versions)}
    write_atomic(folder / "results.csv", csv_text(done.results, float_format="%.6g"))
    write_atomic(folder / "config.yaml", yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False))
    write_atomic(folder / "environment.json", json_text(where | {"data": origin, "model": made}))
    _write_predictions(folder / "predictions.h5ad", done.predictions)
    for name, figure in drawn.items():
        write_atomic(folder / f"{name}.png", png(figure))
        write_atomic(folder / f"{name}.svg", image_bytes(figure))
    write_atomic(folder / "summary.md", text)


def _write_predictions(path: Path, predictions: AnnData) -> None:
    """Write the file whole or not at all."""
    with file_atomic(path) as beside:
        predictions.write_h5ad(beside, compression="gzip")
