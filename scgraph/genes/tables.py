"""The adjacency tables of a saved model, and what they would be had no cell ever been seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor, nn

from scgraph.display import short_repr
from scgraph.errors import ConfigError, argument
from scgraph.models import build_model
from scgraph.nn import FactorizedAdjacency

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scgraph.models import SavedModel
    from scgraph.nn import CellModel

__all__ = ["WEIGHTS", "GeneTables", "Weights", "gene_tables", "node_names", "start_model"]

Weights = Literal["logit", "softmax", "change"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)

_POSITIVE = {"positive", "row_normalized", "symmetric_normalized"}
_ROUNDING = 1e-5
"""What thousands of multiplications by 1 - lr · decay leave uncertain in a number, relative to the largest."""

_COMPARED = 1_000
AT_ITS_START = 0.95
"""Correlation of the logits with those of the start from which on a graph is called that of its start."""


@short_repr
@dataclass(frozen=True)
class GeneTables:
    """The tables of the layers that are looked at, without padding: row i is gene i of the vocabulary.

    Attributes:
        names: name of every gene, each one only once: the symbol, the Ensembl id where that is missing or stands twice.
        ensembl: Ensembl ids, ``""`` where unknown.
        target: rows of the receiving genes, one table a layer, ``[L, V, R]``.
        source: rows of the sending genes, ``[L, V, R]``.
        positive: whether the layers weigh by ``φ(t)·φ(s)`` with φ = softplus (`gnn-linear`, `gcn`) and not by the
            exponential of ``t·s``.
        start: both tables as weight decay alone would have left those of the start, None where the start cannot be
            told.
        seen: True for genes that training has changed, ``[V]``; None where the start cannot be told.
    """

    names: tuple[str, ...]
    ensembl: tuple[str, ...]
    target: Tensor
    source: Tensor
    positive: bool
    start: tuple[Tensor, Tensor] | None
    seen: NDArray[np.bool_] | None

    def __len__(self) -> int:
        """Return the number of genes."""
        return len(self.names)

    def need(self, weights: Weights) -> None:
        """Check that this kind of weight can be had.

        Raises:
            ConfigError: an unknown kind, or the change since a start that cannot be told.
        """
        if weights not in WEIGHTS:
            raise ConfigError(f"weights: there is no kind {weights!r}. Known: {', '.join(WEIGHTS)}.")
        if weights == "change" and self.start is None:
            raise ConfigError(
                f"{argument('weights')}: the tables do not go back to a start drawn from the seed of the training, so "
                "their change cannot be told. Take logit or softmax."
            )

    def scores(self, rows: Tensor, columns: Tensor, weights: Weights) -> Tensor:
        """Return the weights of what the genes `columns` send to the genes `rows`, the mean over the layers.

        ``logit`` is ``A_ij - mean_j A_ij`` with ``A = T Sᵀ``, or ``log φ(T)φ(S)ᵀ`` where `positive`: a softmax over
        senders, so the layer too, sees no more of it. ``softmax`` is the softmax of A over `columns`. ``change`` is
        the logit minus that of `start`.

        Shapes:
            positions ``[r]`` and ``[n]`` to weights ``[r, n]``.
        """
        layers = []
        for number in range(len(self.target)):
            logits = self._logits(self.target[number, rows], self.source[number, columns])
            if weights == "softmax":
                layers.append(logits.softmax(dim=-1))
                continue
            if weights == "change":
                assert self.start is not None
                logits = logits - self._logits(self.start[0][number, rows], self.start[1][number, columns])
            layers.append(logits - logits.mean(dim=-1, keepdim=True))
        return torch.stack(layers).mean(dim=0) if len(layers) > 1 else layers[0]

    def start_correlation(self, genes: NDArray[np.int64]) -> float | None:
        """Return Pearson's r of the logits with those of the start, None where the start cannot be told.

        Args:
            genes: positions of the genes whose pairs are looked at; of more than `_COMPARED` a sample.
        """
        if self.start is None:
            return None
        some = torch.from_numpy(genes[:: max(1, -(-len(genes) // _COMPARED))])
        logits, change = (self.scores(some, some, kind).flatten().double() for kind in ("logit", "change"))
        return float(torch.corrcoef(torch.stack([logits, logits - change]))[0, 1])

    def _logits(self, target: Tensor, source: Tensor) -> Tensor:
        if self.positive:
            return (nn.functional.softplus(target) @ nn.functional.softplus(source).T).log()
        return target @ source.T


def gene_tables(saved: SavedModel, *, layer: int | None = None) -> GeneTables:
    """Return the adjacency tables of a model.

    The rows of padding get no gradient: training only shrinks them by weight decay. They tell whether the tables
    began as the recorded seed says, and by how much decay has shrunk what was drawn then; a gene whose rows are
    still that much of their start was in no batch.

    Args:
        saved: what `scgraph.load_model` returned.
        layer: number of a layer, from 1, where each has tables of its own; None for all.

    Raises:
        ConfigError: the model has no adjacency, or no such layer.
    """
    found = _adjacencies(saved.model)
    if not found:
        raise ConfigError(
            f"{saved.model_config.conv!r} has no adjacency: its weights between genes, if any, are computed anew for "
            f"every cell. Only the embeddings of its genes can be had: {argument('embeddings')} alone, or "
            "scgraph.gene_embeddings."
        )
    if layer is not None:
        layers = len(saved.model.blocks)
        if not 1 <= layer <= layers:
            raise ConfigError(f"{argument('layer')}: the model has layers 1 to {layers}, not {layer}.")
        if len(found) == 1:
            if layers > 1:
                raise ConfigError(f"layer: the {layers} layers share one adjacency; leave the layer out.")
            layer = 1
    kept = slice(None) if layer is None else slice(layer - 1, layer)
    target = torch.stack([one.target.detach().float().cpu() for one in found[kept]])
    source = torch.stack([one.source.detach().float().cpu() for one in found[kept]])
    before = _adjacencies(start_model(saved))[kept]
    start, moved = _start(
        (target, source), tuple(torch.stack([getattr(one, name) for one in before]) for name in ("target", "source"))
    )
    blocks = list(saved.model.blocks)
    shared = {name for block in blocks for name in block.conv.plan(2).shares}  # type: ignore[operator, union-attr]
    return GeneTables(
        names=node_names(saved),
        ensembl=saved.vocabulary.ensembl,
        target=target[:, 1:],
        source=source[:, 1:],
        positive=bool(shared & _POSITIVE),
        start=start,
        seen=None if moved is None else moved.numpy(),
    )


def start_model(saved: SavedModel) -> CellModel:
    """Return the network as its settings and the recorded seed begin it."""
    # As scgraph.models.initial.initial_model does; `start="pca"` sets other tables, and those only once all are drawn.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(saved.metadata.get("training", {}).get("seed", 0)))
        return build_model(len(saved.vocabulary), **saved.model_config.model_kwargs())


def node_names(saved: SavedModel) -> tuple[str, ...]:
    """Return a name for every gene, none twice."""
    from collections import Counter

    names = saved.vocabulary.names()
    times = Counter(names)
    return tuple(
        ensembl if times[name] > 1 and ensembl else name
        for name, ensembl in zip(names, saved.vocabulary.ensembl, strict=True)
    )


def _adjacencies(model: CellModel) -> list[FactorizedAdjacency]:
    return [one for one in model.adjacencies if isinstance(one, FactorizedAdjacency)]


def _start(
    tables: tuple[Tensor, Tensor], drawn: tuple[Tensor, ...]
) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None]:
    """Return what decay alone would have left of the start, without padding, and which genes differ from it."""
    decayed, moved = [], torch.zeros(tables[0].shape[1], dtype=torch.bool)
    for table, first in zip(tables, drawn, strict=True):
        first = first.detach()
        padding, origin = table[:, 0], first[:, 0]
        left = (padding * origin).sum(-1) / (origin * origin).sum(-1)  # [L]
        kept = first * left[:, None, None]
        off = (padding - kept[:, 0]).abs().max()
        scale = kept.abs().max()
        if not bool(torch.isfinite(left).all()) or bool((left <= 0).any()) or off > 10 * _ROUNDING * scale:
            return None, None
        moved |= ((table - kept).abs() > torch.maximum(10 * off, _ROUNDING * scale)).any(-1).any(0)
        decayed.append(kept[:, 1:])
    return (decayed[0], decayed[1]), moved[1:]
