"""What the page of `gene_graph` says of known edges, and of edges that other settings share with the first ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.harness.text import markdown_table, number
from scgraph.genes.known.recovery import METRICS
from scgraph.genes.known.report import agreement_rows, agreement_verdict, recovery_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from scgraph.genes import Agreement, Recovery

__all__ = ["comparison_tables", "comparisons"]

SHOWN = ("learned", "change", "embedding", "correlation")


def comparison_tables(recovered: Mapping[str, Recovery], agreed: Mapping[str, Agreement]) -> dict[str, pd.DataFrame]:
    """Return the tables as files, with the settings in front."""
    import pandas as pd

    parts = {
        "known.csv": {name: one.table for name, one in recovered.items()},
        "known_differences.csv": {name: one.differences for name, one in recovered.items()},
        "agreement.csv": {name: one.table for name, one in agreed.items()},
    }
    return {
        file: pd.concat(tables, names=["settings"]).reset_index(level="settings")
        for file, tables in parts.items()
        if tables
    }


def comparisons(recovered: Mapping[str, Recovery], agreed: Mapping[str, Agreement]) -> str:
    """Return the sections: known edges of the first settings, of all settings, edges that are shared."""
    parts = []
    if recovered:
        first = next(iter(recovered))
        parts += [f"Settings `{first}`:\n", recovery_markdown(recovered[first])]
        if len(recovered) > 1:
            parts += ["# Known edges, all settings\n", _all_settings(recovered)]
    if agreed:
        first_row = agreement_rows(next(iter(agreed.values())))[0]
        rows = [[f"`{name}`", *row.values()] for name, one in agreed.items() for row in agreement_rows(one)]
        parts += ["# Edges shared with the first settings\n"]
        parts += [f"`{name}`: {agreement_verdict(one)}\n" for name, one in agreed.items()]
        parts += [markdown_table(["settings", *first_row], rows)]
        parts.append("The row `correlation` compares two halves of the cells; `by chance`: with the same hubs.\n")
    return "\n".join(parts) + "\n" if parts else ""


def _all_settings(recovered: Mapping[str, Recovery]) -> str:
    header = [
        "known",
        "network",
        "settings",
        "early precision ratio",
        "by chance [95 %]",
        "p",
        "odds ratio",
        "AUPRC ratio",
    ]
    rows: list[list[str]] = []
    for known in dict.fromkeys(next(iter(recovered.values())).table["known"]):
        for network in SHOWN:
            for name, one in recovered.items():
                found: Any = one.table[(one.table["known"] == known) & (one.table["network"] == network)]
                if not len(found):
                    continue
                row = found.iloc[0]
                low, mean, high = (row[f"{METRICS[0]}{end}"] / row["density"] for end in ("_low", "_chance", "_high"))
                rows.append(
                    [
                        str(known),
                        network,
                        f"`{name}`",
                        number(row["early_precision_ratio"], ".2f"),
                        f"{mean:.2f} [{low:.2f}, {high:.2f}]",
                        f"{row['early_precision_p']:.2g}",
                        number(row["odds_ratio"], ".2f"),
                        number(row["auprc_ratio"], ".2f"),
                    ]
                )
    return markdown_table(header, rows)
