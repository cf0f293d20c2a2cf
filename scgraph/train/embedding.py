"""Cells to vectors with a trained model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from scgraph.errors import DataError
from scgraph.nn.bag import GeneBag
from scgraph.train.trainer import resolve_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from scgraph.data import CellStore
    from scgraph.nn import CellModel

__all__ = ["batches_by_length", "embed"]

_READ = 1024
_PAIRS = 2**27
"""Pairs of genes of a batch: half a gigabyte a head for a layer that holds its weights."""


def embed(
    model: CellModel,
    store: CellStore,
    *,
    genes: int | None,
    seed: int = 0,
    batch_size: int = 256,
    device: str | torch.device = "auto",
    exact: bool | None = None,
) -> NDArray[np.float32]:
    """Return the vector of every cell, with nothing masked.

    Which genes of a cell are seen is a pure function of (seed, cell), as in epoch 0 of a training.

    With `exact`, each cell goes through the model by itself, without padding and on one thread (several
    cells at once on several threads): its vector then depends on nothing but the cell, so a file and its
    pieces, in any order and on any number of threads, give the same vectors to the last bit. In a
    batch the last bits of a cell depend on where it stands: vectorised kernels treat the end of an
    array differently from its middle. On two cores this is as fast as batches for large models (C 256, L 6,
    G 512: 1.0 to 2.8 times as fast) and up to 4 times slower for small linear ones, where a call costs more
    than its arithmetic. A cell without any gene of the vocabulary gets zeros.

    Args:
        model: the network; left on `device` in evaluation mode.
        store: the cells, on the vocabulary of the model.
        genes: most genes of a cell; None for all it expresses.
        seed: of the sample of genes, for cells that express more.
        batch_size: most cells of a batch where `exact` is off; fewer where the cells are long.
        device: as in `scgraph.train.resolve_device`.
        exact: one cell at a time; by default so on a CPU and not elsewhere.

    Returns:
        float32 `[n, C]`.

    Raises:
        ConfigError: no such device here.
        DataError: a vector is not finite; names the first such row.
    """
    import torch

    target = torch.device(resolve_device(device) if isinstance(device, str) else device)
    model = model.to(target).eval()
    dtype = next(model.parameters()).dtype
    result = np.zeros((len(store), model.channels), dtype=np.float32)
    lengths = np.diff(store.indptr)
    rows = np.flatnonzero(lengths > 0)
    longest = int(lengths.max(initial=1))
    genes = longest if genes is None else genes
    # The pooled readout sums all expressed genes, also where the blocks see a sample of them.
    pooled = model.pooled_readout is not None and genes < longest
    if exact if exact is not None else target.type == "cpu":
        _one_by_one(model, store, rows, result, genes=genes, seed=seed, device=target, pooled=pooled)
    else:
        for part in batches_by_length(rows, np.minimum(lengths[rows], genes), batch_size):
            ids, values = store.batch(part, genes=genes, seed=seed, epoch=0)
            whole = _bag(store, part, target, dtype) if pooled else None
            with torch.inference_mode():
                vectors = model.embed(
                    torch.from_numpy(ids).to(target), torch.from_numpy(values).to(target, dtype), bag=whole
                )
            result[part] = vectors.float().cpu().numpy()
    wrong = np.flatnonzero(~np.isfinite(result).all(axis=1))
    if len(wrong):
        raise DataError(
            f"The vectors of {len(wrong):,} cells are not finite, first that of row {wrong[0]}. "
            "Look at the values of that cell, or at how the model was trained."
        )
    return result


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


def _one_by_one(
    model: CellModel,
    store: CellStore,
    rows: NDArray[np.int64],
    result: NDArray[np.float32],
    *,
    genes: int,
    seed: int,
    device: torch.device,
    pooled: bool,
) -> None:
    import torch

    threads = torch.get_num_threads() if device.type == "cpu" else 1
    dtype = next(model.parameters()).dtype

    def embed_part(part: NDArray[np.int64]) -> None:
        for start in range(0, len(part), _READ):
            chunk = part[start : start + _READ]
            ids, values = store.batch(chunk, genes=genes, seed=seed, epoch=0)
            lengths = np.count_nonzero(ids, axis=1)
            with torch.inference_mode():
                for at, row in enumerate(chunk):
                    # Copies, not views: kernels may treat aligned memory differently from unaligned.
                    one = torch.tensor(ids[None, at, : lengths[at]], device=device)
                    value = torch.tensor(values[None, at, : lengths[at]], device=device, dtype=dtype)
                    whole = _bag(store, chunk[at : at + 1], device, dtype) if pooled else None
                    result[row] = model.embed(one, value, bag=whole)[0].float().cpu().numpy()

    # One thread inside each operation: how many there are, and how they share an array, changes last bits.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(embed_part, np.array_split(rows, threads)):
                pass
    finally:
        torch.set_num_threads(before)


def _bag(store: CellStore, rows: NDArray[np.int64], device: torch.device, dtype: torch.dtype) -> GeneBag:
    """Return all expressed genes of some cells."""
    bag = GeneBag.of_rows(*store.entries(rows))
    return GeneBag(bag.genes.to(device), bag.values.to(device, dtype), bag.starts.to(device))
