"""Values at every scale of a file give the values of its counts, or are refused with the option that declares them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

from scgraph.data import CellStore, prepare, read_cells
from scgraph.data.files.evidence import whole_multiples
from scgraph.data.files.stream import CellStream
from scgraph.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def counted(cells: int = 80, genes: int = 300, seed: int = 0) -> anndata.AnnData:
    """Counts as sparse, and as far apart in depth, as those of real cells."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.4, 1.0, size=genes) * rng.gamma(5.0, 0.4, size=(cells, 1))
    counts = sparse.csr_matrix(rng.poisson(rate).astype(np.float32))
    obs = pd.DataFrame(index=[f"cell{at}" for at in range(cells)])
    return anndata.AnnData(counts, obs, pd.DataFrame(index=[f"GENE{at}" for at in range(genes)]))


def logged(target: float | None, base: float | None = None) -> Callable[[anndata.AnnData], None]:
    def change(adata: anndata.AnnData) -> None:
        sc.pp.normalize_total(adata, target_sum=target)
        sc.pp.log1p(adata, base=base)
        del adata.uns["log1p"]

    return change


def scaled(target: float | None) -> Callable[[anndata.AnnData], None]:
    return lambda adata: sc.pp.normalize_total(adata, target_sum=target)


def rooted(adata: anndata.AnnData) -> None:
    sc.pp.normalize_total(adata, target_sum=1e4)
    adata.X = adata.X.sqrt()


def twice(adata: anndata.AnnData) -> None:
    logged(1e4)(adata)
    adata.X = adata.X.log1p()


def centred(adata: anndata.AnnData) -> None:
    """log(1 + count / geometric mean) of a cell, as Seurat's CLR takes it."""
    values = adata.X.toarray()
    mean = np.exp(np.log1p(values).mean(axis=1, keepdims=True))
    adata.X = sparse.csr_matrix(np.log1p(values / mean))


EXACT = {
    "counts per 10,000": scaled(1e4),
    "counts per million": scaled(1e6),
    "the median total": scaled(None),
    "log1p of counts per 10,000": logged(1e4),
    "log1p of counts per million": logged(1e6),
    "log2": logged(1e4, 2.0),
    "log10": logged(1e4, 10.0),
    "log1p of the median total": logged(None),
    "log1p of counts": lambda adata: sc.pp.log1p(adata),
    "log2 of counts per million": logged(1e6, 2.0),
    "square roots": rooted,
    "log twice": twice,
    "CLR": centred,
}


def on(name: str) -> anndata.AnnData:
    """The counts on a scale, `""` for themselves."""
    adata = counted()
    if name:
        EXACT[name](adata)
    return adata


def estimated(seed: int = 0) -> anndata.AnnData:
    """Fractions in place of counts, as SoupX and alevin give them."""
    adata = counted(seed=seed)
    adata.X.data *= np.random.default_rng(seed + 1).uniform(0.5, 1.0, size=adata.X.nnz).astype(np.float32)
    return adata


def values_of(adata: anndata.AnnData, **options: str) -> np.ndarray:
    return np.asarray(read_cells(adata, **options).normalized().toarray())


def in_blocks(adata: anndata.AnnData, path: Path, monkeypatch: pytest.MonkeyPatch) -> CellStream:
    adata.write_h5ad(path)
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 1000)
    stream = CellStream(path)
    assert len(list(stream.blocks())) > 3
    return stream


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("genes", [300, 120], ids=["all genes", "a subset"])
def test_every_scale_gives_the_values_of_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, genes: int
) -> None:
    """A subset of genes has no sum that all cells share, and its values are those of the counts of the subset."""
    adata = counted()
    EXACT[name](adata)
    adata, counts = adata[:, :genes].copy(), counted()[:, :genes].copy()
    cells = read_cells(adata)
    np.testing.assert_allclose(cells.normalized().toarray(), values_of(counts), rtol=1e-4, atol=1e-5)
    stream = in_blocks(adata, tmp_path / "cells.h5ad", monkeypatch)
    assert stream.notes == cells.notes
    streamed = sparse.vstack([block.matrix for block in stream.blocks()])
    np.testing.assert_array_equal(streamed.toarray(), cells.matrix.toarray())


