"""What known edges and another seed say of a learned graph, in words and tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scgraph.genes.enrichment.networks import CORRELATION, LEARNED
from scgraph.reporting.escape import for_markdown
from scgraph.reporting.tables import markdown_table
from scgraph.reporting.wording import records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scgraph.genes.known.agreement import Agreement
    from scgraph.genes.known.recovery import Recovery

__all__ = [
    "agreement_markdown",
    "agreement_rows",
    "agreement_verdict",
    "file_rows",
    "recovery_markdown",
    "recovery_rows",
    "recovery_verdicts",
]

_LEVEL = 0.05


def recovery_verdicts(recovery: Recovery) -> list[str]:
    """Say plainly, a sentence or two a file, what the strongest edges have to do with the known ones."""
    said = []
    for file in dict.fromkeys(recovery.table["known"]):
        rows = {row["network"]: row for row in records(recovery.table[recovery.table["known"] == file])}
        row, other = rows[LEARNED], rows[CORRELATION]
        finds = "finds" if row["early_precision_p"] < _LEVEL else "does not find"
        said.append(
            f"The learned graph {finds} the edges of {file} more often than random networks of the same degrees: of "
            f"its {row['edges']:,} strongest candidates {row['early_precision']:.2%} are known (early precision ratio "
            f"{row['early_precision_ratio']:.2f}), of random ones {_chance(row, 'early_precision', '.2%')} "
            f"(p {row['early_precision_p']:.2g}); the correlation of the same cells has {other['early_precision']:.2%} "
            f"(ratio {other['early_precision_ratio']:.2f}, by chance {other['early_precision_chance']:.2%})."
        )
        found = recovery.differences
        found = found[(found["known"] == file) & (found["other"] == CORRELATION)]
        if len(found) and int(found["sources"].iloc[0]) > 1:
            said.append(_against(records(found)[0]))
    return said


def file_rows(recovery: Recovery) -> dict[str, list[dict[str, str]]]:
    """Return, for every file, one row a network for a terminal: the scores, and the mean of random networks."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in records(recovery.table):
        cells = {
            "network": str(row["network"]),
            "early precision": f"{row['early_precision']:.2%}",
            "by chance": f"{row['early_precision_chance']:.2%}",
            "ratio": f"{row['early_precision_ratio']:.2f}",
            "p": f"{row['early_precision_p']:.2g}",
            "odds ratio": _number(row["odds_ratio"], ".2f"),
            "AUPRC": f"{row['auprc']:.4f}",
        }
        found.setdefault(str(row["known"]), []).append(cells)
    return found


def recovery_rows(recovery: Recovery) -> list[dict[str, str]]:
    """Return one row a file and network: the scores, and where 95 % of the random networks lie."""
    several = recovery.table["known"].nunique() > 1
    rows = []
    for row in records(recovery.table):
        cells = {"known": str(row["known"])} if several else {}
        cells |= {
            "network": str(row["network"]),
            "early precision": f"{row['early_precision']:.2%}",
            "by chance": _chance(row, "early_precision", ".2%"),
            "ratio": f"{row['early_precision_ratio']:.2f}",
            "p": f"{row['early_precision_p']:.2g}",
        }
        for metric, (title, form) in {"odds_ratio": ("odds ratio", ".2f"), "auprc": ("AUPRC", ".4f")}.items():
            cells[title] = f"{_number(row[metric], form)} ({_interval(row, metric, form)})"
        rows.append(cells)
    return rows


