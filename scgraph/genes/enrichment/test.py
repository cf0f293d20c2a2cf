"""The enrichment of a learned gene graph: families of genes, against chance and against the cells' correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.display import short_repr
from scgraph.errors import ConfigError, DataError, argument
from scgraph.genes.enrichment.families import SMALLEST, gene_families
from scgraph.genes.enrichment.networks import LEARNED, checked_genes, gene_networks
from scgraph.genes.enrichment.permutations import ALL, family_tests, matched_orders, plain_orders
from scgraph.genes.tables import gene_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from scgraph.data import Cells
    from scgraph.data.files.stream import CellStream
    from scgraph.genes.tables import Weights
    from scgraph.models import SavedModel

__all__ = ["Enrichment", "enrichment_test"]

_FLIPS = 9999
_LEAST_IN_BIN = 50


@short_repr
@dataclass(frozen=True)
class Enrichment:
    """What a check found.

    Attributes:
        table: one row a network, kind of permutation and family; see `family_tests`.
        differences: `learned` minus another network in ``share``, mean over the families, with a p-value.
        genes: genes looked at.
        cells: cells that the correlation was taken over.
        top_k: senders of a gene.
        permutations: of each kind.
        bins: of mean expression.
        notes: what must be said aloud.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    genes: int
    cells: int
    top_k: int
    permutations: int
    bins: int
    notes: tuple[str, ...]


def enrichment_test(
    saved: SavedModel,
    cells: Cells | CellStream,
    *,
    layer: int | None = None,
    weights: Weights = "logit",
    top_k: int = 20,
    families: Mapping[str, str] | None = None,
    permutations: int = 1000,
    bins: int = 20,
    min_share: float = 0.05,
    seed: int = 0,
) -> Enrichment:
    """Test whether edges within families of genes are stronger than chance, in the learned graph and in others.

    The networks, all on the same genes: ``learned``; its ``change`` since the start; ``untrained``, the start itself;
    ``embedding``, the cosine between the gene embeddings; ``correlation``, Pearson's r over the cells on log1p of
    counts per 10,000.

    Args:
        saved: a model with an adjacency.
        cells: best those that it was trained on.
        layer: see `gene_tables`.
        weights: kind of weight of ``learned``.
        top_k: senders of a gene.
        families: regular expressions by name; `FAMILIES` by default.
        permutations: of each kind, ``plain`` and ``matched`` (within bins of mean expression).
        bins: of mean expression; fewer where a bin would have fewer than 50 genes.
        min_share: least share of the cells that express a gene.
        seed: of the permutations.

    Raises:
        ConfigError: the model has no adjacency, or a number is out of range.
        DataError: too few genes of the model, or of any family, are expressed.
    """
    import pandas as pd

    for name, value in {"permutations": permutations, "bins": bins, "top_k": top_k}.items():
        if value < 1:
            raise ConfigError(f"{argument(name)} must be at least 1, not {value}.")
    tables = gene_tables(saved, layer=layer)
    tables.need(weights)
    genes, values, notes = checked_genes(saved, tables, cells, min_share)
    members = gene_families([tables.names[at] for at in genes], families)
    if not members:
        raise DataError(
            f"{cells.name}: no family has {SMALLEST} genes among the {len(genes):,} that the model knows and "
            f"{min_share:.1%} of the cells express. Give {argument('families')} of your own, or a smaller "
            f"{argument('min_share')}."
        )
    bins = min(bins, max(1, len(genes) // _LEAST_IN_BIN))
    orders = {
        "plain": plain_orders(len(genes), permutations, seed=seed),
        "matched": matched_orders(values.mean(), permutations, bins=bins, seed=seed),
    }
    found = []
    for name, network in gene_networks(saved, tables, values, genes, weights):
        found += [{"network": name, **row} for row in family_tests(network(), members, orders, top_k=top_k)]
    table = pd.DataFrame(found)
    return Enrichment(
        table=table,
        differences=_differences(table, seed=seed),
        genes=len(genes),
        cells=len(cells),
        top_k=top_k,
        permutations=permutations,
        bins=bins,
        notes=tuple(notes),
    )


def _differences(table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Compare `learned` with every other network over the families: their signs are flipped (paired, two-sided)."""
    import pandas as pd

    shares = table[(table["permutation"] == "matched") & (table["family"] != ALL)]
    shares = shares.pivot_table(index="family", columns="network", values="share", sort=False)
    rows = []
    for other in shares.columns.drop(LEARNED):
        apart = (shares[LEARNED] - shares[other]).to_numpy()
        signs = np.random.default_rng([seed, 2]).choice((-1.0, 1.0), size=(_FLIPS, len(apart)))
        flipped = np.abs(signs @ apart) / len(apart)
        p = (1 + int((flipped >= abs(apart.mean()) * (1 - 1e-9)).sum())) / (1 + _FLIPS)
        rows.append(
            {
                "other": other,
                "difference": float(apart.mean()),
                "p": p,
                "better": int((apart > 0).sum()),
                "worse": int((apart < 0).sum()),
                "families": len(apart),
            }
        )
    return pd.DataFrame(rows)