def test_what_scgraph_takes_is_taken_as_it_is() -> None:
    adata = counted()
    logged(1e4)(adata)
    cells = read_cells(adata)
    np.testing.assert_array_equal(cells.matrix.toarray(), adata.X.toarray())
    assert any("which every cell adds up to" in note for note in cells.notes)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("log2", "log2(1 + x), x adding up to 10,000"),
        ("counts per million", "x without a logarithm, x adding up to 1e+06"),
        ("CLR", "whole multiples of the smallest"),
    ],
)
def test_the_scale_and_what_was_done_are_told(name: str, words: str) -> None:
    adata = counted()
    EXACT[name](adata)
    assert any(words in note and "taken to log1p of counts per 10,000" in note for note in read_cells(adata).notes)


def test_values_too_high_for_a_logarithm_are_judged_as_none() -> None:
    """Cells of few genes, all expressed: whatever is cut at the highest logarithm would add up to the same."""
    counts = np.random.default_rng(0).poisson(5.0, size=(40, 12)) + 1.0
    adata = anndata.AnnData(np.asarray(1e4 * counts / counts.sum(1, keepdims=True), dtype=np.float32))
    adata.var_names = [f"GENE{at}" for at in range(12)]
    np.testing.assert_allclose(np.expm1(values_of(adata)), adata.X, rtol=1e-5)


@pytest.mark.parametrize("decimals", [3, 4])
def test_logarithms_of_three_decimals_still_show_their_scale(decimals: int) -> None:
    adata = counted()
    logged(1e4)(adata)
    adata.X.data = np.round(adata.X.data, decimals)
    np.testing.assert_allclose(values_of(adata), values_of(counted()), atol=1e-3)
    np.testing.assert_allclose(values_of(adata[:, :120].copy()), values_of(counted()[:, :120].copy()), atol=2e-3)


