"""The page and the figure of `learning_rates`, and the rule by which a rate is taken."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmarks.harness.text import markdown_table, number, signed
from scgraph.reporting.drawing import FAINT, INK, model_colors, new_figure, open_axis
from scgraph.reporting.statistics import paired_difference

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["chosen_rates", "draw_rates", "moved_apart", "rates_markdown"]

SCORE = "validation_macro_f1"
LOSS = "validation_mvp_loss"


def moved_apart(points: pd.DataFrame) -> pd.DataFrame:
    """How far one seed of a set, model and rate lies apart between processors: largest minus smallest.

    Returns:
        One row a dataset, model, learning rate and seed: its mean score over processors, `moved` in macro-F1 and
        `moved_loss` relative to the loss; NaN where there is one processor only.
    """
    groups = points.groupby(["dataset", "model", "learning_rate", "seed"], sort=False)
    table = groups[SCORE].agg(["mean", "max", "min", "count"])
    losses = groups[LOSS].agg(["mean", "max", "min"])
    several = table["count"] > 1
    apart = table[["mean"]].rename(columns={"mean": SCORE})
    apart["moved"] = (table["max"] - table["min"]).where(several)
    apart["moved_loss"] = ((losses["max"] - losses["min"]) / losses["mean"]).where(several)
    return apart.reset_index()


def chosen_rates(points: pd.DataFrame, *, shared: float, margin: float) -> pd.DataFrame:
    """The rate of each model, and every other rate beside the one that all models share.

    A rate is stable where no seed of a set moves by more than `margin` between processors, as far as there are several.
    A model keeps the shared rate where that is stable and no stable rate has a gain over it whose interval lies above
    0; otherwise it takes the stable rate with the best mean score, and of equal ones the largest. Where no rate is
    stable, it takes the one that moves least.

    Args:
        points: as measured.
        shared: rate of all models that have none of their own.
        margin: in macro-F1.

    Returns:
        One row a model and rate: learning_rate, score (mean over seeds of a set, then over sets), `moved` (mean over
        seeds), `moved_most` and `moved_loss` (largest), `stable`, `gain` over the shared rate with `low` and `high`
        (95 %, paired by set and seed, the score of a seed being its mean over processors; NaN where there is none),
        `taken`.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for model, own in moved_apart(points).groupby("model", sort=False):
        scores = own.pivot_table(SCORE, ["dataset", "seed"], "learning_rate").dropna(axis="index")
        means = scores.groupby("dataset").mean().mean()
        listed: list[dict[str, Any]] = []
        for rate in sorted(own["learning_rate"].unique()):
            part = own[own["learning_rate"] == rate]
            most = float(part["moved"].max())
            gain = {"gain": math.nan, "low": math.nan, "high": math.nan}
            if rate != shared and shared in scores:
                pair = paired_difference(scores[rate].tolist(), scores[shared].tolist(), margin=margin)
                gain = {"gain": pair.mean, "low": pair.low, "high": pair.high}
            listed.append(
                {"model": str(model), "learning_rate": float(rate), "score": float(means[rate])}
                | {"moved": float(part["moved"].mean()), "moved_most": most, "moved_loss": part["moved_loss"].max()}
                | {"stable": not most > margin, **gain}
            )
        rows += [{**row, "taken": row is _taken(listed, shared)} for row in listed]
    return pd.DataFrame(rows)


def _taken(rows: list[dict[str, Any]], shared: float) -> dict[str, Any]:
    stable = [row for row in rows if row["stable"]]
    if not stable:
        return min(rows, key=lambda row: row["moved_most"])
    usual = next((row for row in stable if row["learning_rate"] == shared), None)
    if usual is not None and not any(row["low"] > 0 for row in stable):
        return usual
    return max(stable, key=lambda row: (row["score"], row["learning_rate"]))


