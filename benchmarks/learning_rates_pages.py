"""The page and the figure of `learning_rates.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from common import markdown_table, number
from scgraph.bench.drawing import FAINT, INK, model_colors, new_figure, open_axis

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
    found = table[["mean"]].rename(columns={"mean": SCORE})
    found["moved"] = (table["max"] - table["min"]).where(several)
    found["moved_loss"] = ((losses["max"] - losses["min"]) / losses["mean"]).where(several)
    return found.reset_index()


def chosen_rates(points: pd.DataFrame, *, margin: float) -> pd.DataFrame:
    """The rate of each model: of those at which it is stable, the one with the best score; the larger on a tie.

    Means are over the seeds of a set, then over the sets that have all rates of the model. A rate is stable where a
    seed moves by no more than `margin` between processors, in the mean over seeds and sets. Where no rate is, the one
    that moves least is taken.

    Returns:
        One row a model, in order of appearance: learning_rate, score, moved, stable, sets.
    """
    import pandas as pd

    rows = []
    for model, own in moved_apart(points).groupby("model", sort=False):
        table = own.pivot_table([SCORE, "moved"], "learning_rate", "dataset")
        whole = table[[column for column in table if column[0] == SCORE]].dropna(axis="columns")
        scores = whole.mean(axis="columns")
        apart = own.groupby("learning_rate")["moved"].mean().fillna(0.0)
        stable = apart <= margin
        best = apart.idxmin()
        if stable.any():
            top = scores[stable]
            best = max(rate for rate, reached in top.items() if reached == top.max())
        rows.append(
            {
                "model": model,
                "learning_rate": best,
                "score": scores[best],
                "moved": apart[best],
                "stable": bool(stable[best]),
                "sets": len(whole.columns),
            }
        )
    return pd.DataFrame(rows)


def rates_markdown(points: pd.DataFrame, *, margin: float) -> str:
    """The text of `rates.md`."""
    import pandas as pd

    apart = moved_apart(points)
    blocks = [
        "# Learning rates\n",
        f"Macro-F1 of the probe on the validation part; the test part was never looked at. In a cell: mean over seeds, "
        f"then how far one seed lies apart between processors, mean and largest, in points. {_processors(points)} In "
        "bold the rate that is taken: the best of those at which a seed moves by no more than "
        f"{100 * margin:g} point in the mean.\n",
    ]
    chosen = chosen_rates(points, margin=margin).set_index("model")
    for dataset, part in apart.groupby("dataset", sort=False):
        rates = sorted(part["learning_rate"].unique(), reverse=True)
        body = []
        for model, own in part.groupby("model", sort=False):
            cells = []
            for rate in rates:
                seeds = own[own["learning_rate"] == rate]
                text = "-"
                if len(seeds):
                    text = number(float(seeds[SCORE].mean()))
                    if seeds["moved"].notna().any():
                        text += f", {100 * seeds['moved'].mean():.1f} / {100 * seeds['moved'].max():.1f}"
                cells.append(f"**{text}**" if rate == chosen.loc[str(model), "learning_rate"] else text)
            body.append([f"`{model}`", *cells])
        sizes = points[points["dataset"] == dataset]
        blocks += [
            f"## {dataset}\n",
            f"{int(part['seed'].nunique())} seeds, {_span(sizes['steps'])} steps of pretraining, "
            f"{_span(sizes['n_validation'])} validation cells.\n",
            markdown_table(["model", *(f"{rate:g}" for rate in rates)], body),
        ]
    rows: list[list[str]] = []
    for name, row in chosen.iterrows():
        model = str(name)
        own = apart[(apart["model"] == model) & (apart["learning_rate"] == row["learning_rate"])]
        loss = own["moved_loss"].max()
        rows.append(
            [
                f"`{model}`",
                f"{row['learning_rate']:g}",
                number(row["score"]),
                number(100 * own["moved"].mean(), ".1f"),
                number(100 * own["moved"].max(), ".1f"),
                "-" if pd.isna(loss) else f"{loss:.1e}",
                "yes" if row["stable"] else "no",
            ]
        )
    header = ["model", "rate", "macro-F1", "moved, mean", "moved, most", "loss moved, most", "stable"]
    blocks += ["## What is taken\n", markdown_table(header, rows)]
    return "\n".join(blocks)


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