@pytest.mark.parametrize(
    "change", [scaled(1e4), scaled(1e6), logged(1e6), logged(None), logged(1e4, 2.0), rooted, twice]
)
def test_values_that_never_were_whole_show_their_scale_by_their_sums(change: Callable[[anndata.AnnData], None]) -> None:
    adata = estimated()
    change(adata)
    assert "every cell" in read_cells(adata).notes[-1]
    np.testing.assert_allclose(values_of(adata), values_of(estimated(), values="linear"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_piece_of_a_file_is_told_as_the_file_is(rows: int) -> None:
    for name in ("counts per 10,000", "log1p of counts per million", "log2"):
        adata = counted(genes=900)
        EXACT[name](adata)
        np.testing.assert_allclose(
            values_of(adata[:rows].copy()), values_of(counted(genes=900)[:rows].copy()), rtol=1e-4, atol=1e-5
        )


def test_the_smallest_value_of_a_cell_may_be_several_counts() -> None:
    counts = [np.array([1, 2, 3, 7, 9.0]), np.array([2, 3, 5, 8, 13.0]), np.array([7, 9, 10, 16, 25, 41.0])]
    indptr = np.cumsum([0, *map(len, counts)])
    unit, informative, whole = whole_multiples(np.concatenate([0.31 * own for own in counts]), indptr)
    np.testing.assert_allclose(unit, 0.31)
    np.testing.assert_array_equal(whole, informative)


def rounded(places: int) -> anndata.AnnData:
    adata = counted()
    logged(1e4)(adata)
    adata.X.data = np.round(adata.X.data, places)
    return adata


def below_15() -> anndata.AnnData:
    adata = estimated()
    adata.X.data *= 14 / adata.X.data.max()
    return adata


def halves() -> anndata.AnnData:
    adata = counted()
    adata.X.data /= 2
    return adata


def partly(share: float) -> anndata.AnnData:
    """Counts, some of which are fractions."""
    adata = counted()
    some = np.random.default_rng(5).random(adata.X.nnz) < share
    adata.X.data[some] *= np.float32(0.7)
    return adata


def roots() -> anndata.AnnData:
    """Most counts are 1, and so are their roots; counts, some of which were corrected, look like that too."""
    adata = counted()
    adata.X = adata.X.sqrt()
    return adata


def part_of_estimates() -> anndata.AnnData:
    adata = estimated()
    logged(1e4, 10.0)(adata)
    return adata[:, :120].copy()


UNTOLD = {
    "logarithms of one decimal": (lambda: rounded(1), "nothing shows their scale"),
    "logarithms of two decimals": (lambda: rounded(2), "nothing shows their scale"),
    "fractions below 15": (below_15, "nothing shows their scale"),
    "estimated counts": (estimated, "nothing shows their scale"),
    "half counts": (halves, "nothing shows their scale|the others are whole"),
    "a few fractions": (
        lambda: partly(0.02),
        "the others are whole, as counts are; fractions stand in cells such as cell",
    ),
    "square roots of counts": (roots, "the others are whole"),
    "a part of the genes of estimates": (part_of_estimates, "nothing shows their scale"),
}


@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_is_refused_with_the_option_that_declares_it(tmp_path: Path, name: str) -> None:
    make, message = UNTOLD[name]
    adata = make()
    adata.write_h5ad(tmp_path / "mine.h5ad")
    for read in (read_cells, CellStream):
        with pytest.raises(DataError, match=rf"mine\.h5ad: .*({message}).*with values: linear"):
            read(tmp_path / "mine.h5ad")


def test_what_is_declared_is_taken_with_a_note() -> None:
    linear = read_cells(estimated(), values="linear")
    totals = np.asarray(estimated().X.sum(1))
    np.testing.assert_allclose(
        np.expm1(linear.normalized().toarray()), estimated().X.toarray() / totals * 1e4, rtol=1e-5
    )
    assert "as declared" in linear.notes[-1]
    assert "nothing in them proves it" in linear.notes[-1]
    np.testing.assert_allclose(values_of(roots(), values="sqrt"), values_of(counted()), rtol=1e-4, atol=1e-5)
    logs = rounded(1)
    np.testing.assert_array_equal(values_of(logs, values="log1p"), logs.X.toarray())
    tens = part_of_estimates()
    np.testing.assert_allclose(values_of(tens, values="log10"), tens.X.toarray() * np.log(10), rtol=1e-5)


@pytest.mark.parametrize("base", [2.0, 3.0, 10.0, np.e])
def test_the_base_that_the_file_records_is_believed_where_nothing_else_shows(tmp_path: Path, base: float) -> None:
    adata = estimated()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata, base=None if base == np.e else base)
    part = adata[:, :120].copy()
    expected = part.X.toarray() * np.log(base)
    part.write_h5ad(tmp_path / "part.h5ad")
    for source in (part, tmp_path / "part.h5ad"):
        cells = read_cells(source)
        assert "as uns['log1p'] says; nothing in them proves it" in cells.notes[-1]
        np.testing.assert_allclose(cells.normalized().toarray(), expected, rtol=1e-5)
    part.layers["other"] = part.X.copy()
    with pytest.raises(DataError, match="nothing shows their scale"):
        read_cells(part, layer="other")


def test_a_base_that_the_values_belie_is_not_believed() -> None:
    adata = counted()
    logged(1e4, 2.0)(adata)
    adata.uns["log1p"] = {"base": None}
    np.testing.assert_allclose(values_of(adata), values_of(counted()), rtol=1e-4, atol=1e-5)
    million = estimated()
    sc.pp.normalize_total(million, target_sum=1e6)
    sc.pp.log1p(million)
    with pytest.raises(DataError, match=r"cannot be log\(1 \+ x\) of counts per 10,000, as uns.* adds up to"):
        read_cells(million[:, :250].copy())


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("", "log1p", "declared as log1p, but all are whole numbers"),
        ("counts per 10,000", "counts", "declared as counts, but .* are fractions"),
        ("log2", "log1p", r"declared as log1p, but they show log2\(1 \+ x\)"),
        ("log1p of counts per 10,000", "linear", r"declared as linear, but they show log\(1 \+ x\)"),
    ],
)
def test_a_declaration_that_the_file_contradicts_is_refused(name: str, values: str, message: str) -> None:
    adata = counted()
    if name:
        EXACT[name](adata)
    with pytest.raises(DataError, match=f"{message}.*with values"):
        read_cells(adata, values=values)
    with pytest.raises(ConfigError, match="'log3' is not known"):
        read_cells(adata, values="log3")


