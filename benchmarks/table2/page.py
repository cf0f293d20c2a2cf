"""table2.md: accuracy at the settings of Table II beside the paper's, and the paired differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmarks.harness.text import markdown_table, number, signed
from benchmarks.table2.paper import DATASETS, paper_row
from scgraph.reporting.rows import BASELINES, UNTRAINED
from scgraph.reporting.statistics import mean_sd, paired_difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

__all__ = ["accuracy_markdown", "differences"]

METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
OVERALL = "all settings"


def differences(results: pd.DataFrame, *, margin: float) -> pd.DataFrame:
    """Paired differences gnn - tf: a row a setting, data set and metric, and over all of them.

    Over data sets or settings the metric is averaged within a seed first, so that the seeds are the pairs: what
    one split does to every setting is not counted five times.

    Args:
        results: rows of all settings.
        margin: of the test of equivalence, in units of the metric.
    """
    import pandas as pd

    sets = list(dict.fromkeys(results["dataset"]))
    rows: list[dict[str, Any]] = []
    for setting in [*dict.fromkeys(results["setting"]), OVERALL]:
        part = results if setting == OVERALL else results[results["setting"] == setting]
        for dataset in [*sets, *(["all sets"] if len(sets) > 1 else [])]:
            chosen = part[part["dataset"] == dataset] if dataset in sets else part
            for metric in METRICS:
                table = chosen.pivot_table(index="seed", columns="model", values=metric, aggfunc="mean")
                found = paired_difference(table["gnn"], table["tf"], margin=margin)
                rows.append(
                    {"setting": setting, "dataset": dataset, "metric": metric, "mean": found.mean, "low": found.low}
                    | {"high": found.high, "n": found.n, "p": found.p_equivalence, "equivalent": found.equivalent}
                )
    return pd.DataFrame(rows)


def accuracy_markdown(results: pd.DataFrame, settings: Mapping[str, Any], *, scale: int, margin: float) -> str:
    """The text of `table2.md`."""
    sets = list(dict.fromkeys(results["dataset"]))
    seeds = results["seed"].nunique()
    width = "the paper's channels" if scale == 1 else f"the paper's channels divided by {scale}"
    blocks = [
        "# Table II: accuracy\n",
        f"{', '.join(sets)}; {seeds} {'seed' if seeds == 1 else 'seeds'}; C/G of the paper in the first column, run "
        f"with {width}. Mean ± standard deviation over seeds, of the average over sets. The paper's column is its "
        f"average over {', '.join(DATASETS)}: other cells than ours, so only differences between its rows compare.\n",
        markdown_table(
            ["C/G", "model", "channels", "multiply-adds", "accuracy", "macro-F1", "untrained", "paper's accuracy"],
            [_row(results, name, model, scale) for name in results["setting"].unique() for model in ("gnn", "tf")],
        ),
        "Baselines on the same splits:\n",
        _baselines(results),
        "## gnn minus tf, in points\n",
        f"Paired by seed, with a 95 % t interval; equivalent: two one-sided t tests within ± {100 * margin:g} points, "
        "each at level 0.05. Over sets and over all settings the scores of a seed are averaged first. The seeds "
        "share cells, so this speaks of new seeds, not of new data.\n",
        _difference_table(results, margin),
        "## Notes\n",
        *(f"- {note}" for note in dict.fromkeys(note for entry in settings.values() for note in entry["notes"])),
    ]  # fmt: skip
    return "\n".join(blocks) + "\n"


def _row(results: pd.DataFrame, setting: str, model: str, scale: int) -> list[str]:
    channels, genes = (int(part) for part in setting.split("/"))
    own = results[(results["setting"] == setting) & (results["model"] == model)]
    blank = results[(results["setting"] == setting) & (results["model"] == model + UNTRAINED)]
    return [
        setting,
        model,
        str(channels // scale),
        f"{own['multiply_adds'].iloc[0] / 1e6:,.1f} M",
        *(_mean_and_sd(own, metric) for metric in METRICS),
        _mean_and_sd(blank, "accuracy"),
        f"{paper_row(channels, genes, model).accuracy:.3f}",
    ]


def _baselines(results: pd.DataFrame) -> str:
    first = results[results["setting"] == results["setting"].iloc[0]]
    rows = [
        [dataset, model, *(_mean_and_sd(part[part["model"] == model], metric) for metric in METRICS)]
        for dataset, part in first.groupby("dataset", sort=False)
        for model in BASELINES
        if model in set(part["model"])
    ]
    return markdown_table(["set", "model", *METRICS.values()], rows)


def _difference_table(results: pd.DataFrame, margin: float) -> str:
    found = differences(results, margin=margin)
    rows: list[list[str]] = []
    for (setting, dataset), part in found.groupby(["setting", "dataset"], sort=False):
        row = [str(setting), str(dataset)]
        for metric in METRICS:
            one = part[part["metric"] == metric].iloc[0]
            answer = "-" if one["equivalent"] is None else "yes" if one["equivalent"] else "no"
            row += [signed(one["mean"], one["low"], one["high"]), answer, number(one["p"])]
        rows.append([*row, _paper_difference(str(setting))])
    header = ["C/G", "set", "accuracy", "equivalent", "p", "macro-F1", "equivalent", "p", "paper's accuracy"]
    return markdown_table(header, rows)


def _paper_difference(setting: str) -> str:
    if setting == OVERALL:
        return "-"
    channels, genes = (int(part) for part in setting.split("/"))
    return f"{100 * (paper_row(channels, genes, 'gnn').accuracy - paper_row(channels, genes, 'tf').accuracy):+.2f}"


def _mean_and_sd(rows: pd.DataFrame, metric: str) -> str:
    whole = mean_sd(rows.groupby("seed")[metric].mean())
    return f"{whole.mean:.3f} ± {whole.sd:.3f}" if math.isfinite(whole.sd) else number(whole.mean)
