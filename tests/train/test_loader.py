"""Batches: pure functions of seed, epoch and cell, from any step on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scgraph.train.loader import CellLoader


def epoch_of(loader: CellLoader, epoch: int, step: int = 0) -> list[Any]:
    loader.seek(epoch, step)
    return list(loader)


def same(a: Any, b: Any) -> bool:
    tensors = all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("genes", "values", "mask"))
    return tensors and np.array_equal(a.rows, b.rows)


def test_every_cell_is_seen_once_an_epoch_and_the_order_changes(small: Any) -> None:
    loader = CellLoader(small.small_store(), small.small_training(batch_size=7), shuffle=True)
    rows = [np.concatenate([batch.rows for batch in epoch_of(loader, epoch)]) for epoch in (0, 1)]
    assert loader.steps == 18
    assert all(np.array_equal(np.sort(seen), np.arange(120)) for seen in rows)
    assert not np.array_equal(*rows)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_begin_at_any_step(small: Any, workers: int) -> None:
    config = small.small_training(batch_size=7)
    whole = epoch_of(CellLoader(small.small_store(), config, shuffle=True), 3)
    again = CellLoader(small.small_store(), config.model_copy(update={"num_workers": workers}), shuffle=True)
    for step in (0, 5, 17):
        rest = epoch_of(again, 3, step)
        assert len(rest) == 18 - step
        assert all(map(same, rest, whole[step:]))
    assert epoch_of(again, 3, 18) == []


def test_what_is_masked_does_not_depend_on_the_batch_but_on_the_epoch(small: Any) -> None:
    store = small.small_store()
    masks: dict[tuple[int, int], dict[int, Any]] = {}
    for size in (7, 30):
        loader = CellLoader(store, small.small_training(batch_size=size), shuffle=True)
        for epoch in (0, 1):
            masks[size, epoch] = {
                row: batch.genes[at][batch.mask[at]].tolist()
                for batch in epoch_of(loader, epoch)
                for at, row in enumerate(batch.rows.tolist())
            }
    assert masks[7, 0] == masks[30, 0]
    assert masks[7, 0] != masks[7, 1]


def test_validation_sees_the_same_in_every_epoch(small: Any) -> None:
    loader = CellLoader(small.small_store(), small.small_training(), shuffle=False, query=True)
    first, later = epoch_of(loader, 0), epoch_of(loader, 9)
    assert all(map(same, first, later))
    assert all(torch.equal(a.query, b.query) for a, b in zip(first, later, strict=True))
    assert np.array_equal(np.concatenate([batch.rows for batch in first]), np.arange(120))


def test_targets_are_the_values_of_the_drawn_genes_zeros_included(small: Any) -> None:
    store = small.small_store()
    loader = CellLoader(store, small.small_training(cell_loss_genes=11), shuffle=True, query=True)
    dense = store.matrix().toarray()
    batches = epoch_of(loader, 2)
    for batch in batches:
        assert batch.query.shape == (11,)
        assert len(batch.query.unique()) == 11
        assert np.array_equal(batch.targets.numpy(), dense[batch.rows][:, batch.query.numpy() - 1])
    assert not torch.equal(batches[0].query, batches[1].query)
    assert (torch.cat([batch.query for batch in batches]).unique() > 0).all()


def test_moving_a_batch_keeps_everything(small: Any) -> None:
    loader = CellLoader(small.small_store(), small.small_training(), shuffle=True, query=True)
    batch = epoch_of(loader, 0)[0]
    moved = batch.to("meta")
    assert {moved.genes.device.type, moved.mask.device.type, moved.targets.device.type} == {"meta"}
    assert moved.rows is batch.rows
    assert moved.padded == bool((batch.genes == 0).any())
