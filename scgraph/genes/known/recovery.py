"""How well the strongest edges of a network are the known ones, beside random networks of the same degrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.display import short_repr
from scgraph.errors import ConfigError, argument
from scgraph.genes.enrichment.networks import CORRELATION, LEARNED, checked_genes, gene_networks, strongest
from scgraph.genes.known.chance import degree_matched
from scgraph.genes.tables import gene_tables
from scgraph.reporting.statistics import paired_difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from scgraph.data import Cells
    from scgraph.data.files.stream import CellStream
    from scgraph.genes.known.edges import Candidates, KnownEdges
    from scgraph.genes.tables import Weights
    from scgraph.models import SavedModel

__all__ = ["LEAST_TARGETS", "METRICS", "RANDOM_NETWORKS", "Recovery", "early_precision", "edge_recovery", "edge_scores"]

METRICS = ("early_precision", "odds_ratio", "auprc")
RANDOM_NETWORKS = 200
LEAST_TARGETS = 5
"""Known targets of a source whose average precision is looked at by itself."""


@short_repr
@dataclass(frozen=True)
class Recovery:
    """What a comparison with known edges found.

    Attributes:
        table: one row a file and network. ``known`` (the file), ``network``, ``edges``, ``sources``, ``targets``,
            ``density``, and for every one of `METRICS` itself, ``_chance`` (mean over the random networks), ``_low``
            and ``_high`` (where 95 % of them lie) and ``_p`` (one-sided); ``early_precision_ratio`` and
            ``auprc_ratio`` are divided by the density.
        differences: average precision a source, `learned` minus another network: ``difference`` (mean over sources with
            `LEAST_TARGETS` known targets), ``low`` and ``high`` (95 % t interval), ``better``, ``worse``, ``sources``.
        genes: genes looked at.
        cells: cells that the correlation was taken over.
        top_k: senders of a gene in the graph that the odds ratio is of.
        random: random networks a file.
        notes: what must be said aloud.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    genes: int
    cells: int
    top_k: int
    random: int
    notes: tuple[str, ...]


def edge_recovery(
    saved: SavedModel,
    cells: Cells | CellStream,
    known: Sequence[KnownEdges],
    *,
    layer: int | None = None,
    weights: Weights = "logit",
    top_k: int = 20,
    random: int = RANDOM_NETWORKS,
    min_share: float = 0.05,
    seed: int = 0,
) -> Recovery:
    """Compare the edges of a learned graph, and of others, with edges that are known.

    The networks are those of `enrichment_test`; of the correlation the absolute value counts, as known edges have no
    sign here. Candidates are all edges from a gene that sends a known edge to a gene with a known edge, a gene itself
    left out; N there are, E of them known. With the candidates by weight, strongest first, and ``TP(k)`` the known ones
    among the first k, early precision is ``TP(E) / E`` and its ratio ``(TP(E) / E) / (E / N)``, with E / N the
    precision of guessing; of edges with the weight of the last one the expected part counts. AUPRC is
    the average precision ``Σ_k (R_k - R_{k-1}) P_k`` of scikit-learn over all candidates, with precision and recall of
    the first k. The odds ratio is that of the graph that is written, the `top_k` strongest senders of every gene, among
    the candidates: ``a d / (b c)`` with a known edges in the graph, b known alone, c in the graph alone, d neither.

    Chance is the same against random networks, in which every gene sends and receives as many edges as in the known
    one, see `degree_matched`; ``p = (1 + #{random ≥ observed}) / (1 + R)``.

    Args:
        saved: a model with an adjacency.
        cells: best those that it was trained on.
        known: of `read_known`.
        layer: see `gene_tables`.
        weights: kind of weight of ``learned``.
        top_k: senders of a gene.
        random: random networks of each file, R.
        min_share: least share of the cells that express a gene.
        seed: of the random networks.

    Raises:
        ConfigError: the model has no adjacency, nothing is known, or a number is out of range.
        DataError: no known edge joins two of the genes.

    Source: early precision and its ratio are those of BEELINE, Pratapa et al. (2020), "Benchmarking algorithms for gene
    regulatory network inference from single-cell transcriptomic data", Nature Methods 17:147,
    doi:10.1038/s41592-019-0690-6.
    """
    import pandas as pd

    if not known:
        raise ConfigError(f"{argument('known')}: no file is named, so there is nothing to compare with.")
    for name, value in {"random": random, "top_k": top_k}.items():
        if value < 1:
            raise ConfigError(f"{argument(name)} must be at least 1, not {value}.")
    tables = gene_tables(saved, layer=layer)
    tables.need(weights)
    genes, values, notes = checked_genes(saved, tables, cells, min_share)
    candidates = [one.among(genes) for one in known]
    rows: list[dict[str, Any]] = []
    by_source: dict[tuple[str, str], NDArray[np.float64]] = {}
    for name, network in gene_networks(saved, tables, values, genes, weights):
        weight = network()
        if name == CORRELATION:
            np.abs(weight, out=weight)
        chosen = strongest(weight, top_k).astype(np.bool_)
        for file, own in zip(known, candidates, strict=True):
            place = np.ix_(own.targets, own.sources)
            sent, listened = weight[place].T, chosen[place].T
            rows.append({"known": file.name, "network": name} | _row(sent, listened, own, random, seed))
            by_source[file.name, name] = _by_source(sent, own)
    table = pd.DataFrame(rows).sort_values("known", key=lambda names: names.map(_order(known)), kind="stable")
    return Recovery(
        table=table.reset_index(drop=True),
        differences=_differences(by_source),
        genes=len(genes),
        cells=len(cells),
        top_k=top_k,
        random=random,
        notes=(*notes, *(note for one in known for note in one.notes)),
    )


