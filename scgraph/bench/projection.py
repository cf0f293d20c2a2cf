"""Features in two dimensions."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from scgraph.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["project"]


def project(features: ArrayLike, *, method: Literal["tsne", "umap"] = "tsne", seed: int = 0) -> NDArray[np.float64]:
    """Features in two dimensions: t-SNE of scikit-learn, or UMAP where `umap-learn` is installed.

    Args:
        features: `[n, C]`.
        method: `"tsne"` or `"umap"`.
        seed: of the method.

    Returns:
        Coordinates `[n, 2]`. Fewer than five cells, or features without any variance, are too few for either
        method: their first principal components are returned.

    Raises:
        ConfigError: another method is named, or `umap-learn` is not installed.
    """
    if method not in ("tsne", "umap"):
        raise ConfigError(f"Unknown projection {method!r}.{did_you_mean(method, ('tsne', 'umap'))}")
    data = np.asarray(features, dtype=np.float64)
    data = data - data.mean(0)
    n = len(data)
    if n < 5 or not data.any():
        left, strength, _ = np.linalg.svd(data, full_matrices=False)
        plane = np.zeros((n, 2))
        kept = min(2, len(strength))
        plane[:, :kept] = left[:, :kept] * strength[:kept]
        return plane
    if method == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise ConfigError("UMAP needs the package umap-learn; install it or use tsne.") from error
        # n_jobs = 1 is what a seed asks for anyway; saying so spares a warning.
        reducer = UMAP(n_neighbors=min(15, n - 1), random_state=seed, n_jobs=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(reducer.fit_transform(data), dtype=np.float64)
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (n - 1) / 3)
    # Each of a thousand short steps waits for its threads: beside other work that costs more than it gives.
    with threadpool_limits(1):
        tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
        return np.asarray(tsne.fit_transform(data), dtype=np.float64)
