"""The page of `objectives`: every row minus the default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.harness.text import markdown_table
from benchmarks.objectives.ideas import DEFAULT, IDEAS
from benchmarks.objectives.trial import SCORES
from scgraph.reporting.statistics import paired_difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["objectives_markdown"]

_KEY = ["dataset", "seed"]


def objectives_markdown(points: pd.DataFrame, *, held_out: bool) -> str:
    """Return the table.

    Args:
        points: dataset, seed, row, question, value between 0 and 1.
        held_out: whether the scored cells are those of a batch of which nothing was learned.
    """
    cells = points[points["question"].isin(SCORES)]
    rows = list(dict.fromkeys(cells["row"]))
    asked = [name for name in SCORES if name in set(cells["question"])]
    pairs = len(cells[_KEY].drop_duplicates())
    wide = {
        name: cells[cells["question"] == name].pivot_table("value", _KEY, "row").reindex(columns=rows) for name in asked
    }
    lines = [[f"{DEFAULT}, its score", *(f"{100 * wide[name][DEFAULT].mean():.1f}" for name in asked), ""]]
    for row in rows:
        if row != DEFAULT:
            gains = [_gain(wide[name][row].tolist(), wide[name][DEFAULT].tolist()) for name in asked]
            lines.append([row, *(text for text, _ in gains), _said(asked, [sign for _, sign in gains])])
    part = "a batch of which no cell was learned from" if held_out else "the validation part"
    means = [
        [row, *(f"{100 * value:.1f}" for name in asked for value in [wide[name].loc[key, row]])]
        for key in wide[asked[0]].index
        for row in rows
    ]
    told = [idea.name for idea in IDEAS if idea.sees_labels and idea.name in rows]
    labelled = [
        f"**These rows see all labels of the train part in training: {', '.join(told)}.** Their 5 labels a class and "
        "their purity are no scores of vectors that have seen no label.\n"
    ]
    places = [f"{dataset}, seed {seed}" for dataset, seed in wide[asked[0]].index for _ in rows]
    return "\n".join(
        [
            f"Points (hundredths) of macro-F1, purity or deviance explained on {part}; the test parts were not looked "
            f"at. Rows below the first: minus the default, mean [95 % t interval] over {pairs} pairs of set and seed, "
            "each with a split and a training of its own. Seeds of one set share cells, and of several rows and "
            "questions one interval in twenty excludes 0 by chance.\n",
            *(labelled if told else []),
            markdown_table(["row", *(SCORES[name] for name in asked), "intervals that exclude 0"], lines),
            "Every pair:\n",
            markdown_table(
                ["set", "row", *(SCORES[name] for name in asked)],
                [[place, *line] for place, line in zip(places, means, strict=True)],
            ),
        ]
    )


def _gain(own: Sequence[float], default: Sequence[float]) -> tuple[str, int]:
    found = paired_difference(list(own), list(default))
    if found.n < 2:
        return (f"{100 * found.mean:+.1f}" if found.n else "-"), 0
    text = f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return text, (found.low > 0) - (found.high < 0)


def _said(asked: Sequence[str], signs: Sequence[int]) -> str:
    """Say which intervals exclude 0, and on which side."""
    kinds = {"ahead": 1, "behind": -1}
    said = [
        f"{word}: {', '.join(SCORES[name] for name, one in zip(asked, signs, strict=True) if one == sign)}"
        for word, sign in kinds.items()
        if sign in signs
    ]
    return "; ".join(said) or "none"
