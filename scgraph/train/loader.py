"""Batches of cells for training, in an order that is a pure function of (seed, epoch)."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scgraph.data import mask_values
from scgraph.data.sampling.genes import sample_genes
from scgraph.nn.bag import GeneBag
from scgraph.train.distributed.world import World
from scgraph.train.views import view_cells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from scgraph.config import ModelConfig, TrainConfig
    from scgraph.data import CellStore
    from scgraph.train.views import CellView

__all__ = ["CellBatch", "CellLoader", "make_loader"]

_ORDER, _QUERY = 1, 2

BLOCK = 1024
"""Cells that stand one after another in the store and are read together."""

SPAN = 16 * BLOCK
"""Cells that are mixed with each other: those of 16 blocks, so a batch of 256 holds cells of nearly all of them."""


@dataclass
class CellBatch:
    """Some cells as a model reads them.

    Attributes:
        genes: vocabulary ids, ascending, 0 = padding, `[B, G]` int64. For a model with a decoder the unexpressed
            genes of its panel follow in further columns, ascending and padded too.
        values: log-normalised expression `[B, G]` float32.
        mask: true where the value is hidden from the model `[B, G]`.
        rows: which rows of the store these are `[B]`; none where a process without a share has a stand-in.
        padded: whether some id is 0; known here, so that a GPU is not asked.
        query: genes whose values the vector of the cell is to predict `[K]` int64; None for none.
        targets: the values of those genes, 0 where not expressed `[B, K]` float32.
        width: for a model with a decoder, the most genes of a cell that its encoder sees; else None.
        bag_genes: all genes that the cells are shown with, for the pooled readout, `[N]` int64; None for none.
        bag_values: their values `[N]` float32.
        bag_starts: where each cell begins in these `[B]`.
        count_genes: genes whose counts the vector of the cell is to predict, `[M]` int64; None for none.
        count_shares: their shares of the counts, which add up to 1 in a cell, `[M]` float32.
        count_cells: whose they are, places in the batch, `[M]` int64.
        vectors: where the vectors of the cells are drawn to `[B, C]` float32; None for nowhere.
    """

    genes: torch.Tensor
    values: torch.Tensor
    mask: torch.Tensor
    rows: NDArray[np.int64]
    padded: bool
    query: torch.Tensor | None = None
    targets: torch.Tensor | None = None
    width: int | None = None
    bag_genes: torch.Tensor | None = None
    bag_values: torch.Tensor | None = None
    bag_starts: torch.Tensor | None = None
    count_genes: torch.Tensor | None = None
    count_shares: torch.Tensor | None = None
    count_cells: torch.Tensor | None = None
    vectors: torch.Tensor | None = None

    @property
    def bag(self) -> GeneBag | None:
        """All genes that the cells are shown with, for the pooled readout."""
        if self.bag_genes is None or self.bag_values is None or self.bag_starts is None:
            return None
        return GeneBag(self.bag_genes, self.bag_values, self.bag_starts)

    @property
    def masked_expressed(self) -> torch.Tensor:
        """True where the hidden value is that of an expressed gene `[B, G]`."""
        return self.mask if self.width is None else self.mask & self.values.ne(0)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> CellBatch:
        """Move the tensors; Lightning calls this."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=non_blocking)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)


