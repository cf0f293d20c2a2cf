"""Features of cells of which some genes are hidden, and what they say of the hidden ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from scgraph.data import CellStore
from scgraph.data.cells import SCALE
from scgraph.data.components import LogValues
from scgraph.nn.bag import GeneBag
from scgraph.train.embedding import batches_by_length
from scgraph.train.expected import expected_fractions, expects_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.data.components import Components
    from scgraph.nn import CellModel
    from scgraph.representations.base import ModelRepresentation

__all__ = ["components_of_visible", "reconstruct", "vectors_of_visible"]

_BLOCK = 256
_CELLS = 64
_ROUNDS = 2
_RIDGE = 1e-3
"""Times the identity, for cells that show fewer genes than there are components."""


def components_of_visible(
    components: Components, width: int, visible: CellStore, hidden: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the components that fit the visible genes best: ``argmin_z Σ_g∉H (t_g(x) - m_g - P_g z)²``.

    Taking a hidden gene for an unexpressed one, or for its mean, would pull all components towards that.

    Args:
        components: fitted on whole cells; t, m and P as there.
        width: how many of them, the first, are fitted; K.
        visible: cells without what is hidden.
        hidden: H, ``[n, V]``, all genes of the vocabulary.

    Returns:
        ``[n, K]``.
    """
    loadings = components.loadings[:, :width].astype(np.float32)
    genes = components.transform.genes - 1
    first, second = np.triu_indices(loadings.shape[1])
    products = loadings[:, first] * loadings[:, second]
    result = np.empty((len(visible), loadings.shape[1]), dtype=np.float32)
    for start in range(0, len(visible), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(visible)))
        values = components.transform(visible.subset(rows))
        dense = values.toarray() if sparse.issparse(values) else np.asarray(values)
        seen = ~hidden[np.ix_(rows, genes)]
        right = ((dense - components.centre) * seen).astype(np.float32) @ loadings
        left = np.empty((len(rows), loadings.shape[1], loadings.shape[1]), dtype=np.float64)
        left[:, first, second] = left[:, second, first] = seen.astype(np.float32) @ products
        left += _RIDGE * np.eye(loadings.shape[1])
        result[rows] = np.linalg.solve(left, right[..., None].astype(np.float64))[..., 0]
    return result


def reconstruct(
    components: Components, features: NDArray[np.float32], genes: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Return what components say of genes, in units that are proportional to counts within a cell: ``t⁻¹(m + P z)``.

    Args:
        components: of logarithms or square roots.
        features: z, ``[n, K]``.
        genes: vocabulary ids that components were fitted on.

    Returns:
        ``[n, genes]``, none negative; None for components of other values, which are not turned back.
    """
    transform = components.transform
    if not isinstance(transform, LogValues) or not np.isin(genes, transform.genes).all():
        return None
    at = np.searchsorted(transform.genes, genes)
    values = np.maximum(components.centre[at] + features @ components.loadings[at, : features.shape[1]].T, 0)
    return np.square(values) if transform.roots else np.expm1(values)


def vectors_of_visible(
    representation: ModelRepresentation, visible: CellStore, hidden: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return vectors of the visible genes of cells, hidden genes being taken for unknown where the model can do so.

    The visible genes are scaled to 10,000, as in a file that holds no others. The pooled readout takes a gene that is
    not there for one that is not expressed. So where there is a decoder of counts, hidden genes are filled with what it
    expects of them beside the visible ones, and the cell is embedded again, twice. The blocks see visible genes alone.

    Args:
        representation: a model.
        visible: cells without what is hidden.
        hidden: ``[n, V]``, all genes of the vocabulary.

    Returns:
        ``[n, C]``.
    """
    model = representation.model
    alone = _scaled(visible)
    vectors = representation(alone)
    if model.pooled_readout is None or not expects_counts(model, representation.train):
        return vectors
    lengths = np.diff(alone.indptr)
    most = representation.train.genes_to_embed() or int(lengths.max(initial=1))
    rows = np.flatnonzero(lengths > 0)
    for part in batches_by_length(rows, np.minimum(lengths[rows], most), _CELLS):
        cells = alone.subset(part)
        for _ in range(_ROUNDS):
            values = _filled(cells, hidden[part], expected_fractions(model, vectors[part]))
            vectors[part] = _embed_whole(model, cells, values, genes=most, seed=representation.seed)
    return vectors


def _scaled(store: CellStore) -> CellStore:
    """Return cells whose values are those of counts per 10,000 of their own genes."""
    starts, genes, values = store.entries(np.arange(len(store)))
    rows = np.repeat(np.arange(len(store)), np.diff(starts))
    x = np.expm1(values.astype(np.float64))
    sums = np.bincount(rows, weights=x, minlength=len(store))
    own = np.log1p(x * (SCALE / sums[rows])).astype(np.float32)
    return CellStore.from_arrays(starts, genes, own, store.keys, store.vocabulary, store.match_note)


def _filled(cells: CellStore, hidden: NDArray[np.bool_], fractions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log1p of counts per 10,000 of whole cells ``[n, V]``, hidden genes at what is expected of them."""
    x = np.expm1(cells.matrix().toarray().astype(np.float64))
    beside = (fractions * ~hidden).sum(axis=1, keepdims=True)
    whole = np.where(hidden, fractions * (x.sum(axis=1, keepdims=True) / np.maximum(beside, np.finfo(float).tiny)), x)
    values: NDArray[np.float32] = np.log1p(whole * (SCALE / whole.sum(axis=1, keepdims=True))).astype(np.float32)
    return values


def _embed_whole(
    model: CellModel, cells: CellStore, values: NDArray[np.float32], *, genes: int, seed: int
) -> NDArray[np.float32]:
    """Return vectors of cells whose blocks see the genes that `cells` have, and whose pooled readout sees all."""
    import torch

    ids, _ = cells.batch(np.arange(len(cells)), genes=genes, seed=seed, epoch=0)
    shown = np.take_along_axis(np.pad(values, ((0, 0), (1, 0))), ids, axis=1)
    weights = next(model.parameters())
    every = torch.arange(1, values.shape[1] + 1).repeat(len(cells))
    starts = torch.arange(len(cells)) * values.shape[1]
    with torch.inference_mode():
        numbers = torch.from_numpy(values.ravel()).to(weights.device, weights.dtype)
        bag = GeneBag(every.to(weights.device), numbers, starts.to(weights.device))
        vectors = model.embed(
            torch.from_numpy(ids).to(weights.device), torch.from_numpy(shown).to(weights.device, weights.dtype), bag=bag
        )
    result: NDArray[np.float32] = vectors.float().cpu().numpy()
    return result