def recovery_markdown(recovery: Recovery) -> str:
    """Return the section of a page: what was compared, what was found, the tables."""
    lines = ["# Edges that are known\n"]
    for row in records(recovery.table.drop_duplicates("known")):
        lines.append(
            f"{for_markdown(str(row['known']))}: {row['edges']:,} edges between {recovery.genes:,} genes, from "
            f"{row['sources']:,} sources to {row['targets']:,} genes, {row['density']:.2%} of the candidates.\n"
        )
    rows = recovery_rows(recovery)
    lines += [" ".join(map(for_markdown, recovery_verdicts(recovery))) + "\n"]
    lines += [*markdown_table(list(rows[0]), [list(row.values()) for row in rows]), ""]
    lines.append(
        "Candidates are the edges from genes that send a known edge to genes with a known edge. `early precision`: of "
        "as many of the strongest candidates as edges are known, the share that is known; `ratio`: that over the share "
        f"of the known among all. `odds ratio`: of the graph of the {recovery.top_k} strongest senders of every gene. "
        f"`by chance` and brackets: mean, and where 95 % lie, of {recovery.random} random networks in which every gene "
        "sends and receives as many edges as in the known one. One-sided p, (1 + b)/(1 + n). Of the correlation the "
        "absolute value counts.\n"
    )
    if len(recovery.differences):
        rows = _difference_rows(recovery)
        lines.append("Average precision a source, that of the learned graph minus that of another network:\n")
        lines += [*markdown_table(list(rows[0]), [list(row.values()) for row in rows]), ""]
    return "\n".join(lines)


def agreement_verdict(agreement: Agreement) -> str:
    """Say how many edges the two models share."""
    rows = {row["network"]: row for row in records(agreement.table)}
    row, other = rows[LEARNED], rows[CORRELATION]
    return (
        f"The two models share {row['shared']:.1%} of their edges, {row['chance']:.1%} by chance with the same hubs; "
        f"the correlation of two halves of the cells shares {other['shared']:.1%}, {other['chance']:.1%} by chance."
    )


def agreement_rows(agreement: Agreement) -> list[dict[str, str]]:
    """Return one row a network."""
    return [
        {
            "network": str(row["network"]),
            "edges shared": f"{row['shared']:.1%}",
            "by chance": f"{row['chance']:.1%}",
            "Jaccard": f"{row['jaccard']:.3f}",
            "correlation of the weights": _number(row["correlation"], ".3f"),
        }
        for row in records(agreement.table)
    ]


def agreement_markdown(agreement: Agreement) -> str:
    """Return the section of a page."""
    rows = agreement_rows(agreement)
    return "\n".join(
        [
            "# Edges that two models share\n",
            f"{agreement.genes:,} genes, the {agreement.top_k} strongest senders of every gene.\n",
            *(f"Note: {for_markdown(note)}.\n" for note in agreement.notes),
            agreement_verdict(agreement) + "\n",
            *markdown_table(list(rows[0]), [list(row.values()) for row in rows]),
            "",
            "`by chance`: expected of two graphs in which every gene sends as many edges. `correlation` compares two "
            "halves of the cells, the other rows the two models.\n",
        ]
    )


def _against(row: Mapping[str, Any]) -> str:
    if row["low"] > 0:
        verdict = "It is better than the correlation"
    elif row["high"] < 0:
        verdict = "It is worse than the correlation"
    else:
        verdict = "It is not shown to be better or worse than the correlation"
    return (
        f"{verdict} in average precision a source: {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}], "
        f"larger for {row['better']} and smaller for {row['worse']} of {row['sources']} sources."
    )


def _difference_rows(recovery: Recovery) -> list[dict[str, str]]:
    several = recovery.table["known"].nunique() > 1
    return [
        ({"known": str(row["known"])} if several else {})
        | {
            "learned minus": str(row["other"]),
            "difference [95 %]": _number(row["difference"], "+.4f")
            + (f" [{row['low']:+.4f}, {row['high']:+.4f}]" if _told(row["low"]) else ""),
            "larger": str(row["better"]),
            "smaller": str(row["worse"]),
            "sources": str(row["sources"]),
        }
        for row in records(recovery.differences)
    ]


def _chance(row: Mapping[str, Any], metric: str, form: str) -> str:
    return f"{_number(row[f'{metric}_chance'], form)} [{_interval(row, metric, form)}]"


def _interval(row: Mapping[str, Any], metric: str, form: str) -> str:
    return f"{_number(row[f'{metric}_low'], form)} to {_number(row[f'{metric}_high'], form)}"


def _number(value: float | None, form: str) -> str:
    return format(value, form) if _told(value) else "-"


def _told(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