class CellLoader:
    """An epoch of batches that can begin at any step without reading what comes before.

    Which genes of a cell are seen and which are masked are pure functions of (seed, epoch, cell), the
    order of the cells of (seed, epoch), see `TrainConfig.shuffle`: so a run that begins in the middle of an
    epoch sees what a run from its beginning sees. Every cell is seen once an epoch, the last batch may be
    smaller. Cells with fewer than two genes hold nothing to predict a value from and are left out (`left_out`).

    It has no length on purpose: then Lightning asks for the batches and does not count them, so an
    epoch that begins at step 40 ends where it should.

    Args:
        store: the cells.
        config: genes, mask share, batch size and seed; `num_workers` threads prepare batches ahead.
        shuffle: another order and other masks each epoch, for training; otherwise the order of the
            store and the masks of epoch 0 always, so that the losses of epochs compare.
        query: whether batches carry the genes and targets of the loss on the vector of the cell.
        zeros: whether batches carry unexpressed genes beside the expressed ones, for a decoder.
        bags: whether batches carry all expressed genes beside the sample of them, for the pooled readout.
        vectors: where the vectors of the cells of the store are drawn to `[n, C]`; None for nowhere.
        world: the processes that train together; this one yields its share of every batch.

    Attributes:
        batch_size: cells of a batch, of all processes together.
        seconds_waiting: how long whoever asked for batches has waited for them, in all.
    """

    def __init__(
        self,
        store: CellStore,
        config: TrainConfig,
        *,
        shuffle: bool,
        query: bool = False,
        zeros: bool = False,
        bags: bool = False,
        vectors: NDArray[np.float32] | None = None,
        world: World | None = None,
    ) -> None:
        self.store = store
        self.config = config
        self.shuffle = shuffle
        self.query = query
        self.zeros = zeros
        self.bags = bags
        self.vectors = vectors
        self.world = world or World()
        self.epoch = 0
        self.first_step = 0
        self.rows = np.flatnonzero(np.diff(store.indptr) >= 2)
        self.left_out = len(store) - len(self.rows)
        self.batch_size = config.cells_a_step(len(self.rows))
        self.seconds_waiting = 0.0

    @property
    def steps(self) -> int:
        """Number of batches of an epoch."""
        return -(-len(self.rows) // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return the rows of the store in the order of an epoch."""
        if not self.shuffle:
            return self.rows
        random = _random(_ORDER, self.config.seed, epoch)
        if self.config.shuffle == "random":
            return random.permutation(self.rows)
        blocks = np.split(self.rows, range(BLOCK, len(self.rows), BLOCK))
        mixed = np.concatenate([blocks[at] for at in random.permutation(len(blocks))])
        for at in range(0, len(mixed), SPAN):
            random.shuffle(mixed[at : at + SPAN])
        return mixed

    def seek(self, epoch: int, step: int = 0) -> None:
        """Begin the next iteration at this step of this epoch."""
        self.epoch, self.first_step = epoch, step

    def batch(self, rows: NDArray[np.int64], epoch: int, step: int) -> CellBatch:
        """Build the batch of the given rows as this step of this epoch sees them."""
        at: dict[str, Any] = {"seed": self.config.seed, "epoch": epoch if self.shuffle else 0}
        keys = self.store.keys[rows]
        view = None
        if self.bags or self.config.count_loss > 0 or self.config.thinning is not None:
            view = view_cells(self.store, rows, self.config, **at)
            genes, values = _sampled(view, keys, self.config.genes, **at)
        else:
            genes, values = self.store.batch(rows, genes=self.config.genes, **at)
        if self.config.mvp_loss > 0:
            mask = mask_values(genes, keys, share=self.config.mask_share, **at)
        else:
            mask = np.zeros(genes.shape, dtype=np.bool_)
        width = None
        if self.zeros:
            width = max(1, int(((genes > 0) & ~mask).sum(axis=1).max()))
            wanted = self.config.zeros_shown(len(self.store.vocabulary))
            others = self.store.zeros(rows, genes=wanted, **at)
            hidden = np.zeros(others.shape, dtype=np.bool_)
            if self.config.mvp_loss > 0:
                hidden = mask_values(others, keys, share=self.config.zero_mask_share, at_least=0, **at)
            genes, mask = np.hstack((genes, others)), np.hstack((mask, hidden))
            values = np.hstack((values, np.zeros(others.shape, dtype=values.dtype)))
        batch = CellBatch(
            torch.from_numpy(genes),
            torch.from_numpy(values),
            torch.from_numpy(mask),
            rows,
            padded=not genes.all(),
            width=width,
            vectors=None if self.vectors is None else torch.from_numpy(self.vectors[rows]),
        )
        if view is not None:
            batch = self._with_view(batch, view)
        if not self.query:
            return batch
        query = self._query(at["epoch"], step)
        return replace(batch, query=torch.from_numpy(query), targets=torch.from_numpy(_dense(self.store, rows, query)))

    def _with_view(self, batch: CellBatch, view: CellView) -> CellBatch:
        if self.bags:
            bag = (view.genes.astype(np.int64), view.values, view.starts[:-1])
            batch = replace(batch, **_tensors(("bag_genes", "bag_values", "bag_starts"), bag))
        if self.config.count_loss > 0:
            cells = np.repeat(np.arange(len(view.target_starts) - 1), np.diff(view.target_starts))
            counts = (view.target_genes.astype(np.int64), view.target_shares, cells)
            batch = replace(batch, **_tensors(("count_genes", "count_shares", "count_cells"), counts))
        return batch

    def share(self, rows: NDArray[np.int64], epoch: int, step: int) -> CellBatch:
        """Build this process's share of the batch of the given rows.

        Where there are fewer rows than processes, the last ones get the first cell as a stand-in: nothing of it
        is masked and `rows` is empty, so that it counts for nothing, and still every process has its turn.
        """
        mine = np.array_split(rows, self.world.size)[self.world.rank]
        if len(mine):
            return self.batch(mine, epoch, step)
        stand_in = self.batch(rows[:1], epoch, step)
        width = stand_in.width and int(stand_in.values.ne(0).sum())
        return replace(stand_in, mask=torch.zeros_like(stand_in.mask), rows=mine, width=width)

    def __iter__(self) -> Iterator[CellBatch]:
        """Yield the batches from the step that `seek` named to the end of its epoch."""
        batches = self._batches()
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            self.seconds_waiting += time.perf_counter() - start
            if batch is None:
                return
            yield batch

    def _batches(self) -> Iterator[CellBatch]:
        epoch, size = self.epoch, self.batch_size
        order = self.order(epoch)
        steps = range(self.first_step, self.steps)
        in_blocks = self.shuffle and self.config.shuffle == "blocks"

        def build(step: int) -> CellBatch:
            first, last = step * size, (step + 1) * size - 1
            if in_blocks and step == self.first_step:
                self.store.prefetch(order[first // SPAN * SPAN : (last // SPAN + 2) * SPAN])
            elif in_blocks and last // SPAN > (first - 1) // SPAN:  # one mixture ahead, in the order of the disk
                self.store.prefetch(order[(last // SPAN + 1) * SPAN : (last // SPAN + 2) * SPAN])
            return self.share(order[first : last + 1], epoch, step)

        if self.config.num_workers == 0:
            yield from map(build, steps)
            return
        # Threads, not processes: the kernels of the store free the interpreter lock, and nothing is copied.
        with ThreadPoolExecutor(self.config.num_workers) as pool:
            ahead: deque[Future[CellBatch]] = deque()
            for step in steps:
                ahead.append(pool.submit(build, step))
                if len(ahead) > 2 * self.config.num_workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _query(self, epoch: int, step: int) -> NDArray[np.int64]:
        total = len(self.store.vocabulary)
        wanted = min(self.config.cell_loss_genes, total)
        chosen = _random(_QUERY, self.config.seed, epoch, step).choice(total, wanted, replace=False)
        return np.sort(chosen).astype(np.int64) + 1


def make_loader(
    store: CellStore,
    model: ModelConfig,
    training: TrainConfig,
    *,
    shuffle: bool,
    vectors: NDArray[np.float32] | None = None,
    world: World | None = None,
) -> CellLoader:
    """Return the batches that a model is trained on as the settings say.

    Args:
        store: the cells.
        model: what the model needs.
        training: what its losses need.
        shuffle: as for `CellLoader`.
        vectors: see `scgraph.train.neighbors`.
        world: the processes that train together.
    """
    return CellLoader(
        store,
        training,
        shuffle=shuffle,
        query=model.cell_head and training.cell_loss > 0,
        zeros=model.sees_zeros,
        bags=model.pools,
        vectors=vectors,
        world=world,
    )


def _sampled(
    view: CellView, keys: NDArray[np.uint64], genes: int, *, seed: int, epoch: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Sample up to so many of the genes that are shown, as `CellStore.batch` does of those of whole cells."""
    width = max(1, min(genes, int(np.diff(view.starts).max(initial=1))))
    rows = np.arange(len(keys))
    at: dict[str, Any] = {"limit": genes, "width": width, "seed": seed, "epoch": epoch}
    return sample_genes(view.starts, view.genes, view.values, keys, rows, **at)


def _tensors(names: tuple[str, ...], arrays: tuple[NDArray[Any], ...]) -> dict[str, Any]:
    return {name: torch.from_numpy(array) for name, array in zip(names, arrays, strict=True)}


def _random(*entropy: int) -> np.random.Generator:
    return np.random.default_rng([number % 2**32 for number in entropy])


def _dense(store: CellStore, rows: NDArray[np.int64], query: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the values of the genes `query` in the cells `rows`, zeros included, `[B, K]`."""
    column = np.full(len(store.vocabulary) + 1, -1, dtype=np.int64)
    column[query] = np.arange(len(query))
    starts, genes, values = store.entries(rows)
    cell, where = np.repeat(np.arange(len(rows)), np.diff(starts)), column[genes]
    dense = np.zeros((len(rows), len(query)), dtype=np.float32)
    dense[cell[where >= 0], where[where >= 0]] = values[where >= 0]
    return dense
