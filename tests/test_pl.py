"""Pictures of embeddings side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import scgraph
from scgraph.errors import ConfigError, DataError, OutputError
from tests.helpers import make_cells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import anndata as ad

# umap-learn runs on one thread where it has a seed; scanpy sets colours in a way that matplotlib will give up.
pytestmark = pytest.mark.filterwarnings("ignore:n_jobs value 1 overridden", "ignore:The set_bad function")


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def cells() -> ad.AnnData:
    adata = make_cells(40)
    rng = np.random.default_rng(0)
    adata.obsm["X_scgraph"], adata.obsm["X_pca"] = rng.normal(size=(40, 8)), rng.normal(size=(40, 5))
    adata.obsm["X_flat"] = rng.normal(size=(40, 2))
    return adata


@pytest.mark.parametrize("method", ["umap", "tsne"])
def test_embeddings_stand_side_by_side(cells: ad.AnnData, tmp_path: Path, method: str) -> None:
    before = cells.copy()
    axes = scgraph.pl.compare(cells, color="cell_type", method=method, show=False, save=tmp_path / "both.png")
    assert axes is not None
    assert [ax.get_title() for ax in axes] == ["X_scgraph", "X_pca"]
    assert all(len(ax.collections[0].get_offsets()) == 40 for ax in axes)
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["type 0", "type 1", "type 2"]
    assert (tmp_path / "both.png").stat().st_size > 5000
    assert set(cells.obsm) == set(before.obsm)
    assert not cells.uns
    assert not cells.obsp


def test_two_columns_are_drawn_as_they_are_and_a_gene_colours_them(cells: ad.AnnData) -> None:
    axes = scgraph.pl.compare(cells[::2], ["X_flat"], color="GENE1", show=False)
    assert axes is not None
    points = np.asarray(axes[0].collections[0].get_offsets())
    assert sorted(points.tolist()) == sorted(cells.obsm["X_flat"][::2].tolist())


def test_what_is_shown_is_not_returned(cells: ad.AnnData, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(1))
    assert scgraph.pl.compare(cells, ["X_flat"], show=True) is None
    assert shown == [1]


def test_what_cannot_be_drawn_is_refused(cells: ad.AnnData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"obsm has no X_scvi; it holds X_scgraph, X_pca, X_flat"):
        scgraph.pl.compare(cells, ["X_scvi"], show=False)
    with pytest.raises(DataError, match="neither a column of obs nor a gene"):
        scgraph.pl.compare(cells, color="celltype", show=False)
    with pytest.raises(DataError, match="3 cells"):
        scgraph.pl.compare(cells[:3], show=False)
    with pytest.raises(ConfigError, match="umap or tsne"):
        scgraph.pl.compare(cells, method="pca", show=False)  # type: ignore[arg-type]
    with pytest.raises(OutputError, match="cannot be written"):
        scgraph.pl.compare(cells, ["X_flat"], show=False, save=tmp_path / "none" / "x.png")
    cells.obsm["X_pca"][3, 0] = np.nan
    with pytest.raises(DataError, match=r"X_pca.*NaN"):
        scgraph.pl.compare(cells, show=False)