def early_precision(labels: NDArray[np.bool_], score: NDArray[np.floating]) -> float:
    """Return the share of known edges among as many of the strongest, in expectation where weights are the same.

    Args:
        labels: which edges are known, ``[N]``.
        score: their weights, ``[N]``.
    """
    k = int(labels.sum())
    last = np.partition(score, len(score) - k)[len(score) - k]
    above, level = score > last, score == last
    found = float(labels[above].sum()) + (k - int(above.sum())) * float(labels[level].mean())
    return found / k


def edge_scores(labels: NDArray[np.bool_], score: NDArray[np.floating], listened: NDArray[np.bool_]) -> list[float]:
    """Return the `METRICS`.

    Args:
        labels: which edges are known, ``[N]``.
        score: their weights, ``[N]``.
        listened: which are in the graph, ``[N]``.
    """
    from scipy.stats.contingency import odds_ratio
    from sklearn.metrics import average_precision_score

    both, one, other = (int(part.sum()) for part in (labels & listened, labels & ~listened, ~labels & listened))
    counts = [[both, one], [other, len(labels) - both - one - other]]
    ratio = float(odds_ratio(counts, kind="sample").statistic)
    return [early_precision(labels, score), ratio, float(average_precision_score(labels, score))]


def _row(
    sent: NDArray[np.float32], listened: NDArray[np.bool_], own: Candidates, random: int, seed: int
) -> dict[str, Any]:
    weight = sent[own.possible]
    # Sorted once: scikit-learn sorts again for each random network, which is quick where nothing is to be moved.
    order = np.argsort(-weight, kind="stable")
    score, in_graph = weight[order], listened[own.possible][order]

    def scores(network: NDArray[np.bool_]) -> list[float]:
        return edge_scores(network[own.possible][order], score, in_graph)

    found = scores(own.known)
    chance = np.asarray([scores(network) for network in degree_matched(own.known, own.possible, random, seed=seed)])
    row: dict[str, Any] = {
        "edges": own.edges,
        "sources": len(own.sources),
        "targets": len(own.targets),
        "density": own.density,
    }
    for at, metric in enumerate(METRICS):
        low, high = np.quantile(chance[:, at], [0.025, 0.975])
        row |= {
            metric: found[at],
            f"{metric}_chance": float(chance[:, at].mean()),
            f"{metric}_low": float(low),
            f"{metric}_high": float(high),
            # Sums of the same numbers in another order differ in their last bits; a tie is a tie.
            f"{metric}_p": (1 + int((chance[:, at] >= found[at] - 1e-9 * abs(found[at])).sum())) / (1 + random),
        }
    return row | {f"{metric}_ratio": row[metric] / own.density for metric in ("early_precision", "auprc")}


def _by_source(sent: NDArray[np.float32], own: Candidates) -> NDArray[np.float64]:
    """Return the average precision over the targets of each source with `LEAST_TARGETS` known ones."""
    from sklearn.metrics import average_precision_score

    enough = np.flatnonzero(own.known.sum(axis=1) >= LEAST_TARGETS)
    return np.asarray(
        [average_precision_score(own.known[at][own.possible[at]], sent[at][own.possible[at]]) for at in enough]
    )


def _differences(by_source: dict[tuple[str, str], NDArray[np.float64]]) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for (file, other), theirs in by_source.items():
        if other == LEARNED:
            continue
        ours = by_source[file, LEARNED]
        found = paired_difference(ours, theirs)
        rows.append(
            {
                "known": file,
                "other": other,
                "difference": found.mean,
                "low": found.low,
                "high": found.high,
                "better": int((ours > theirs).sum()),
                "worse": int((ours < theirs).sum()),
                "sources": len(ours),
            }
        )
    return pd.DataFrame(rows)


def _order(known: Sequence[KnownEdges]) -> dict[str, int]:
    return {one.name: at for at, one in enumerate(known)}
