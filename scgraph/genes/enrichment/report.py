"""The enrichment of a learned graph, in words and tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from scgraph.genes.enrichment.networks import CORRELATION, LEARNED, UNTRAINED
from scgraph.genes.enrichment.permutations import ALL
from scgraph.reporting.escape import for_markdown

if TYPE_CHECKING:
    import pandas as pd

    from scgraph.genes.enrichment.test import Enrichment

__all__ = ["enrichment_markdown", "family_rows", "overall_rows", "verdicts"]

_LEVEL = 0.05


def verdicts(enrichment: Enrichment) -> list[str]:
    """Say plainly what the numbers show, and what they do not."""
    row = _overall(enrichment.table, LEARNED, "matched")
    said = []
    knows = "knows families" if row["share_p"] < _LEVEL else "shows no families"
    said.append(
        f"The learned graph {knows}: a gene's family takes {row['share']:.1%} of the places it could take among its "
        f"{enrichment.top_k} strongest senders, {row['share_chance']:.1%} by chance among genes of like expression "
        f"(p {row['share_p']:.2g})."
    )
    for other, words in ((UNTRAINED, "the untrained tables"), (CORRELATION, "the correlation of the same cells")):
        found = enrichment.differences[enrichment.differences["other"] == other]
        if not len(found):
            continue
        entry: Any = found.iloc[0]
        theirs = _overall(enrichment.table, other, "matched")["share"]
        counted = (
            f"{row['share']:.1%} against {theirs:.1%}, larger in {entry['better']} and smaller in {entry['worse']} of "
            f"{entry['families']} families, p {entry['p']:.2g}"
        )
        if entry["difference"] > 0 and entry["p"] < _LEVEL:
            said.append(f"It is better than {words}: {counted}.")
        elif entry["difference"] < 0 and entry["p"] < _LEVEL:
            said.append(f"It is worse than {words}: {counted}.")
        else:
            said.append(f"It is not shown to be better than {words}: {counted}.")
    return said


def overall_rows(enrichment: Enrichment) -> list[dict[str, str]]:
    """Return one row a network and kind of permutation, over all families."""
    rows = []
    for _, row in enrichment.table[enrichment.table["family"] == ALL].iterrows():
        rows.append(
            {
                "network": str(row["network"]),
                "permutation": str(row["permutation"]),
                "share": f"{row['share']:.1%}",
                "by chance": f"{row['share_chance']:.1%}",
                "enrichment": _ratio(row["share"], row["share_chance"]),
                "p": f"{row['share_p']:.2g}",
                "weight z": f"{row['weight_z']:.1f}",
                "weight p": f"{row['weight_p']:.2g}",
                "specific z": f"{row['specific_z']:.1f}",
                "specific p": f"{row['specific_p']:.2g}",
            }
        )
    return rows


def family_rows(enrichment: Enrichment) -> list[dict[str, str]]:
    """Return one row a family: the share of every network, and the p-value of the learned one, matched."""
    kept = enrichment.table[(enrichment.table["permutation"] == "matched") & (enrichment.table["family"] != ALL)]
    rows = []
    for family, group in kept.groupby("family", sort=False):
        by = group.set_index("network")
        learned: Any = by.loc[LEARNED]
        row = {"family": str(family), "genes": str(learned["genes"])}
        row |= {str(name): f"{share:.1%}" for name, share in by["share"].items()}
        row |= {"by chance": f"{learned['share_chance']:.1%}", "p of learned": f"{learned['share_p']:.2g}"}
        rows.append(row)
    return rows


def enrichment_markdown(enrichment: Enrichment, *, title: str) -> str:
    """Return the whole result as a page."""
    lines = [
        f"# {for_markdown(title)}\n",
        f"{enrichment.genes:,} genes, {enrichment.cells:,} cells, the {enrichment.top_k} strongest senders of every "
        f"gene, {enrichment.permutations:,} permutations of each kind, {enrichment.bins} bins of mean expression.\n",
        *(f"Note: {for_markdown(note)}.\n" for note in enrichment.notes),
        " ".join(verdicts(enrichment)) + "\n",
        _markdown(overall_rows(enrichment)),
        "`share`: of the places that its family could take among the strongest senders of a gene, those it takes; the "
        "mean over the families. `weight`: mean weight within families minus that of the receiving gene; `specific`: "
        "minus that of the sending gene too; z against the permutations. `plain` permutes all genes, `matched` those "
        "of like mean expression. One-sided p, (1 + b)/(1 + n).\n",
        "Share by family:\n",
        _markdown(family_rows(enrichment)),
    ]
    return "\n".join(lines)


def _overall(table: pd.DataFrame, network: str, permutation: str) -> Any:
    kept = (table["network"] == network) & (table["permutation"] == permutation) & (table["family"] == ALL)
    return table[kept].iloc[0]


def _ratio(share: float, chance: float) -> str:
    ratio = share / chance if chance > 0 else math.inf
    return f"{ratio:.1f}×" if math.isfinite(ratio) and share > 0 else "-"


def _markdown(rows: list[dict[str, str]]) -> str:
    header = list(rows[0])
    lines = [f"| {' | '.join(header)} |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(map(for_markdown, row.values()))} |" for row in rows)]) + "\n"
