"""Components against scikit-learn and scanpy on dense matrices."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse
from sklearn.decomposition import PCA

from scgraph.data import CellStore, Vocabulary, read_cells
from scgraph.data.components import ComponentValues, Residuals, ScaledValues, fit_components
from scgraph.errors import ConfigError, DataError


def _counts(n: int = 120, genes: int = 80, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kinds = rng.gamma(1.0, 1.0, (3, genes))
    counts: np.ndarray = rng.poisson(kinds[rng.integers(0, 3, n)] * rng.lognormal(0, 0.4, (n, 1)) * 3)
    counts[:, 0] += 1
    return counts.astype(np.float32)


def _anndata(counts: np.ndarray) -> ad.AnnData:
    adata = ad.AnnData(sparse.csr_matrix(counts))
    adata.var_names = [f"G{at}" for at in range(counts.shape[1])]
    return adata


def _store(counts: np.ndarray, genes: int) -> CellStore:
    vocabulary = Vocabulary(tuple(f"G{at}" for at in range(genes)), ("",) * genes)
    return CellStore.from_cells(read_cells(_anndata(counts)), vocabulary)


def _dense(counts: np.ndarray, values: str) -> np.ndarray:
    adata = _anndata(counts)
    if values == "pearson":
        sc.experimental.pp.normalize_pearson_residuals(adata)
        return np.asarray(adata.X)
    if values == "sqrt":
        return np.asarray(np.sqrt(1000 * counts / counts.sum(axis=1, keepdims=True)))
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    if values == "scaled":
        adata.X = adata.X.toarray()
        sc.pp.scale(adata, max_value=10)
    return adata.X.toarray() if sparse.issparse(adata.X) else np.asarray(adata.X)


@pytest.mark.parametrize("values", ["log1p", "sqrt", "scaled", "pearson"])
def test_components_are_those_of_the_dense_values_of_scanpy(values: ComponentValues) -> None:
    counts = _counts()
    components = fit_components(_store(counts, 80), values, 5, seed=0)(_store(counts, 80))
    dense = _dense(counts, values)
    expected = PCA(5, svd_solver="full").fit_transform(dense)
    signs = np.sign((components * expected).sum(axis=0))
    np.testing.assert_allclose(components * signs, expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


@pytest.mark.parametrize("values", ["log1p", "sqrt", "scaled", "pearson"])
def test_a_cell_gets_the_same_components_in_any_store(values: ComponentValues) -> None:
    counts = _counts()
    fitted = fit_components(_store(counts, 80), values, 4, seed=0)
    np.testing.assert_allclose(fitted(_store(counts[7:9], 80)), fitted(_store(counts, 80))[7:9], rtol=1e-5)


@pytest.mark.parametrize("values", ["scaled", "pearson"])
def test_variable_genes_alone_are_read(values: ComponentValues) -> None:
    counts = _counts()
    fitted = fit_components(_store(counts, 80), values, 4, seed=0, n_top=30)
    assert fitted.loadings.shape == (30, 4)


@pytest.mark.parametrize("cls", [ScaledValues, Residuals])
def test_dense_values_of_many_cells_are_made_block_by_block(
    cls: type[ScaledValues | Residuals], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whole, with their intermediate results, those of 20,000 cells would take tens of gigabytes."""
    asked: list[int] = []
    real = cls.__call__

    def watched(self: ScaledValues | Residuals, store: CellStore) -> np.ndarray:
        asked.append(len(store))
        return real(self, store)

    monkeypatch.setattr(cls, "__call__", watched)
    fit_components(_store(_counts(2500, 20), 20), "pearson" if cls is Residuals else "scaled", 3, seed=0, n_top=15)
    assert sum(asked) in (2500, 5000)  # residuals once more, to choose the genes
    assert max(asked) <= 1024


def test_few_cells_give_few_components_and_one_gene_none() -> None:
    assert fit_components(_store(_counts(4), 80), "sqrt", 50, seed=0)(_store(_counts(4), 80)).shape == (4, 3)
    with pytest.raises(ConfigError, match="two cells and two genes"):
        fit_components(_store(_counts(6), 1), "log1p", 5, seed=0)
    with pytest.raises(ConfigError, match="Did you mean 'pearson'"):
        fit_components(_store(_counts(6), 80), "person", 5, seed=0)  # type: ignore[arg-type]


def test_residuals_are_refused_where_counts_are_not_known() -> None:
    store = _store(_counts(10), 80)
    values = store.genes.read(np.arange(10), store.indptr) * 0.0137
    other = CellStore.from_arrays(
        store.indptr,
        store.genes.read(np.arange(10), store.indptr),
        (values + 0.31).astype(np.float32),
        store.keys,
        store.vocabulary,
    )
    with pytest.raises(DataError, match="The counts of 10 of 10 cells are not known"):
        fit_components(other, "pearson", 3, seed=0)
    assert fit_components(other, "sqrt", 3, seed=0)(other).shape == (10, 3)
