"""Encoders of other libraries, that cells in memory are taken through."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["CELLS", "PEERS", "TRANSFORMER", "Peer", "is_installed", "transformer"]

CELLS = 2048
"""Cells in memory; of what is slow fewer."""

TRANSFORMER = "TransformerEncoder, batches"


@dataclass(frozen=True)
class Peer:
    """An encoder of a package that may be missing.

    Attributes:
        package: what has to be there to be imported.
        means: what is measured, for the page.
        prepare: from the file of cells to what is to be timed, which gives the number of cells.
    """

    package: str
    means: str
    prepare: Callable[[Path], Callable[[], Iterator[int]]]


def is_installed(how: str) -> bool:
    """Tell whether what is to be measured can be: all but peers whose package is missing."""
    return how not in PEERS or find_spec(PEERS[how].package) is not None


def _scvi(path: Path, *, batch_size: int | None) -> Callable[[], Iterator[int]]:
    import anndata
    import scvi

    backed = anndata.read_h5ad(path, backed="r")
    adata = backed[:CELLS].to_memory()
    backed.file.close()
    scvi.model.SCVI.setup_anndata(adata)
    model = scvi.model.SCVI(adata)
    model.is_trained_ = True  # which it demands; its speed is that of a trained one
    model.get_latent_representation(indices=np.arange(min(4, len(adata))))

    def work() -> Iterator[int]:
        yield len(model.get_latent_representation(batch_size=batch_size))

    return work


PEERS = {
    "scvi-tools SCVI": Peer(
        "scvi",
        "`get_latent_representation` of `scvi.model.SCVI` with its default sizes (1 layer of 128, 10 latent) "
        "and batches (128 cells), on an AnnData object in memory, all genes of the file, weights as they are drawn",
        partial(_scvi, batch_size=None),
    ),
    "scvi-tools SCVI, batches of 2,048": Peer(
        "scvi", "the same, all cells at once, which is faster", partial(_scvi, batch_size=CELLS)
    ),
}
"""What is measured where its package is installed."""


def transformer(store: Any, channels: int = 64) -> Callable[[], Iterator[int]]:
    """Make a Transformer encoder of the sizes of `gnn`, and return what takes the cells of a store through it."""
    import torch
    from torch import nn

    from scgraph.train.embedding import batches_by_length

    torch.manual_seed(0)
    genes, value = nn.Embedding(len(store.vocabulary) + 1, channels, padding_idx=0), nn.Linear(1, channels)
    layer = nn.TransformerEncoderLayer(channels, 4, channels, dropout=0.0, activation="gelu", batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    torch.backends.mha.set_fastpath_enabled(False)  # slower on a CPU: it writes the weights of all pairs down
    lengths = np.diff(store.indptr)
    longest = int(lengths.max())

    def run(rows: NDArray[np.int64]) -> int:
        with torch.inference_mode():
            ids, values = (torch.from_numpy(part) for part in store.batch(rows, genes=longest, seed=0, epoch=0))
            empty = ids.eq(0)
            x = encoder(genes(ids) + value(values.unsqueeze(-1)), src_key_padding_mask=empty)
            (x.masked_fill(empty.unsqueeze(-1), 0).sum(dim=1) / (~empty).sum(dim=1, keepdim=True)).numpy()
        return len(rows)

    def work() -> Iterator[int]:
        # Batches on several threads, each one thread inside: threads inside wait for each other at every operation.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(run, batches_by_length(np.arange(len(store)), lengths, 8))

    return work
