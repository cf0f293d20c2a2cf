"""What is to be measured, how a way of reading is described, and the sampling that all share."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from scipy import sparse

__all__ = ["Request", "Way", "sampled", "warm"]


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        how: key of `benchmarks.reading.ways.WAYS`.
        path: store, or what `Way.source` says.
        genes: genes sampled a cell; 0 yields whole rows.
        batch_size: cells a batch.
        workers: threads that prepare batches, of ways with `threads`.
        seconds: when to stop; None reads every cell once.
        cold: whether the system forgets the files first.
    """

    how: str
    path: str
    genes: int
    batch_size: int
    workers: int
    seconds: float | None
    cold: bool = False


@dataclass(frozen=True)
class Way:
    """A way of reading cells.

    Attributes:
        means: what it is, for the page.
        source: what it reads, a key of `benchmarks.reading.sources.SOURCES`, or "store".
        batches: gives the number of cells of one batch after another. The first is not counted: a way that is `whole`
            gives 0 when its packages are loaded, and then every cell once.
        packages: what has to be installed.
        whole: whether a pass over all cells is timed, as so many are read ahead that some seconds would say nothing.
        samples: whether genes can be sampled from what it gives.
        threads: whether it takes threads.
    """

    means: str
    source: str
    batches: Callable[[Request], Iterator[int]]
    packages: tuple[str, ...] = ()
    whole: bool = False
    samples: bool = True
    threads: bool = False

    def is_installed(self) -> bool:
        """Tell whether all packages are there."""
        return all(find_spec(name) is not None for name in self.packages)


def sampled(rows: sparse.csr_matrix | NDArray[np.float32], genes: int) -> int:
    """Sample genes of each row with the kernel of the store; 0 leaves the rows as they are."""
    from scipy import sparse

    from scgraph.data.sampling.genes import sample_genes

    if genes:
        matrix: Any = sparse.csr_matrix(rows)
        matrix.sort_indices()
        indptr, ids = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32) + 1
        width = min(genes, int(np.diff(indptr).max(initial=1)))
        at = np.arange(rows.shape[0])
        keys = at.astype(np.uint64)
        sample_genes(indptr, ids, matrix.data, keys, at, limit=genes, width=width, seed=0, epoch=0)
    return int(rows.shape[0])


def warm(request: Request) -> int:
    """Load the compiled kernel of `sampled`; return 0, the first batch of a way that is measured as a whole."""
    return 0 * sampled(np.ones((1, 2), dtype=np.float32), request.genes)
