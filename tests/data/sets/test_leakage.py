"""Cells that stand in two files are found, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from scgraph.data import CellStore, cell_hashes, find_leaks, prepare, read_cells
from scgraph.data.sets import leakage
from scgraph.data.sets.leakage import LEAST_GENES, compare, compare_parts
from scgraph.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., anndata.AnnData]


def test_real_cells_are_found_across_gene_sets(shared_data: Path) -> None:
    probe = read_cells(shared_data / "zheng_facs_pbmc.h5ad").subset(np.arange(0, 3874, 2))
    pool = read_cells(shared_data / "human_pbmc_pool_pretrain.h5ad")
    corpus = pool.subset(np.arange(0, len(pool), 3))
    assert probe.matrix.shape[1] != corpus.matrix.shape[1]
    origin = np.array([name.partition(":") for name in corpus.obs_names.tolist()])
    truth = (origin[:, 0] == "zheng_facs_pbmc") & np.isin(origin[:, 2], probe.obs_names)
    assert truth.sum() > 500
    np.testing.assert_array_equal(find_leaks(probe, corpus), truth)


def test_cells_of_a_larger_corpus_are_found_across_gene_sets() -> None:
    """Sparse cells of 400 to 500 genes; the pool lacks some genes of the set, has others, and holds 80 of its cells."""
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.5, 1.0, size=550)  # as in real cells, most genes are expressed in few of them
    counts = rng.poisson(rate * rng.gamma(4.0, 0.25, size=(1400, 1))).astype(np.float32)
    names = pd.Index([f"c{at}" for at in range(1400)]), pd.Index([f"G{at}" for at in range(550)])
    cells = anndata.AnnData(counts, *(pd.DataFrame(index=index) for index in names))
    probe, pool = read_cells(cells[:400, :500].copy()), read_cells(cells[320:, ::-1][:, :490].copy())
    truth = np.isin(pool.obs_names, probe.obs_names)
    assert truth.sum() == 80
    np.testing.assert_array_equal(find_leaks(probe, pool), truth)


def test_other_order_other_genes_and_other_normalisation(make_adata: Make) -> None:
    adata = make_adata(cells=100, genes=200)
    corpus = make_adata(cells=100, genes=200, seed=1)
    corpus.obs_names = [f"other{at}" for at in range(100)]
    corpus = anndata.concat([corpus, adata[20:60]], merge="same")[:, ::-1][:, 30:].copy()
    truth = np.arange(140) >= 100
    probe = read_cells(adata)
    np.testing.assert_array_equal(find_leaks(probe, read_cells(corpus)), truth)
    sc.pp.normalize_total(corpus, target_sum=1e4)
    sc.pp.log1p(corpus)
    logged = read_cells(corpus)
    assert logged.kind == "log1p"
    np.testing.assert_array_equal(find_leaks(probe, logged), truth)
    np.testing.assert_array_equal(find_leaks(logged, probe), np.isin(np.arange(100), np.arange(20, 60)))


@pytest.mark.parametrize("logged", [False, True])
def test_another_count_of_one_gene_is_no_leak(make_adata: Make, *, logged: bool) -> None:
    """The cells express the same genes: only their values tell them apart."""
    adata = make_adata(cells=100, genes=200)
    corpus = adata.copy()
    counts = corpus.X.toarray()
    changed = [7, 30, 99]
    for cell in changed:
        counts[cell, np.flatnonzero(counts[cell])[5]] += 1
    corpus.X = counts
    if logged:
        sc.pp.normalize_total(corpus, target_sum=1e4)
        sc.pp.log1p(corpus)
    leaks = find_leaks(read_cells(adata), read_cells(corpus))
    assert np.flatnonzero(~leaks).tolist() == changed


def test_cells_that_share_too_little_are_not_called_the_same(make_adata: Make) -> None:
    adata = make_adata()
    few = adata[:, : LEAST_GENES - 1].copy()
    assert not find_leaks(read_cells(adata), read_cells(few)).any()
    other = few.copy()
    other.var_names = [f"OTHER{at}" for at in range(LEAST_GENES - 1)]
    del other.var["feature_id"]
    assert not find_leaks(read_cells(adata), read_cells(other)).any()
    hashes = cell_hashes(read_cells(adata), Vocabulary.from_cells([read_cells(few)]))
    assert not hashes.any()


def test_cells_are_found_whatever_scale_either_file_is_on(make_adata: Make) -> None:
    probe, same = make_adata(cells=100, genes=200), np.arange(140) >= 100
    corpus = make_adata(cells=100, genes=200, seed=1)
    corpus.obs_names = [f"other{at}" for at in range(100)]
    corpus = anndata.concat([corpus, probe[20:60]], merge="same")
    for total, base in ((1e6, None), (None, 10)):
        other = corpus.copy()
        sc.pp.normalize_total(other, target_sum=total)
        sc.pp.log1p(other, base=base)
        for part in (other, other[:, 30:].copy()):
            compared = compare(read_cells(probe), read_cells(part))
            np.testing.assert_array_equal(compared.leaks, same)
            assert not compared.unlike.any()


def test_cells_without_counts_are_compared_with_their_like_and_with_no_others(make_adata: Make) -> None:
    counts = make_adata(cells=100, genes=200)
    adata = counts.copy()
    adata.X.data *= np.random.default_rng(0).uniform(0.5, 1, size=adata.X.nnz).astype(np.float32)
    logged = adata.copy()
    sc.pp.normalize_total(logged, target_sum=1e6)
    sc.pp.log1p(logged, base=2)
    compared = compare(read_cells(adata, values="linear"), read_cells(logged))
    assert compared.leaks.mean() > 0.9
    assert not compared.unlike.any()
    apart = compare(read_cells(counts), read_cells(logged))
    assert not apart.leaks.any()
    assert apart.unlike.all()


def test_a_store_is_compared_by_the_counts_that_its_values_hold(make_adata: Make, tmp_path: Path) -> None:
    probe = make_adata(cells=100, genes=200)
    probe[:40, 20:].copy().write_h5ad(tmp_path / "some.h5ad")
    prepare([tmp_path / "some.h5ad"], out=tmp_path / "store")
    compared = compare(read_cells(probe), CellStore.open(tmp_path / "store").cells())
    assert compared.leaks.all()
    assert not compare(read_cells(make_adata(cells=100, genes=200, seed=1)), read_cells(probe)).leaks.any()


def test_the_parts_of_a_store_share_the_hashes_of_the_probe_set(
    make_adata: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = read_cells(make_adata(cells=100, genes=200))
    whole, other = cells.subset(np.arange(60)), read_cells(make_adata(cells=100, genes=200, seed=1)[:30, :150].copy())
    parts = [whole.subset(np.arange(30)), other, whole.subset(np.arange(30, 60))]
    hashed: list[int] = []
    real = leakage._hashes

    def noted(of: Any, genes: Any) -> Any:
        hashed.append(len(of))
        return real(of, genes)

    monkeypatch.setattr(leakage, "_hashes", noted)
    compared = compare_parts(cells, parts)
    assert hashed == [100, 30, 100, 30, 30]
    for part, found in zip(parts, compared, strict=True):
        alone = compare(cells, part)
        np.testing.assert_array_equal(found.leaks, alone.leaks)
        np.testing.assert_array_equal(found.unlike, alone.unlike)
    assert compared[2].leaks.all()
