"""Imputation: what is hidden, that nothing hidden is seen, and that predictions score between means and truth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from scgraph.bench.reconstruction import components_of_visible, reconstruct, vectors_of_visible
from scgraph.bench.uses import chosen_uses
from scgraph.bench.uses.hidden import HiddenPart, hide_genes, hide_in, hide_in_parts
from scgraph.bench.uses.imputation import IMPUTATION, neighbors, ridge
from scgraph.config import TrainConfig
from scgraph.data import CellStore
from scgraph.data.components import fit_components
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.nn import GeneModel
from scgraph.reporting.rows import PAIR
from scgraph.representations.base import ModelRepresentation
from scgraph.representations.components import ComponentBaselines, ComponentRepresentation
from tests.bench.uses.helpers import GeneValues, make_context
from tests.helpers import make_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray


def programs(n: int = 300, genes: int = 120, seed: int = 0) -> ad.AnnData:
    """Counts of three kinds of cells with one program each of forty genes, deep enough to tell."""
    rng = np.random.default_rng(seed)
    rate = np.full((n, genes), 0.5)
    for at in range(n):
        rate[at, at % 3 :: 3] = 5.0
    counts = rng.poisson(rate * rng.uniform(0.7, 1.3, (n, 1))).astype(np.float32)
    obs = pd.DataFrame({"cell_type": [f"type {at % 3}" for at in range(n)]}, index=[f"c{at}" for at in range(n)])
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"GENE{at}" for at in range(genes)]))


def dense(part: HiddenPart) -> NDArray[Any]:
    return part.visible.matrix().toarray()


def test_half_of_the_genes_are_hidden_by_cell_and_seed_alone() -> None:
    store = make_context(programs()).stores.probe
    hidden = hide_genes(store, seed=3)
    assert hidden.shape == (300, 120)
    assert abs(hidden.mean() - 0.5) < 0.02
    assert (hidden.sum(axis=1) < 85).all()
    order = np.random.default_rng(0).permutation(300)[:50]
    assert np.array_equal(hide_genes(store.subset(order), seed=3), hidden[order])
    assert 0.4 < (hide_genes(store, seed=4) == hidden).mean() < 0.6


def test_no_hidden_value_is_visible_and_what_is_visible_stays_as_it_was() -> None:
    store = make_context(programs()).stores.probe
    genes = np.arange(1, 121)
    part, whole = hide_in(store, genes, seed=0), store.matrix().toarray()
    assert np.array_equal(dense(part), np.where(part.hidden, 0, whole))
    counts = np.asarray(programs()[:, list(store.vocabulary.symbols)].X)
    assert np.array_equal(part.counts, counts)


def test_components_fit_the_visible_genes_and_nothing_else() -> None:
    context = make_context(programs())
    components = fit_components(context.stores.train, "log1p", 5, seed=0)
    store = context.stores.probe
    part = hide_in(store, np.arange(1, 121), seed=0)
    z = components_of_visible(components, 5, part.visible, part.hidden)
    values = dense(part)
    for row in (0, 17):
        seen = ~part.hidden[row]
        by_hand = np.linalg.lstsq(components.loadings[seen], values[row, seen] - components.centre[seen], rcond=None)[0]
        np.testing.assert_allclose(z[row], by_hand, atol=0.1)
    none = replace(part, hidden=np.zeros_like(part.hidden), visible=store)
    np.testing.assert_allclose(
        components_of_visible(components, 5, none.visible, none.hidden), components(store), atol=0.05
    )


def test_a_cell_that_shows_fewer_genes_than_there_are_components_is_no_error() -> None:
    context = make_context(programs())
    components = fit_components(context.stores.train, "log1p", 50, seed=0)
    store = context.stores.probe.subset(np.arange(4))
    hidden = np.ones((4, 120), dtype=bool)
    hidden[:, :3] = False
    assert np.isfinite(components_of_visible(components, 50, store, hidden)).all()


def test_a_pooled_vector_takes_hidden_genes_for_unknown_and_not_for_unexpressed() -> None:
    context = make_context(programs())
    task, store = hide_in_parts(context), context.stores.probe.subset(context.split.test)
    torch.manual_seed(0)
    model = GeneModel(
        120, conv="none", channels=4, layers=1, rank=2, cell_head=True, value_encoding="product", readout="pooled"
    )
    assert model.cell_head is not None
    with torch.no_grad():
        model.cell_head.table.zero_()
        model.cell_head.bias[1:][task.genes - 1] = torch.from_numpy(np.log(task.means)).float()
    by_values, by_counts = (
        ModelRepresentation("none", model, TrainConfig(device="cpu", count_loss=weight), 0) for weight in (0, 1)
    )
    whole, part = by_counts(store), hide_in(store, task.genes, seed=0)
    unknown, unexpressed = (vectors_of_visible(one, part.visible, part.hidden) for one in (by_counts, by_values))
    assert np.linalg.norm(unknown - whole) < 0.9 * np.linalg.norm(unexpressed - whole)
    nothing = vectors_of_visible(by_counts, store, np.zeros_like(part.hidden))
    np.testing.assert_allclose(nothing, whole, atol=1e-4)
    empty = part.visible.subset(np.arange(2))
    empty = CellStore.from_arrays(
        np.zeros(3, dtype=np.int64), empty.genes.array[:0], empty.values.array[:0], empty.keys, empty.vocabulary
    )
    assert not vectors_of_visible(by_counts, empty, np.ones((2, 120), dtype=bool)).any()


@pytest.mark.parametrize("values", ["log1p", "sqrt"])
def test_components_are_turned_back_to_fractions(values: Any) -> None:
    context = make_context(programs())
    components = fit_components(context.stores.train, values, 119, seed=0)
    store = context.stores.probe.subset(context.split.train[:20])
    genes = np.array([3, 40, 120])
    fractions = np.expm1(store.matrix().toarray().astype(np.float64))[:, genes - 1]
    back = reconstruct(components, components(store), genes)
    assert back is not None
    scale = 1.0 if values == "log1p" else 10.0
    np.testing.assert_allclose(back * scale, fractions, rtol=0.15, atol=20)
    residuals = fit_components(context.stores.train, "pearson", 5, seed=0)
    assert reconstruct(residuals, residuals(store), genes) is None


def test_every_way_is_ahead_of_the_gene_means_where_cells_have_programs() -> None:
    context = make_context(programs())
    components = fit_components(context.stores.train, "log1p", 5, seed=0)
    rows = IMPUTATION.measure(ComponentRepresentation("pca+logreg", components, 4), context)
    values = {row["level"]: row["value"] for row in rows}
    assert set(values) == {"own", "ridge", "neighbors"}
    assert all(row["metric"] == "deviance_explained" for row in rows)
    assert all(0.3 < value < 1 for value in values.values()), values
    rng = np.random.default_rng(0)

    class Noise(GeneValues):
        def __call__(self, store: CellStore) -> NDArray[np.float32]:
            return rng.normal(size=(len(store), 4)).astype(np.float32)

    noise = {row["level"]: row["value"] for row in IMPUTATION.measure(Noise(), context)}
    assert set(noise) == {"ridge", "neighbors"}
    assert all(abs(value) < 0.1 for value in noise.values()), noise


def test_blocks_side_by_side_are_fitted_to_the_visible_genes_each() -> None:
    context = make_context(programs())
    pair = ComponentBaselines(context.stores.train, 5, 0).fit(PAIR)
    task = hide_in_parts(context)
    values = {row["level"]: row["value"] for row in IMPUTATION.measure(pair, context)}
    assert set(values) == {"ridge", "neighbors"}
    plain = tuple(pair(part.visible) for part in (task.train, task.validation, task.test))
    assert values["ridge"] > task.score(list(ridge(task, plain)))


def test_a_decoder_is_asked_where_it_is_trained_on_counts() -> None:
    context = make_context(programs())
    task = hide_in_parts(context)
    genes = len(context.stores.train.vocabulary)
    model = GeneModel(genes, conv="none", channels=4, layers=1, rank=2, cell_head=True)
    assert model.cell_head is not None
    with torch.no_grad():
        model.cell_head.table.zero_()
        model.cell_head.bias[1:][task.genes - 1] = torch.from_numpy(np.log(task.means)).float()
    by_values, by_counts = (
        ModelRepresentation("none", model, TrainConfig(device="cpu", count_loss=weight), 0) for weight in (0, 1)
    )
    assert {row["level"] for row in IMPUTATION.measure(by_values, context)} == {"ridge", "neighbors"}
    values = {row["level"]: row["value"] for row in IMPUTATION.measure(by_counts, context)}
    assert values["own"] == pytest.approx(0, abs=1e-6)  # it expects the gene means of every cell


def test_the_test_part_is_not_chosen_on() -> None:
    task = hide_in_parts(make_context(programs()))
    truth = task.validation.counts, task.test.counts
    swapped = task.validation.counts, task.test.counts[:, ::-1]
    noise = np.ones_like(task.validation.counts), task.test.counts
    # The first is best on the validation part and is taken, though the other is better on the test part.
    assert task.score([swapped, noise]) < 0 < task.score([noise]) <= task.score([truth])


def test_predictions_are_made_once_for_all_representations() -> None:
    context = make_context(programs())
    first = hide_in_parts(context)
    assert hide_in_parts(context) is first
    features = tuple(GeneValues()(part.visible) for part in (first.train, first.validation, first.test))
    assert len(list(ridge(first, features))) > 1
    assert neighbors(first, features)[1].shape == first.test.counts.shape


def test_sets_without_counts_are_left_out_with_the_reason() -> None:
    adata = make_cells()
    settings = make_context(make_cells()).settings
    assert IMPUTATION.refuse(read_probe_sets([adata])[0], settings) is None
    rng = np.random.default_rng(0)
    adata.X = np.log1p(rng.uniform(0.5, 3.0, adata.shape) * (adata.X > 0)).astype(np.float32)
    why = IMPUTATION.refuse(read_probe_sets([adata], values="log1p")[0], settings)
    assert why is not None
    assert "counts" in why
    assert IMPUTATION not in chosen_uses(None, has_batches=False)
    assert chosen_uses(["imputation"], has_batches=False) == (IMPUTATION,)
