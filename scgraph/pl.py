"""Pictures of an AnnData object, under the name that scanpy gives them: ``scgraph.pl.compare(adata)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scgraph.errors import ConfigError, DataError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes

__all__ = ["compare"]

_LEAST_CELLS = 4


def compare(
    adata: AnnData,
    keys: Sequence[str] | None = None,
    *,
    color: str | None = None,
    method: Literal["umap", "tsne"] = "umap",
    n_neighbors: int = 15,
    seed: int = 0,
    show: bool | None = None,
    save: str | Path | None = None,
    **options: Any,
) -> list[Axes] | None:
    """Draw embeddings of the same cells side by side: UMAP or t-SNE of entries of ``adata.obsm``.

    Each is scanpy's own: ``scanpy.pp.neighbors(use_rep=key)`` and ``scanpy.tl.umap``, or ``scanpy.tl.tsne``. An entry
    of two columns is drawn as it is. `adata` stays as it is.

    Args:
        adata: cells with embeddings, such as ``X_scgraph`` and ``X_pca``.
        keys: of `adata.obsm`; None for all with more than two columns.
        color: column of `adata.obs`, or a gene.
        method: umap or tsne.
        n_neighbors: neighbours of a cell, for umap.
        seed: of the picture.
        show: show the picture and return nothing; None: as ``scanpy.settings.autoshow`` says.
        save: file to write the picture to; its ending says the format.
        **options: what else ``scanpy.pl.embedding`` takes, as `palette` or `size`.

    Returns:
        The axes, one a key, where nothing is shown.

    Raises:
        ConfigError: `method` is none that is known.
        DataError: there is no such embedding or column, fewer than 4 cells, or an embedding holds NaN or Inf.
        OutputError: `save` cannot be written.

    Source: McInnes et al. 2018, https://arxiv.org/abs/1802.03426; van der Maaten and Hinton 2008,
    https://www.jmlr.org/papers/v9/vandermaaten08a.html.
    """
    import matplotlib.pyplot as plt
    import pandas as pd
    import scanpy as sc
    from anndata import AnnData

    if method not in ("umap", "tsne"):
        raise ConfigError(f"method is {method!r}; it is umap or tsne.")
    keys = _keys(adata, [keys] if isinstance(keys, str) else keys)
    if color is not None and color not in adata.obs and color not in adata.var_names:
        raise DataError(f"color is {color!r}, which is neither a column of obs nor a gene.")
    colored = pd.DataFrame(index=adata.obs_names)
    if color is not None:
        colored[color] = adata.obs[color] if color in adata.obs else adata.obs_vector(color)
    palette = {name: colors for name, colors in adata.uns.items() if name == f"{color}_colors"}
    figure, axes = plt.subplots(1, len(keys), figsize=(5 * len(keys), 4), squeeze=False, layout="constrained")
    for key, ax in zip(keys, axes[0], strict=True):
        plane = _plane(adata.obsm[key], method, n_neighbors=n_neighbors, seed=seed)
        drawn = AnnData(obs=colored, uns=palette, obsm={"X_drawn": plane})
        sc.pl.embedding(drawn, "X_drawn", color=color, ax=ax, show=False, **{"title": key, **options})
        drawn_as = "" if adata.obsm[key].shape[1] == 2 else {"umap": "UMAP", "tsne": "t-SNE"}[method]
        ax.set(xlabel=f"{drawn_as} 1".strip(), ylabel=f"{drawn_as} 2".strip())
    if save is not None:
        try:
            figure.savefig(save)
        except (OSError, ValueError) as error:
            raise OutputError(f"{save}: cannot be written ({error}).") from error
    if sc.settings.autoshow if show is None else show:
        plt.show()
        return None
    return list(axes[0])


def _keys(adata: AnnData, keys: Sequence[str] | None) -> list[str]:
    chosen = [key for key, x in adata.obsm.items() if x.ndim == 2 and x.shape[1] > 2] if keys is None else list(keys)
    missing = [key for key in chosen if key not in adata.obsm]
    if missing or not chosen:
        what = f"obsm has no {', '.join(missing)}" if missing else "obsm has no embedding of more than two columns"
        raise DataError(f"{what}; it holds {', '.join(adata.obsm) or 'nothing'}. scgraph.tl.embed writes X_scgraph.")
    if adata.n_obs < _LEAST_CELLS:
        raise DataError(f"adata has {adata.n_obs} cells; a picture of an embedding needs {_LEAST_CELLS}.")
    for key in chosen:
        if not np.isfinite(np.asarray(adata.obsm[key])).all():
            raise DataError(f"obsm[{key!r}] holds NaN or Inf. Leave those cells out.")
    return chosen


def _plane(x: Any, method: str, *, n_neighbors: int, seed: int) -> Any:
    """Return two columns for an embedding, `[n, 2]`."""
    import scanpy as sc
    from anndata import AnnData

    x = np.asarray(x)
    if x.shape[1] == 2:
        return x
    cells = AnnData(obsm={"X": x})
    if method == "tsne":
        sc.tl.tsne(cells, use_rep="X", perplexity=min(30, (cells.n_obs - 1) / 3), random_state=seed)
    else:
        sc.pp.neighbors(cells, use_rep="X", n_neighbors=min(n_neighbors, cells.n_obs - 1), random_state=seed)
        sc.tl.umap(cells, random_state=seed)
    return cells.obsm[f"X_{method}"]
