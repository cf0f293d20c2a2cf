"""The committed comparisons of learned graphs with known edges, and of two seeds, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from docs.make.sources import RESULTS, source

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["known_block"]

NETWORKS = {
    "learned": "learned graph",
    "change": "its change since the start",
    "untrained": "untrained tables",
    "embedding": "gene embeddings",
    "correlation": "correlation of the cells",
}


def known_block(*names: str) -> str:
    """Return a table a file of known edges, one of the edges that seeds share, and where they come from."""
    titles = [name.rpartition("-")[2] for name in names]
    known = {title: _read(name, "known.csv") for title, name in zip(titles, names, strict=True)}
    apart = {title: _read(name, "known_differences.csv") for title, name in zip(titles, names, strict=True)}
    agreed = {title: _read(name, "agreement.csv") for title, name in zip(titles, names, strict=True)}
    lines: list[str] = []
    for file, rows in known[titles[0]].groupby("known", sort=False):
        first: Any = rows.iloc[0]
        lines += [
            f"**{file}**: {first['edges']:,} edges from {first['sources']:,} sources to {first['targets']:,} genes, "
            f"{first['density']:.2%} of the candidates; the seeds of each model one after the other.",
            "",
            "| network | early precision ratio | by chance | p | odds ratio | by chance | AUPRC ratio | by chance |",
            "|---|" + "---:|" * 7,
        ]
        for title, table in known.items():
            for network, label in NETWORKS.items():
                found = table[(table["known"] == file) & (table["network"] == network)]
                # The cells are the same for all models.
                last = network == "correlation"
                if (last and title != titles[-1]) or not len(found):
                    continue
                name = label if last else f"{title}: {label}"
                lines.append(f"| {name} | " + " | ".join(_scores(found.iloc[:1] if last else found)) + " |")
        lines.append("")
    lines += ["| average precision a source [95 %] | " + " | ".join(known[titles[0]]["known"].unique()) + " |"]
    lines += ["|---|" + "---:|" * known[titles[0]]["known"].nunique()]
    for title, table in apart.items():
        rows = table[table["other"] == "correlation"]
        for settings, group in rows.groupby("settings", sort=False):
            cells = [f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]" for _, row in group.iterrows()]
            lines.append(f"| {title} (`{settings}`): learned graph minus correlation | " + " | ".join(cells) + " |")
    lines += ["", "| edges that two seeds share | " + " | ".join(titles) + " |", "|---|" + "---:|" * len(titles)]
    for network, label in NETWORKS.items():
        cells = []
        for table in agreed.values():
            row = table[table["network"] == network].iloc[0]
            cells.append(f"{row['shared']:.1%} (by chance {row['chance']:.1%})")
        lines.append(f"| {label}{', two halves' if network == 'correlation' else ''} | " + " | ".join(cells) + " |")
    lines.append("")
    for title, name in zip(titles, names, strict=True):
        lines.append(f"- {title}: [all scores](benchmarks/results/{name}/table.md). {source(name)}")
    return "\n".join(lines) + "\n"


def _read(name: str, file: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / name / file)


def _scores(rows: pd.DataFrame) -> list[str]:
    """Return early precision ratio, odds ratio and AUPRC ratio with their chance, of every seed."""

    def each(value: Callable[[Any], str]) -> str:
        return ", ".join(value(row) for _, row in rows.iterrows())

    return [
        each(lambda row: f"{row['early_precision_ratio']:.2f}"),
        each(lambda row: f"{_over(row, 'early_precision_low')} to {_over(row, 'early_precision_high')}"),
        each(lambda row: f"{row['early_precision_p']:.2g}"),
        each(lambda row: f"{row['odds_ratio']:.2f}"),
        each(lambda row: f"{row['odds_ratio_low']:.2f} to {row['odds_ratio_high']:.2f}"),
        each(lambda row: f"{row['auprc_ratio']:.2f}"),
        each(lambda row: f"{_over(row, 'auprc_low')} to {_over(row, 'auprc_high')}"),
    ]


def _over(row: Any, name: str) -> str:
    return f"{row[name] / row['density']:.2f}"
