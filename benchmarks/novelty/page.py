"""The tables of novelty: means over the classes of a set, and over sets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmarks.harness.text import markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["novelty_markdown"]


def novelty_markdown(rows: Sequence[dict[str, Any]], chosen: Sequence[str]) -> str:
    """The text of `novelty.md`.

    Args:
        rows: as `results.csv` has them.
        chosen: sets that a score was chosen on.
    """
    import pandas as pd

    frame = pd.DataFrame(rows)
    by_set = frame.groupby(["rule", "dataset"], sort=False)[["auroc", "unknown_left_out", "unknown_known"]].mean()
    sets = list(dict.fromkeys(frame["dataset"]))
    groups = {
        "sets that it was chosen on": [name for name in sets if name in chosen],
        "other sets": [name for name in sets if name not in chosen],
    }
    groups = {title: names for title, names in groups.items() if names}
    blocks = [
        "# Cells of a class that the reference lacks\n",
        "Each class is left out of the reference in turn, and of the components too; AUROC of its cells against cells "
        "of the other classes that nothing was fitted to, share of its cells that end as unknown, and share of the "
        "others that do so wrongly. Means over the classes of a set, then over sets. One score gives up 5 % of the "
        "held-out cells of the reference, where no other share stands.\n",
    ]
    header = ["score", *(f"{what}, {title}" for title in groups for what in ("AUROC", "left out", "known"))]
    body = [
        [rule, *(cell for names in groups.values() for cell in _cells(by_set.loc[rule].loc[names]))]
        for rule in dict.fromkeys(frame["rule"])
    ]
    blocks += [
        markdown_table(header, body),
        *(f"{title}: {', '.join(names)}.\n" for title, names in groups.items()),
        "## Every set\n",
        "AUROC, and share of unknown cells, left out / known.\n",
        markdown_table(
            ["score", *sets],
            [[rule, *(_short(by_set.loc[rule].loc[name]) for name in sets)] for rule in dict.fromkeys(frame["rule"])],
        ),
    ]
    return "\n".join(blocks)


def _cells(frame: pd.DataFrame) -> list[str]:
    means = frame.mean()
    shares = (number(float(means[name]), ".1%") for name in ("unknown_left_out", "unknown_known"))
    return [number(float(means["auroc"])), *shares]


def _short(means: pd.Series) -> str:
    auroc, new, known = (float(means[name]) for name in ("auroc", "unknown_left_out", "unknown_known"))
    shares = f"{new:.0%} / {known:.0%}"
    return shares if math.isnan(auroc) else f"{auroc:.2f}, {shares}"
