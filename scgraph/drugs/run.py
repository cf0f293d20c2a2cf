"""A run on drug combinations from three tables to output folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scgraph.config_files import as_config
from scgraph.display import short_repr
from scgraph.drugs import figures
from scgraph.drugs.chemistry import check_rdkit
from scgraph.drugs.config import SPLITS, DrugsConfig
from scgraph.drugs.methods import BASELINES, DrugExperiment
from scgraph.drugs.scores import score_rows, summarise
from scgraph.drugs.screen import read_drug_screen
from scgraph.drugs.splits import drug_folds
from scgraph.drugs.tables import summary_markdown
from scgraph.errors import ConfigError, argument, did_you_mean
from scgraph.files import json_text, output_folder, write_atomic
from scgraph.models.names import model_name
from scgraph.reporting.bars import progress_bars
from scgraph.reporting.drawing import image_bytes, png
from scgraph.reporting.environment import environment
from scgraph.reporting.escape import csv_text
from scgraph.reporting.wording import records
from scgraph.train import resolve_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

    from scgraph.drugs.screen import DrugScreen
    from scgraph.drugs.splits import DrugFold

__all__ = ["DrugsResult", "run_drugs"]

OWNED = (
    "results.csv",
    "predictions.csv",
    "summary.json",
    "summary.md",
    "scores.png",
    "scores.svg",
    "config.yaml",
    "environment.json",
)


@short_repr
class DrugsResult(NamedTuple):
    """What a run found.

    Attributes:
        results: one row a fold and model; see `scgraph.drugs.scores.score_rows`.
        summary: one row a model; see `scgraph.drugs.scores.summarise`.
        predictions: one row a test row of a fold, a column a model.
        notes: what must be said aloud.
        folder: where the files are, None where nothing was written.
    """

    results: pd.DataFrame
    summary: pd.DataFrame
    predictions: pd.DataFrame
    notes: tuple[str, ...]
    folder: Path | None


def run_drugs(
    combinations: str | Path | pd.DataFrame,
    lines: str | Path | AnnData,
    drugs: str | Path | pd.DataFrame,
    *,
    split: str = "pair",
    model: str | None = None,
    layer: str | None = None,
    values: str | None = None,
    config: DrugsConfig | str | Path | dict[str, Any] | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    show_progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
    command: Sequence[str] | None = None,
) -> DrugsResult:
    """Predict the scores of drug combinations that training has not seen, beside baselines and wrong lines.

    Args:
        combinations: a table with ``drug_a``, ``drug_b``, ``cell_line`` and the score; see `read_drug_screen`.
        lines: expression of the cell lines, an .h5ad file or AnnData.
        drugs: a table with ``drug`` and ``smiles``.
        split: what the test rows hold that no training row does: ``pair``, ``drug`` or ``line``.
        model: name of the convolution that embeds a line; None for that of the settings.
        layer: layer of `lines` to read instead of X.
        values: what the values of `lines` are, where they do not show it; see `scgraph.data.read_cells`.
        config: settings, a YAML file of them, or None for the defaults; see `DrugsConfig`.
        out: folder for the results; None writes nothing.
        device: auto, cpu, cuda or cuda:N.
        overwrite: replace an earlier run in `out`.
        show_progress: show a bar.
        say: told what was read and done.
        command: words for `environment.json`; by default those of this process.

    Raises:
        DataError: a table cannot be used, or a SMILES cannot be read.
        ConfigError: an impossible setting, no such model or split, or rdkit is missing.
        OutputError: the folder cannot be written to; said before the work starts.
        TrainingError: a loss is not finite.
    """
    settings = as_config(DrugsConfig, config or {})
    if split not in SPLITS:
        raise ConfigError(f"{argument('split')}: there is no split {split!r}.{did_you_mean(split, SPLITS)}")
    settings = _with_model(settings, model or settings.model.conv)
    place = resolve_device(device)
    check_rdkit()
    screen = read_drug_screen(combinations, lines, drugs, score=settings.score, layer=layer, values=values)
    shares = {"folds": settings.folds, "validation_share": settings.validation_share, "seed": settings.seed}
    folds = drug_folds(screen, split, **shares)  # type: ignore[arg-type]
    job = DrugExperiment(screen, settings, place)
    job.check()
    notes = (*screen.notes, *_how(screen, folds, split, settings))
    for note in notes:
        say(note)
    with output_folder(out, overwrite=overwrite, owned=OWNED) as folder:
        results, predictions = _tested(job, folds, show_progress=show_progress, say=say)
        done = DrugsResult(results, summarise(results, BASELINES), predictions, notes, folder)
        if folder is not None:
            _write(done, folder, job, split, command)
    return done


def _with_model(settings: DrugsConfig, name: str) -> DrugsConfig:
    known = model_name(name)
    if known.prefix:
        raise ConfigError(
            f"{argument('model')}: {name} has a decoder, and a cell line is embedded without one. Use {known.conv}."
        )
    return settings.model_copy(update={"model": settings.model.model_copy(update={"conv": known.key})})


def _how(screen: DrugScreen, folds: Sequence[DrugFold], split: str, settings: DrugsConfig) -> list[str]:
    """Say what is tested, and what the labels are."""
    sizes = [round(float(np.mean([len(part) for part in parts]))) for parts in zip(*map(_parts, folds), strict=True)]
    positive = int((screen.score > settings.synergistic).sum())
    negative = int((screen.score < settings.antagonistic).sum())
    return [
        f"{len(folds)} folds of unseen {split}s, on average {sizes[0]:,} / {sizes[1]:,} / {sizes[2]:,} rows to train / "
        "validation / test",
        f"{settings.score} above {settings.synergistic:g} is labelled 1 ({positive:,} rows), below "
        f"{settings.antagonistic:g} 0 ({negative:,} rows); {len(screen) - positive - negative:,} rows have no label",
    ]


def _parts(fold: DrugFold) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return fold.train, fold.validation, fold.test


def _tested(
    job: DrugExperiment, folds: Sequence[DrugFold], *, show_progress: bool, say: Callable[[str], None]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    screen, settings = job.screen, job.settings
    results, predictions = [], []
    with progress_bars(show_progress) as begin:
        move = begin("predicting scores")
        for number, fold in enumerate(folds):
            test, guesses = fold.test, {}
            for name, found in job.predict(fold, number):
                guesses[name] = found.score[test]
                scored = score_rows(
                    screen.score[test],
                    found.score[test],
                    screen.pair[test],
                    synergistic=settings.synergistic,
                    antagonistic=settings.antagonistic,
                )
                sizes = {"train": len(fold.train), "validation": len(fold.validation), "test": len(test)}
                results.append({"fold": number, "model": name, **scored, **sizes, "choice": found.choice})
            move(number + 1, len(folds))
            last = results[-len(guesses) :]
            shown = ", ".join(f"{row['model']} {row['pearson']:.3f}" for row in last if "," not in str(row["model"]))
            say(f"fold {number}: Pearson of {shown}")
            named = {
                "fold": number,
                "drug_a": [screen.drugs[at] for at in screen.pairs[test, 0]],
                "drug_b": [screen.drugs[at] for at in screen.pairs[test, 1]],
                "cell_line": [screen.lines[at] for at in screen.line[test]],
                settings.score: screen.score[test],
            }
            predictions.append(pd.DataFrame({**named, **{f"predicted: {name}": own for name, own in guesses.items()}}))
    return pd.DataFrame(results), pd.concat(predictions, ignore_index=True)


def _write(done: DrugsResult, folder: Path, job: DrugExperiment, split: str, command: Sequence[str] | None) -> None:
    import yaml

    settings, screen = job.settings, job.screen
    where = environment(command)
    text = summary_markdown(
        done.summary,
        split=split,
        model=next(iter(job.structures)),
        labels=(settings.synergistic, settings.antagonistic),
        notes=done.notes,
        environment=where,
    )
    origin = {key: screen.manifest[key] for key in ("sha256", "cells", "genes", "kind", "layer", "values")}
    figure = figures.scores(done.summary)
    write_atomic(folder / "results.csv", csv_text(done.results, float_format="%.6g"))
    write_atomic(folder / "predictions.csv", csv_text(done.predictions, float_format="%.6g"))
    write_atomic(folder / "config.yaml", yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False))
    write_atomic(folder / "environment.json", json_text(where | {"split": split, "lines": origin}))
    write_atomic(folder / "scores.png", png(figure))
    write_atomic(folder / "scores.svg", image_bytes(figure))
    write_atomic(folder / "summary.json", json_text({"split": split, "models": _plain(done.summary)}))
    write_atomic(folder / "summary.md", text)


def _plain(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows without NaN, which JSON does not know."""
    return [
        {key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in row.items()}
        for row in records(summary)
    ]