def rates_markdown(points: pd.DataFrame, *, shared: float, margin: float) -> str:
    """The text of `rates.md`."""
    apart = moved_apart(points)
    blocks = [
        "# Learning rates\n",
        f"Macro-F1 of the probe on the validation part; the test part was never looked at. In a cell: mean over seeds, "
        f"then how far one seed lies apart between processors, mean and largest, in points. {_processors(points)}\n",
    ]
    chosen = chosen_rates(points, shared=shared, margin=margin)
    taken = {(row["model"], row["learning_rate"]) for _, row in chosen[chosen["taken"]].iterrows()}
    for dataset, part in apart.groupby("dataset", sort=False):
        rates = sorted(part["learning_rate"].unique(), reverse=True)
        body = []
        for model, own in part.groupby("model", sort=False):
            cells = [_cell(own[own["learning_rate"] == rate], bold=(model, rate) in taken) for rate in rates]
            body.append([f"`{model}`", *cells])
        sizes = points[points["dataset"] == dataset]
        blocks += [
            f"## {dataset}\n",
            f"{int(part['seed'].nunique())} seeds, {_span(sizes['steps'])} steps of pretraining, "
            f"{_span(sizes['n_validation'])} validation cells.\n",
            markdown_table(["model", *(f"{rate:g}" for rate in rates)], body),
        ]
    rows = [
        [
            f"`{row['model']}`",
            f"**{row['learning_rate']:g}**" if row["taken"] else f"{row['learning_rate']:g}",
            number(row["score"]),
            signed(row["gain"], row["low"], row["high"]),
            number(100 * row["moved"], ".1f"),
            number(100 * row["moved_most"], ".1f"),
            number(row["moved_loss"], ".1e"),
            "-" if math.isnan(row["moved_most"]) else "yes" if row["stable"] else "no",
        ]
        for _, row in chosen.iterrows()
    ]
    over = f"points over {shared:g} [95 %]"
    header = ["model", "rate", "macro-F1", over, "moved, mean", "moved, most", "loss moved, most", "stable"]
    blocks += [
        "## What is taken\n",
        f"In bold. A rate is stable where no seed moves by more than {100 * margin:g} point. A model keeps the rate of "
        f"all, {shared:g}, where that is stable and no stable one has a gain whose interval lies above 0; otherwise it "
        "takes the stable rate with the best mean. Differences are paired by set and seed.\n",
        markdown_table(header, rows),
    ]
    return "\n".join(blocks)


def _cell(seeds: pd.DataFrame, *, bold: bool) -> str:
    if not len(seeds):
        return "-"
    text = number(float(seeds[SCORE].mean()))
    if seeds["moved"].notna().any():
        text += f", {100 * seeds['moved'].mean():.1f} / {100 * seeds['moved'].max():.1f}"
    return f"**{text}**" if bold else text


def _processors(points: pd.DataFrame) -> str:
    names = list(dict.fromkeys(points["processor"]))
    return f"Processors: {', '.join(f'`{name}`' for name in names)} (ATEN_CPU_CAPABILITY; native: the machine's own)."


def _span(values: Any) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def draw_rates(points: pd.DataFrame, *, margin: float) -> Figure:
    """Score, and how far a seed moves between processors, against the learning rate; a column a set."""
    apart = moved_apart(points)
    models, sets = list(dict.fromkeys(apart["model"])), list(dict.fromkeys(apart["dataset"]))
    colors = model_colors(models)
    figure = new_figure(3.6 * len(sets) + 2.0, 6.2)
    axes = figure.subplots(2, len(sets), squeeze=False, sharex=True)
    for column, dataset in enumerate(sets):
        score, spread = axes[:, column]
        for model in models:
            own = apart[(apart["dataset"] == dataset) & (apart["model"] == model)].groupby("learning_rate")
            mean = own[[SCORE, "moved"]].mean()
            style = {"color": colors[model], "marker": "o", "markersize": 4}
            score.plot(mean.index, mean[SCORE], label=model, **style)
            spread.plot(mean.index, 100 * mean["moved"], **style)
        spread.axhline(100 * margin, color=INK, linewidth=0.8, linestyle="--")
        score.set_title(dataset, loc="left", fontsize=10.5)
        for axis in (score, spread):
            axis.set_xscale("log")
            axis.grid(color=FAINT, linewidth=0.7)
            open_axis(axis)
        spread.set_xlabel("learning rate")
    axes[0, 0].set_ylabel("macro-F1, validation part")
    axes[1, 0].set_ylabel("a seed moves between processors, points")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False)
    return figure
