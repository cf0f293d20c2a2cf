"""Principal components of cells of which some genes are hidden, and what they say of the hidden ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from scgraph.data.components import LogValues

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.data import CellStore
    from scgraph.data.components import Components

__all__ = ["components_of_visible", "reconstruct"]

_BLOCK = 256
_RIDGE = 1e-3
"""Times the identity, for cells that show fewer genes than there are components."""


def components_of_visible(components: Components, visible: CellStore, hidden: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the components that fit the visible genes best: ``argmin_z Σ_g∉H (t_g(x) - m_g - P_g z)²``.

    Taking a hidden gene for an unexpressed one, or for its mean, would pull all components towards that.

    Args:
        components: fitted on whole cells; t, m and P as there.
        visible: cells without what is hidden.
        hidden: H, ``[n, V]``, all genes of the vocabulary.

    Returns:
        ``[n, K]``.
    """
    loadings = components.loadings.astype(np.float32)
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
    values = np.maximum(components.centre[at] + features @ components.loadings[at].T, 0)
    return np.square(values) if transform.roots else np.expm1(values)
