"""Shallow cells: that they are, that nothing is fitted to them, and which sets cannot be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scgraph.bench.uses import chosen_uses, shallow
from scgraph.bench.uses.shallow import SHALLOW, SHARES, thinned_cells
from scgraph.data import read_cells
from scgraph.data.sets.labelled import read_probe_sets
from tests.bench.uses.helpers import GeneValues, make_context
from tests.helpers import make_cells

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData


def deep_cells() -> AnnData:
    adata = make_cells(n=120)
    adata.X *= 10
    adata.X += np.random.default_rng(0).poisson(1.0, adata.shape)
    return adata


def test_the_test_cells_are_asked_at_each_share_of_their_counts() -> None:
    adata = deep_cells()
    context = make_context(adata)
    values = GeneValues()
    rows = SHALLOW.measure(values, context)
    assert [(row["use"], row["level"], row["metric"]) for row in rows] == [
        ("shallow", str(share), "macro_f1") for share in SHARES
    ]
    whole = context.stores.probe.subset(context.split.test)
    expressed = [len(store.genes.array) for store in (whole, *values.asked)]
    assert all(len(store) == len(context.split.test) for store in values.asked)
    assert expressed == sorted(expressed, reverse=True)
    # What is left of the counts: a value of one count is log1p of 10,000 / total.
    totals = adata.X.sum(1)[context.split.test]
    for share, store in zip(SHARES, values.asked, strict=True):
        unit = [np.expm1(row.data).min() for row in store.matrix()]
        assert np.median(1e4 / np.array(unit) / totals) == pytest.approx(share, rel=0.15)


def test_the_classifier_is_that_of_whole_cells_and_loses_on_shallow_ones() -> None:
    rows = SHALLOW.measure(GeneValues(), make_context(make_cells(n=300, genes=9)))
    values = {row["level"]: row["value"] for row in rows}
    assert values["0.5"] > 0.85
    assert values["0.1"] < values["0.5"] - 0.15


def test_cells_are_thinned_once_for_all_representations(monkeypatch: pytest.MonkeyPatch) -> None:
    thinned: list[float] = []
    real = shallow.thin_cells

    def watched(cells: Any, share: float, *, seed: int) -> Any:
        thinned.append(share)
        return real(cells, share, seed=seed)

    monkeypatch.setattr(shallow, "thin_cells", watched)
    context = make_context(make_cells())
    first, second = GeneValues(), GeneValues()
    SHALLOW.measure(first, context)
    SHALLOW.measure(second, context)
    assert thinned == list(SHARES)
    assert all(a is b for a, b in zip(first.asked, second.asked, strict=True))


def test_a_file_without_all_genes_stays_on_its_scale(tmp_path: Path) -> None:
    """Log values of cells whose other genes the file lacks: a thinned cell adds up to what the whole one does."""
    adata = deep_cells()
    totals = adata.X.sum(1, keepdims=True)
    adata.X = np.log1p(adata.X / totals * 1e4).astype(np.float32)
    adata.obs["n_counts"] = totals
    adata[:, :25].copy().write_h5ad(tmp_path / "part.h5ad")
    cells = read_cells(tmp_path / "part.h5ad", label="cell_type")
    thinned = thinned_cells(cells, 0.5, seed=0)
    sums = [np.expm1(one.matrix.toarray()).sum(1) for one in (cells, thinned)]
    assert sums[0].max() < 9000
    np.testing.assert_allclose(sums[1], sums[0], rtol=1e-3)
    assert thinned.matrix.nnz < cells.matrix.nnz


def test_values_that_are_no_counts_cannot_be_thinned(tmp_path: Path) -> None:
    adata = make_cells()
    counts = read_probe_sets([adata])[0]
    assert SHALLOW.refuse(counts, make_context(adata).settings) is None
    rng = np.random.default_rng(0)
    adata.X = np.log1p(rng.uniform(0.5, 3.0, adata.shape) * (adata.X > 0)).astype(np.float32)
    adata.write_h5ad(tmp_path / "smoothed.h5ad")
    smoothed = read_probe_sets([tmp_path / "smoothed.h5ad"], values="log1p")[0]
    why = SHALLOW.refuse(smoothed, make_context(make_cells()).settings)
    assert why is not None
    assert "counts" in why
    assert SHALLOW in chosen_uses(None, has_batches=False)
