"""Batches: pure functions of seed, epoch and cell, from any step on."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from scgraph.train.distributed.world import World
from scgraph.train.loader import BLOCK, SPAN, CellLoader
from tests.train import helpers

if TYPE_CHECKING:
    from pathlib import Path


def epoch_of(loader: CellLoader, epoch: int, step: int = 0) -> list[Any]:
    loader.seek(epoch, step)
    return list(loader)


def same(a: Any, b: Any) -> bool:
    tensors = all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("genes", "values", "mask"))
    return tensors and np.array_equal(a.rows, b.rows)


def test_every_cell_is_seen_once_an_epoch_and_the_order_changes() -> None:
    loader = CellLoader(helpers.small_store(), helpers.small_training(batch_size=7), shuffle=True)
    rows = [np.concatenate([batch.rows for batch in epoch_of(loader, epoch)]) for epoch in (0, 1)]
    assert loader.steps == 18
    assert all(np.array_equal(np.sort(seen), np.arange(120)) for seen in rows)
    assert not np.array_equal(*rows)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_begin_at_any_step(workers: int) -> None:
    config = helpers.small_training(batch_size=7)
    whole = epoch_of(CellLoader(helpers.small_store(), config, shuffle=True), 3)
    again = CellLoader(helpers.small_store(), config.model_copy(update={"num_workers": workers}), shuffle=True)
    for step in (0, 5, 17):
        rest = epoch_of(again, 3, step)
        assert len(rest) == 18 - step
        assert all(map(same, rest, whole[step:]))
    assert epoch_of(again, 3, 18) == []


@pytest.mark.parametrize(("cells", "first"), [(120, 0), (1030, 3), (40 * 1024 + 7, 11)])
def test_blocks_are_mixed_and_every_cell_is_seen_once(cells: int, first: int) -> None:
    store = helpers.small_store(120)
    config = helpers.small_training(shuffle="blocks")
    loader = CellLoader(store, config, shuffle=True)
    loader.rows = np.arange(first, first + cells)
    orders = [loader.order(epoch) for epoch in (0, 1, 0)]
    assert all(np.array_equal(np.sort(order), loader.rows) for order in orders)
    assert np.array_equal(orders[0], orders[2])
    assert not np.array_equal(orders[0], orders[1])
    other = CellLoader(store, config.model_copy(update={"seed": 1}), shuffle=True)
    other.rows = loader.rows
    assert not np.array_equal(other.order(0), orders[0])
    for at in range(0, cells, SPAN):
        blocks = np.unique((orders[0][at : at + SPAN] - first) // BLOCK)
        assert len(blocks) <= 18  # whole blocks, but for those that are cut at the ends
    if cells > SPAN:
        assert len(np.unique((orders[0][:256] - first) // BLOCK)) >= 12
        assert np.diff(np.unique((orders[0][:SPAN] - first) // BLOCK)).max() > 1


@pytest.mark.parametrize("workers", [0, 2])
def test_blocks_change_the_order_alone(tmp_path: Path, workers: int) -> None:
    disk = helpers.on_disk(helpers.small_store(3000), tmp_path / "store")
    config = helpers.small_training(batch_size=64, num_workers=workers)
    seen = []
    for shuffle in ("random", "blocks"):
        loader = CellLoader(disk, config.model_copy(update={"shuffle": shuffle}), shuffle=True)
        batches = epoch_of(loader, 1)
        assert all(map(same, epoch_of(loader, 1, 40), batches[40:]))
        seen.append(
            {
                row: (batch.genes[at].tolist(), batch.mask[at].tolist())
                for batch in batches
                for at, row in enumerate(batch.rows.tolist())
            }
        )
    assert {row: [gene for gene in genes if gene] for row, (genes, _) in seen[0].items()} == {
        row: [gene for gene in genes if gene] for row, (genes, _) in seen[1].items()
    }


def test_a_store_on_disk_gives_the_same_batches(tmp_path: Path) -> None:
    memory = helpers.small_store(300)
    disk = helpers.on_disk(memory, tmp_path / "store")
    config = helpers.small_training(batch_size=32, cell_loss_genes=11)
    batches = [epoch_of(CellLoader(store, config, shuffle=True, query=True), 2) for store in (memory, disk)]
    assert all(map(same, *batches))
    assert all(torch.equal(a.targets, b.targets) for a, b in zip(*batches, strict=True))


class Built(CellLoader):
    """Takes a second of a clock that nothing else moves to build a batch; later ones are built when `go` says so."""

    def __init__(self, clock: Clock, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.clock, self.go, self.built = clock, threading.Event(), threading.Semaphore(0)

    def batch(self, rows: Any, epoch: int, step: int) -> Any:
        assert step == 0 or self.go.wait(60)
        self.clock.seconds += 1
        self.built.release()
        return super().batch(rows, epoch, step)


@dataclass
class Clock:
    seconds: float = 0.0

    def perf_counter(self) -> float:
        return self.seconds


def test_waiting_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("scgraph.train.loader.time", clock)
    loader = Built(clock, helpers.small_store(), helpers.small_training(batch_size=40), shuffle=True)
    loader.go.set()
    for _ in loader:
        clock.seconds += 100
    assert loader.seconds_waiting == 3
    ahead = Built(clock, helpers.small_store(), helpers.small_training(batch_size=40, num_workers=1), shuffle=True)
    batches = iter(ahead)
    next(batches)
    ahead.go.set()
    assert all(ahead.built.acquire(timeout=60) for _ in range(3))
    assert len(list(batches)) == 2
    assert ahead.seconds_waiting == 1, "what was built while the model computed was there"


def test_what_is_masked_does_not_depend_on_the_batch_but_on_the_epoch() -> None:
    store = helpers.small_store()
    masks: dict[tuple[int, int], dict[int, Any]] = {}
    for size in (7, 30):
        loader = CellLoader(store, helpers.small_training(batch_size=size), shuffle=True)
        for epoch in (0, 1):
            masks[size, epoch] = {
                row: batch.genes[at][batch.mask[at]].tolist()
                for batch in epoch_of(loader, epoch)
                for at, row in enumerate(batch.rows.tolist())
            }
    assert masks[7, 0] == masks[30, 0]
    assert masks[7, 0] != masks[7, 1]


def test_validation_sees_the_same_in_every_epoch() -> None:
    loader = CellLoader(helpers.small_store(), helpers.small_training(), shuffle=False, query=True)
    first, later = epoch_of(loader, 0), epoch_of(loader, 9)
    assert all(map(same, first, later))
    assert all(torch.equal(a.query, b.query) for a, b in zip(first, later, strict=True))
    assert np.array_equal(np.concatenate([batch.rows for batch in first]), np.arange(120))


def test_targets_are_the_values_of_the_drawn_genes_zeros_included() -> None:
    store = helpers.small_store()
    loader = CellLoader(store, helpers.small_training(cell_loss_genes=11), shuffle=True, query=True)
    dense = store.matrix().toarray()
    batches = epoch_of(loader, 2)
    for batch in batches:
        assert batch.query.shape == (11,)
        assert len(batch.query.unique()) == 11
        assert np.array_equal(batch.targets.numpy(), dense[batch.rows][:, batch.query.numpy() - 1])
    assert not torch.equal(batches[0].query, batches[1].query)
    assert (torch.cat([batch.query for batch in batches]).unique() > 0).all()


def test_moving_a_batch_keeps_everything() -> None:
    loader = CellLoader(helpers.small_store(), helpers.small_training(), shuffle=True, query=True)
    batch = epoch_of(loader, 0)[0]
    moved = batch.to("meta")
    assert {moved.genes.device.type, moved.mask.device.type, moved.targets.device.type} == {"meta"}
    assert moved.rows is batch.rows
    assert moved.padded == bool((batch.genes == 0).any())


def test_a_rank_takes_its_share_of_every_batch() -> None:
    store, config = helpers.small_store(), helpers.small_training(batch_size=7)  # 120 cells: the last batch has one
    whole = list(CellLoader(store, config, shuffle=True, query=True))
    shares = [list(CellLoader(store, config, shuffle=True, query=True, world=World(rank, 3, 3))) for rank in range(3)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert np.array_equal(np.concatenate([part.rows for part in parts]), batch.rows)
        assert all(torch.equal(part.query, batch.query) for part in parts)
        assert sum(int(part.mask.sum()) for part in parts) == int(batch.mask.sum())
        assert all(len(part.genes) for part in parts)
    assert [len(part.rows) for part in (share[-1] for share in shares)] == [1, 0, 0]