@pytest.mark.parametrize("column", ["total_counts", "nCount_RNA", "n_counts"])
@pytest.mark.parametrize(
    "name", ["counts per 10,000", "log1p of counts per 10,000", "log1p of counts per million", "log2", "square roots"]
)
def test_a_part_of_the_genes_keeps_the_totals_of_the_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, column: str
) -> None:
    adata = counted()
    totals = np.asarray(adata.X.sum(1)).ravel()
    whole = values_of(adata)[:, :120]
    EXACT[name](adata)
    part = adata[:, :120].copy()
    part.obs[column] = totals
    cells = read_cells(part)
    assert f"in whole cells of obs[{column!r}]" in cells.notes[-1]
    np.testing.assert_allclose(cells.normalized().toarray(), whole, rtol=1e-4, atol=1e-5)
    stream = in_blocks(part, tmp_path / "part.h5ad", monkeypatch)
    assert stream.notes == cells.notes
    streamed = sparse.vstack([block.matrix for block in stream.blocks()])
    np.testing.assert_array_equal(streamed.toarray(), cells.matrix.toarray())
    part.obs[column] = np.random.default_rng(0).permutation(totals)
    assert "of these genes" in read_cells(part).notes[-1]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("", "log1p of counts per 10,000"),
        ("log1p of counts per 10,000", ""),
        ("log1p of counts per 10,000", "log2"),
        ("log1p of counts per 10,000", "counts per million"),
        ("counts per million", "log10"),
    ],
)
@pytest.mark.parametrize("at", [20, 60])
def test_cells_on_two_scales_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, then: str, at: int
) -> None:
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 1000)
    mixed = anndata.concat([on(first)[:at], on(then)[at:]], merge="same")
    mixed.write_h5ad(tmp_path / "mixed.h5ad")
    for read in (read_cells, CellStream):
        with pytest.raises(DataError, match=r"mixed\.h5ad: .*(others something else \(|stand in cells )such as cell"):
            read(tmp_path / "mixed.h5ad")


def test_cells_scaled_to_other_totals_stand_on_one_scale() -> None:
    for first, then in (("log1p of counts per 10,000", "log1p of counts per million"), ("", "counts per 10,000")):
        mixed = anndata.concat([on(first)[:30], on(then)[30:]], merge="same")
        np.testing.assert_allclose(values_of(mixed), values_of(counted()), rtol=1e-4, atol=1e-5)


def test_files_of_one_corpus_come_to_one_scale(tmp_path: Path) -> None:
    paths = []
    for name in ("", "log10", "log1p of the median total", "counts per million"):
        adata = counted()
        if name:
            EXACT[name](adata)
        paths.append(tmp_path / f"{name or 'counts'}.h5ad")
        adata.write_h5ad(paths[-1])
    prepare(paths, out=tmp_path / "store")
    rows = CellStore.open(tmp_path / "store").matrix().toarray().reshape(4, counted().n_obs, -1)
    for other in rows[1:]:
        np.testing.assert_allclose(other, rows[0], rtol=1e-4, atol=1e-5)
