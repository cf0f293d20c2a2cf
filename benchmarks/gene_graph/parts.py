"""How far the tables have come from their start, what their hubs are, and the page of `gene_graph`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.harness.text import markdown_table, number
from scgraph.genes.enrichment.report import enrichment_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from scgraph.genes import Edges, Enrichment, GeneTables

__all__ = ["page", "setting_row"]


def setting_row(
    name: str,
    history: pd.DataFrame,
    tables: GeneTables,
    genes: NDArray[np.int64],
    edges: Edges,
    before: Edges | None,
    detected: NDArray[np.integer],
) -> dict[str, Any]:
    """Return what there is to say of one training: its loss, its distance from the start, its hubs.

    Args:
        name: of the settings.
        history: its epochs.
        tables: of the model.
        genes: positions of the genes of the graph.
        edges: of the graph.
        before: edges of the first settings; None for those themselves.
        detected: cells that express each of the genes.
    """
    last = history.iloc[-1]
    row: dict[str, Any] = {
        "settings": name,
        "epochs": len(history),
        "seconds": round(float(history["seconds"].sum()), 1),
        "validation_mvp_loss": float(last["validation_mvp_loss"]),
        **moved(tables, genes),
        **hub_expression(edges, detected),
        "edges_shared": float("nan") if before is None else shared_edges(edges, before),
    }
    return row


def moved(tables: GeneTables, genes: NDArray[np.int64]) -> dict[str, float]:
    """Return the spread of what is left of the start, of the change, and how far the logits still follow the start.

    Logits are centred by row, as the softmax sees them; 2,000 genes at the most.
    """
    if tables.start is None:
        return {"start_sd": float("nan"), "change_sd": float("nan"), "correlation_with_start": float("nan")}
    some = torch.from_numpy(genes[:: max(1, len(genes) // 2000)])
    logits, change = (tables.scores(some, some, kind).flatten().double() for kind in ("logit", "change"))
    first = logits - change
    return {
        "start_sd": float(first.std()),
        "change_sd": float(change.std()),
        "correlation_with_start": float(np.corrcoef(logits.numpy(), first.numpy())[0, 1]),
    }


def hub_expression(edges: Edges, detected: NDArray[np.integer]) -> dict[str, float]:
    """Return the rank correlation over genes between out-degree and the cells that express a gene."""
    from scipy.stats import spearmanr

    degree = np.bincount(edges.source, minlength=len(detected))
    return {"hubs_against_detection": float(spearmanr(degree, detected).statistic)}


def shared_edges(one: Edges, other: Edges) -> float:
    """Return the share of the edges of one graph that stand in the other."""
    pairs = [
        {(edges.names[a], edges.names[b]) for a, b in zip(edges.source, edges.target, strict=True)}
        for edges in (one, other)
    ]
    return len(pairs[0] & pairs[1]) / len(pairs[0])


def page(sense: Enrichment, rows: Sequence[Mapping[str, Any]], levels: Mapping[float, Enrichment]) -> str:
    """Return `table.md`: the check of the default settings, of other settings, and of more and fewer genes."""
    settings = [
        [
            f"`{row['settings']}`",
            number(row["validation_mvp_loss"], ".4f"),
            f"{row['start_sd']:.2f}",
            f"{row['change_sd']:.2f}",
            f"{row['correlation_with_start']:.2f}",
            f"{row['share']:.1%}",
            f"{row['share_chance']:.1%}",
            f"{row['share_p']:.2g}",
            f"{row['specific_z']:.1f}",
            f"{row['hubs_against_detection']:+.2f}",
            "-" if row["edges_shared"] != row["edges_shared"] else f"{row['edges_shared']:.1%}",
        ]
        for row in rows
    ]
    header = ["settings", "MVP loss", "sd left of the start", "sd of the change", "correlation with the start", "share"]
    header += ["by chance", "p", "specific z", "hubs and expression", "edges shared"]
    networks = list(dict.fromkeys(sense.table["network"]))
    shares = []
    for level, found in levels.items():
        table = found.table[(found.table["permutation"] == "matched") & (found.table["family"] == "all")]
        by = table.set_index("network")["share"]
        shares.append([f"{level:.0%}", f"{found.genes:,}", *(f"{by[name]:.1%}" for name in networks)])
    return "\n".join(
        [
            enrichment_markdown(sense, title="Edges within families of genes"),
            "# Other settings\n",
            markdown_table(header, settings),
            "Logits are centred by receiving gene. `share`, `by chance`, `p` and `specific z` are those of `learned`, "
            "matched. `hubs and expression`: rank correlation over genes between the number of genes that listen to a "
            "gene and the cells that express it. `edges shared`: with the graph of the first row.\n",
            "# More and fewer genes\n",
            "Share by network, default settings, for genes that at least so many of the cells express:\n",
            markdown_table(["cells", "genes", *networks], shares),
        ]
    )
