"""Cells to vectors with a trained model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import numpy as np

from scgraph.errors import DataError
from scgraph.nn.bag import GeneBag
from scgraph.train.trainer import resolve_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray

    from scgraph.data import CellStore
    from scgraph.nn import CellModel

__all__ = ["Embedder", "Form", "batches_by_length", "embed"]

_ENTRIES = 2**16
"""Genes of the cells that a thread takes at a time."""

_PAIRS = 2**27
"""Pairs of genes of a batch: half a gigabyte a head for a layer that holds its weights."""


Form = Literal["auto", "plain", "batches"]


def embed(
    model: CellModel,
    store: CellStore,
    *,
    genes: int | None,
    seed: int = 0,
    batch_size: int = 256,
    device: str | torch.device = "auto",
    form: Form = "auto",
) -> NDArray[np.float32]:
    """Return the vector of every cell, with nothing masked; see `Embedder`.

    Args:
        model: the network; left on `device` in evaluation mode.
        store: the cells, on the vocabulary of the model.
        genes: most genes of a cell; None for all it expresses.
        seed: of the sample of genes, for cells that express more.
        batch_size: most cells of a batch, where there are batches; fewer where the cells are long.
        device: as in `scgraph.train.resolve_device`.
        form: "auto", "plain" or "batches".

    Returns:
        float32 `[n, width]`, see `scgraph.nn.CellModel.width`.

    Raises:
        ConfigError: no such device here.
        DataError: a vector is not finite; names the first such cell, or its row.
    """
    return Embedder(model, genes=genes, seed=seed, batch_size=batch_size, device=device, form=form)(store)


class Embedder:
    """From cells to vectors with the weights that a model has now.

    Which genes of a cell are seen is a pure function of (seed, cell), as in epoch 0 of a training.

    On a CPU each cell is computed by itself, on one thread, several cells at once on several threads: its vector
    depends on nothing but the cell, so a file and its pieces, in any order and on any number of threads, give the same
    vectors to the last bit. Where the model is made of parts that `scgraph.nn.compiled_model` knows, one compiled loop
    computes it, else ("plain" asks for it) a call of the model a cell, which is up to ten times slower and equal up to
    rounding. On other devices, or where "batches" are asked for, cells of like length share padded batches, and the
    last bits of a cell depend on where it stands: vectorised kernels treat the end of an array differently from its
    middle. A cell without any gene of the vocabulary gets zeros.

    Args:
        model: the network; left on `device` in evaluation mode.
        genes: most genes of a cell; None for all it expresses.
        seed: of the sample of genes, for cells that express more.
        batch_size: most cells of a batch, where there are batches; fewer where the cells are long.
        device: as in `scgraph.train.resolve_device`.
        form: "auto", "plain" or "batches".

    Raises:
        ConfigError: no such device here.
    """

    def __init__(
        self,
        model: CellModel,
        *,
        genes: int | None,
        seed: int = 0,
        batch_size: int = 256,
        device: str | torch.device = "auto",
        form: Form = "auto",
    ) -> None:
        import torch

        from scgraph.nn.compiled_model import CompiledModel

        self.device = torch.device(resolve_device(device) if isinstance(device, str) else device)
        self.model = model.to(self.device).eval()
        self.genes, self.seed, self.batch_size = genes, seed, batch_size
        self._one_by_one = form == "plain" or (form == "auto" and self.device.type == "cpu")
        self._compiled = CompiledModel.of(model) if self._one_by_one and form == "auto" else None

    def __call__(self, store: CellStore) -> NDArray[np.float32]:
        """Return the vectors of the cells of a store, float32 `[n, width]`.

        Raises:
            DataError: a vector is not finite; names the first such cell, or its row.
        """
        result = np.zeros((len(store), self.model.width), dtype=np.float32)
        lengths = np.diff(store.indptr)
        rows = np.flatnonzero(lengths > 0)
        longest = int(lengths.max(initial=1))
        genes = longest if self.genes is None else self.genes
        # The pooled readout sums all expressed genes, also where the blocks see a sample of them.
        pooled = self.model.pooled_readout is not None and genes < longest
        if self._one_by_one:
            part = self._compiled_part if self._compiled is not None else self._plain_part

            def embed_part(chunk: NDArray[np.int64]) -> None:
                result[chunk] = part(store, chunk, genes, pooled=pooled)

            _on_threads(embed_part, _chunks(rows, lengths[rows]), self.device)
        else:
            for chunk in batches_by_length(rows, np.minimum(lengths[rows], genes), self.batch_size):
                result[chunk] = self._batch(store, chunk, genes, pooled=pooled)
        wrong = np.flatnonzero(~np.isfinite(result).all(axis=1))
        if len(wrong):
            first = f"row {wrong[0]}" if store.origin is None else store.origin.describe(wrong[:1].tolist())
            raise DataError(
                f"The vectors of {len(wrong):,} cells are not finite, first that of {first}. "
                "Look at the values of that cell, or at how the model was trained."
            )
        return result

    def _compiled_part(
        self, store: CellStore, rows: NDArray[np.int64], genes: int, *, pooled: bool
    ) -> NDArray[np.float32]:
        assert self._compiled is not None
        whole = store.entries(rows)
        if np.diff(whole[0]).max() <= genes:
            return self._compiled.embed(whole)
        ids, values = store.batch(rows, genes=genes, seed=self.seed, epoch=0)
        real = ids > 0
        starts = np.concatenate([[0], np.cumsum(real.sum(axis=1))]).astype(np.int64)
        seen = starts, ids[real].astype(np.int32), values[real]
        return self._compiled.embed(seen, whole if pooled else None)

    def _plain_part(
        self, store: CellStore, rows: NDArray[np.int64], genes: int, *, pooled: bool
    ) -> NDArray[np.float32]:
        import torch

        dtype = next(self.model.parameters()).dtype
        result = np.empty((len(rows), self.model.width), dtype=np.float32)
        ids, values = store.batch(rows, genes=genes, seed=self.seed, epoch=0)
        lengths = np.count_nonzero(ids, axis=1)
        with torch.inference_mode():
            for at in range(len(rows)):
                # Copies, not views: kernels may treat aligned memory differently from unaligned.
                one = torch.tensor(ids[None, at, : lengths[at]], device=self.device)
                value = torch.tensor(values[None, at, : lengths[at]], device=self.device, dtype=dtype)
                bag = self._bag(store, rows[at : at + 1]) if pooled else None
                result[at] = self.model.embed(one, value, bag=bag)[0].float().cpu().numpy()
        return result

    def _batch(self, store: CellStore, rows: NDArray[np.int64], genes: int, *, pooled: bool) -> NDArray[np.float32]:
        import torch

        dtype = next(self.model.parameters()).dtype
        ids, values = store.batch(rows, genes=genes, seed=self.seed, epoch=0)
        with torch.inference_mode():
            vectors = self.model.embed(
                torch.from_numpy(ids).to(self.device),
                torch.from_numpy(values).to(self.device, dtype),
                bag=self._bag(store, rows) if pooled else None,
            )
        found: NDArray[np.float32] = vectors.float().cpu().numpy()
        return found

    def _bag(self, store: CellStore, rows: NDArray[np.int64]) -> GeneBag:
        """Return all expressed genes of some cells."""
        dtype = next(self.model.parameters()).dtype
        bag = GeneBag.of_rows(*store.entries(rows))
        return GeneBag(bag.genes.to(self.device), bag.values.to(self.device, dtype), bag.starts.to(self.device))


def batches_by_length(rows: NDArray[np.int64], lengths: NDArray[np.int64], most: int) -> Iterator[NDArray[np.int64]]:
    """Cut the rows into batches of cells of like length, none with more than `_PAIRS` pairs of genes."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = min(start + most, len(order))
        while stop > start + 1 and (stop - start) * int(lengths[order[stop - 1]]) ** 2 > _PAIRS:
            stop = start + (stop - start) // 2
        yield rows[order[start:stop]]
        start = stop


def _chunks(rows: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut the rows into pieces of about `_ENTRIES` genes, so that no thread waits long for the last one."""
    ends = np.cumsum(lengths)
    borders = np.searchsorted(ends, np.arange(_ENTRIES, int(ends[-1]) if len(ends) else 0, _ENTRIES))
    return [part for part in np.split(rows, np.unique(borders)) if len(part)]


def _on_threads(
    work: Callable[[NDArray[np.int64]], None], parts: list[NDArray[np.int64]], device: torch.device
) -> None:
    """Work on parts, on as many threads as torch has, with one thread inside each operation.

    How many there are inside, and how they share an array, changes last bits.
    """
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    threads = before if device.type == "cpu" else 1
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, parts):
                pass
    finally:
        torch.set_num_threads(before)
