"""What the rows of several benches say over sets: a model against every baseline, in every use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmarks.harness.text import markdown_table
from scgraph.reporting.rows import BASELINES, BESIDE, UNTRAINED
from scgraph.reporting.statistics import paired_difference

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

__all__ = ["QUESTIONS", "differences", "embeddings_markdown", "one_value_a_seed", "read_table"]

QUESTIONS = {
    ("labels", "", "macro_f1"): "all labels",
    ("few", "20", "macro_f1"): "20 labels a class",
    ("few", "10", "macro_f1"): "10 labels a class",
    ("few", "5", "macro_f1"): "5 labels a class",
    ("shallow", "0.5", "macro_f1"): "test cells at 50 % of their depth",
    ("shallow", "0.2", "macro_f1"): "test cells at 20 %",
    ("shallow", "0.1", "macro_f1"): "test cells at 10 %",
    ("batches", "", "macro_f1"): "every batch held out in turn",
    ("neighbors", "", "macro_f1"): "15 nearest neighbors",
    ("neighbors", "", "purity"): "purity of 15 neighbors",
    ("imputation", "own", "deviance_explained"): "imputation, by itself",
    ("imputation", "ridge", "deviance_explained"): "imputation, ridge on the vector",
    ("imputation", "neighbors", "deviance_explained"): "imputation, neighbors",
}
"""What was asked, by use, level and metric, in the order of the tables."""


def read_table(path: Path) -> pd.DataFrame:
    """Return a table that a bench wrote: "none" is a model, no missing value, and levels stay as they are written."""
    import pandas as pd

    return pd.read_csv(path, keep_default_na=False, na_values=["", "nan"], dtype={"level": str})


def one_value_a_seed(results: pd.DataFrame, uses: pd.DataFrame) -> pd.DataFrame:
    """Return one row a dataset, seed, model and question: draws and batches averaged, in points of 100.

    Args:
        results: `results.csv` of the benches, one after another.
        uses: their `uses.csv`.
    """
    import pandas as pd

    labels = results.assign(use="labels", level="", metric="macro_f1", value=results["macro_f1"])
    columns = ["dataset", "seed", "model", "use", "level", "metric", "value"]
    uses = uses.assign(level=uses["level"].fillna("").astype(str))
    uses = uses[uses["use"] != "labels"]
    whole = pd.concat([labels[columns], uses[columns]])
    means = whole.groupby(columns[:-1], sort=False)["value"].mean().reset_index()
    return means.assign(value=100 * means["value"])


def differences(values: pd.DataFrame, model: str, other: str) -> pd.DataFrame:
    """Return how far a row is ahead of another, a number a set and question: paired by seed, averaged over seeds.

    Args:
        values: from `one_value_a_seed`.
        model: the row.
        other: the row it is compared with.
    """
    keys = ["dataset", "use", "level", "metric", "seed"]
    own, against = (values[values["model"] == name].set_index(keys)["value"] for name in (model, other))
    paired = (own - against).dropna()
    return paired.groupby(keys[:-1], sort=False).mean().rename("difference").reset_index()


def embeddings_markdown(values: pd.DataFrame, models: Sequence[str], chosen: Sequence[str]) -> str:
    """The text of `embeddings.md`.

    Args:
        values: from `one_value_a_seed`.
        models: rows that are compared with their untrained start and every baseline, and the first with the others;
            where the benches have components beside the vectors of the first, this row is compared too.
        chosen: sets that settings were chosen on.
    """
    sets = list(dict.fromkeys(values["dataset"]))
    kept = [name for name in sets if name not in chosen]
    blocks = [
        "# Are the embeddings worth taking?\n",
        "Points (hundredths) of macro-F1, purity or deviance explained; mean over sets [95 % t interval over sets], on "
        f"how many sets the model is ahead. {_seeds(values)}, each with a pretraining, a split and draws of its own; "
        "differences are paired by seed. Models and components learned from the same cells, the train part of the set, "
        "without labels.\n",
        f"Settings were chosen on {', '.join(chosen) or 'none of them'}; the others, {', '.join(kept) or 'none'}, were "
        "not looked at for that.\n",
    ]
    rows = set(values["model"])
    baselines = [name for name in BASELINES if name in rows and name != "majority"]
    compared = {model: [model + UNTRAINED, *baselines] for model in models}
    beside = BESIDE + models[0]
    if beside in rows:
        compared[beside] = [models[0], models[0] + UNTRAINED, *baselines]
    for model, others in compared.items():
        groups = {f"all {len(sets)} sets": sets, f"the {len(kept)} sets that nothing was chosen on": kept}
        for title, group in groups.items():
            part = values[values["dataset"].isin(group)]
            if len(group) < 2:
                continue
            blocks += [f"## {model}, {title}\n", _table(part, model, others)]
    if len(models) > 1:
        blocks += ["## The models against each other\n", *_between_models(values, models, kept)]
    blocks += ["## Every set\n", "Means over seeds.\n", *_sets(values, sets)]
    return "\n".join(blocks)


def _seeds(values: pd.DataFrame) -> str:
    """Say how many seeds a set has, and where a use was asked with fewer."""
    numbers = {}
    for use, part in values.groupby("use", sort=False):
        counts = part.groupby("dataset")["seed"].nunique()
        few, many = int(counts.min()), int(counts.max())
        numbers[str(use)] = str(few) if few == many else f"{few} to {many}"
    others = [f"{use}: {number}" for use, number in numbers.items() if number != numbers["labels"]]
    return f"{numbers['labels']} seeds a set" + (f" ({', '.join(others)})" if others else "")


def _table(values: pd.DataFrame, model: str, others: Sequence[str]) -> str:
    compared = {other: differences(values, model, other) for other in others}
    rows = []
    for question, title in QUESTIONS.items():
        cells = [_over_sets(frame, question) for frame in compared.values()]
        if any(cell != "-" for cell in cells):
            rows.append([title, *cells])
    return markdown_table(["", *(f"minus {other}" for other in others)], rows)


def _between_models(values: pd.DataFrame, models: Sequence[str], kept: Sequence[str]) -> list[str]:
    """Compare the first model with the others on the sets that have both."""
    first, *others = models
    blocks = []
    for title, part in (
        ("All sets", values),
        ("The sets that nothing was chosen on", values[values["dataset"].isin(kept)]),
    ):
        if part["dataset"].nunique() > 1:
            blocks += [f"{title}:\n", _table(part, first, others)]
    return blocks


def _over_sets(frame: pd.DataFrame, question: tuple[str, str, str]) -> str:
    use, level, metric = question
    here = frame[(frame["use"] == use) & (frame["level"] == level) & (frame["metric"] == metric)]["difference"]
    if not len(here):
        return "-"
    ahead = f"{int((here > 0).sum())} of {len(here)}"
    if len(here) < 2:
        return f"{here.mean():+.1f}, {ahead}"
    over = paired_difference(here, 0 * here)
    return f"{over.mean:+.1f} [{over.low:+.1f}, {over.high:+.1f}], {ahead}"


def _sets(values: pd.DataFrame, sets: Sequence[str]) -> list[str]:
    blocks = []
    for name in sets:
        part = values[values["dataset"] == name]
        means = part.groupby(["model", "use", "level", "metric"], sort=False)["value"].mean()
        there = [key for key in QUESTIONS if any(key == index[1:] for index in means.index)]
        rows = [
            [f"`{model}`", *(_number(means, (model, *key)) for key in there)] for model in dict.fromkeys(part["model"])
        ]
        blocks += [f"### {name}\n", markdown_table(["row", *(QUESTIONS[key] for key in there)], rows)]
    return blocks


def _number(means: pd.Series, key: tuple[str, ...]) -> str:
    value = float(means.get(key, math.nan))
    return "-" if math.isnan(value) else f"{value:.1f}"
