"""A perturbation run from file and model to output folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scgraph.config import TrainConfig
from scgraph.config_files import as_config, parse_config
from scgraph.data import read_network
from scgraph.display import short_repr
from scgraph.files import file_atomic, json_text, output_folder, write_atomic
from scgraph.perturb import figures
from scgraph.perturb.config import PerturbConfig
from scgraph.perturb.embeddings import gene_tables
from scgraph.perturb.methods import Experiment
from scgraph.perturb.scores import CEILING, score_changes, summarise
from scgraph.perturb.screen import read_screen
from scgraph.perturb.splits import GROUPS, MOST_ONE_OUT, leave_one_out, split_perturbations
from scgraph.perturb.tables import summary_markdown
from scgraph.reporting.bars import progress_bars
from scgraph.reporting.drawing import image_bytes, png
from scgraph.reporting.environment import environment
from scgraph.reporting.escape import csv_text
from scgraph.train import as_saved, resolve_device

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.models import SavedModel
    from scgraph.perturb.screen import Screen
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
        model: a folder, ``hf://org/name``, or what `scgraph.load_model` or `scgraph.pretrain` returned.
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
        OutputError: the folder cannot be written to, said before the work starts; or the disk of temporary files cannot
            hold the values of a large file.
        TrainingError: a loss is not finite.
    """
    settings = as_config(PerturbConfig, config or {})
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
    splits = [_splits(screen, settings, seed) for seed in range(settings.seeds)]
    for note in (*screen.notes, screen.match_note, _how(splits[0])):
        say(note)
    job = Experiment(screen, saved, settings, training, place)
    with output_folder(out, overwrite=overwrite, owned=OWNED) as folder:
        found: list[_Tested] = []
        total = sum(map(len, splits))
        with progress_bars(show_progress) as begin:
            move = begin("predicting changes")
            for seed, own in enumerate(splits):
                for split in own:
                    found.append(_tested(job, split, seed))
                    move(len(found), total)
                chosen = found[-1].scores.groupby("model", sort=False)["choice"].first()
                shown = ", ".join(
                    f"{name} {choice}" for name, choice in chosen.items() if choice and "+" not in str(name)
                )
                say(f"seed {seed}: {len(own)} split{'s' * (len(own) != 1)}; in the last: {shown}")
        done = _result(job, found, folder)
        if folder is not None:
            _write(done, folder, job, found, command)
    return done


@dataclass(frozen=True, eq=False)
class _Tested:
    """What one split says: the scores of all methods, and the changes that the network predicts, `[P + N, G]`."""

    seed: int
    split: PerturbationSplit
    scores: pd.DataFrame
    change: NDArray[np.float32]


def _splits(screen: Screen, settings: PerturbConfig, seed: int) -> list[PerturbationSplit]:
    genes = [one.genes for one in screen.perturbations]
    few = len(genes) <= MOST_ONE_OUT
    if settings.split == "leave-one-out" or (settings.split == "auto" and few):
        return leave_one_out(genes, seed=seed, validation_share=settings.validation_share)
    shares = {"test_share": settings.test_share, "validation_share": settings.validation_share}
    return [split_perturbations(genes, seed=seed, **shares)]


def _how(splits: Sequence[PerturbationSplit]) -> str:
    if len(splits) == 1:
        return splits[0].how()
    groups = [split.groups[0] for split in splits]
    kinds = ", ".join(f"{groups.count(group)} {group}" for group in GROUPS if group in groups)
    return f"every perturbation is tested once a seed with the others to learn from, {len(splits)} splits ({kinds})"


def _tested(job: Experiment, split: PerturbationSplit, seed: int) -> _Tested:
    import pandas as pd

    screen, settings, test = job.screen, job.settings, split.test
    predictions, measured = job.predict(split, seed=seed), job.measured(seed)
    changes = {CEILING: (measured.halves[0][test], measured.halves[1][test], "")}
    changes |= {name: (one.change[test], measured.truth[test], one.choice) for name, one in predictions.items()}
    named = {
        "perturbation": [screen.perturbations[at].name for at in test],
        "group": split.groups,
        "cells": [len(screen.perturbations[at].cells) for at in test],
    }
    left_out = None if settings.score_targets else screen.targets()[test]
    parts = []
    for name, (guess, truth, choice) in changes.items():
        # Halves are noisier than whole sets of cells, and so farther from anything: they are told apart among halves.
        among = measured.halves[1] if name == CEILING else measured.truth
        scored = score_changes(guess, truth, top=settings.top, left_out=left_out, among=among, own=test)
        parts.append(pd.DataFrame({"seed": seed, "model": name, **named, **scored, "choice": choice}))
    return _Tested(seed, split, pd.concat(parts, ignore_index=True), predictions[job.model_name].change)


def _result(job: Experiment, found: Sequence[_Tested], folder: Path | None) -> PerturbResult:
    import pandas as pd

    screen = job.screen
    results = pd.concat([one.scores for one in found], ignore_index=True)
    notes = [*screen.notes, screen.match_note, _how([one.split for one in found if one.seed == 0])]
    if not job.has_doubles:
        notes.append("no perturbation has two genes, so there is no additive prediction")
    unmatched = int((screen.ids[screen.scored] == 0).sum())
    if unmatched:
        notes.append(
            f"{unmatched:,} of {len(screen.scored):,} genes are not in the vocabulary of the model: of them it is told "
            "the expression in control cells only"
        )
    return PerturbResult(results, summarise(results, job.baselines), _predictions(job, found), tuple(notes), folder)


def _predictions(job: Experiment, found: Sequence[_Tested]) -> AnnData:
    """Average the predictions of the network over splits; those of training perturbations do not count."""
    import anndata
    import pandas as pd

    screen = job.screen
    known, every = len(screen.perturbations), len(job.genes)
    total = np.zeros((every, len(screen.scored)))
    times = np.zeros(every, dtype=np.int64)
    for one in found:
        rows = np.concatenate([one.split.test, np.arange(known, every)])
        total[rows] += one.change[rows]
        times[rows] += 1
    kept = np.flatnonzero(times)
    listed = [*screen.perturbations, *screen.new]
    measured = np.full((every, len(screen.scored)), np.nan, dtype=np.float32)
    measured[:known] = screen.change
    obs = pd.DataFrame(
        {
            "part": ["test" if at < known else "new" for at in kept],
            "cells": [len(listed[at].cells) for at in kept],
            "splits": times[kept],
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
    found: Sequence[_Tested],
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
    first = {int(at): one.change[at] for one in found if one.seed == 0 for at in one.split.test}
    shown = sorted(first)
    drawn = {
        "scores": figures.scores(done.summary, baselines=job.baselines, top=settings.top),
        "changes": figures.changes(
            np.stack([first[at] for at in shown]),
            screen.change[shown],
            [screen.perturbations[at].name for at in shown],
            screen.targets()[shown],
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
