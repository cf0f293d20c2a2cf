"""One way of reading cells, measured in a process of its own, so that its memory is its own.

A request comes as JSON on standard input; the answer goes to standard output.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.memory import status_bytes
from scgraph.system.child import child_command, child_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy import sparse

__all__ = ["HOW", "Point", "Request", "run_point"]

HOW = {
    "store, random": "CellLoader on the store, cells in random order",
    "store, blocks": "CellLoader on the store, mixed blocks of 1,024 neighbours",
    "h5ad, slices": "backed AnnData, neighbours in the order of the file",
    "h5ad, random": "backed AnnData, the rows of a batch drawn at random",
    "AnnLoader": "anndata's AnnLoader with shuffle, the file in memory",
    "scdataset": "scDataset on the backed AnnData, BlockShuffling(16), fetch_factor 64",
}
"""Ways of reading, and what each means."""


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        how: key of `HOW`.
        path: store or .h5ad file.
        genes: genes sampled a cell; 0 yields whole rows.
        batch_size: cells a batch.
        workers: threads that prepare batches; of the store only.
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
class Point:
    """What came of a request.

    Attributes:
        status: "ok" or why there are no numbers.
        cells: cells read in the time measured.
        cells_per_second: their rate, after one batch that is not counted.
        cells_per_cpu_second: the same by the time that all threads of the process worked, which says more on a machine
            that does other things too.
        rss_mb: most resident memory seen after any batch, in 10⁶ bytes.
        anonymous_mb: the part of it that is not pages of files.
        start_mb: resident memory with all packages loaded, before the first cell.
    """

    status: str
    cells: int = 0
    cells_per_second: float = float("nan")
    cells_per_cpu_second: float = float("nan")
    rss_mb: float = float("nan")
    anonymous_mb: float = float("nan")
    start_mb: float = float("nan")


def run_point(request: Request) -> Point:
    """Measure in a child process."""
    child = subprocess.run(
        child_command("benchmarks.reading.point"),
        env=child_environment(),
        input=json.dumps(asdict(request)),
        text=True,
        capture_output=True,
        check=False,
    )
    if child.returncode:
        said = child.stderr.strip().splitlines()
        return Point(f"failed: {said[-1] if said else child.returncode}")
    return Point(**json.loads(child.stdout))


def resident_mb() -> tuple[float, float]:
    """Return resident memory and its part that is not pages of files, in 10⁶ bytes; Linux only."""
    resident, anonymous = (status_bytes(name) for name in ("VmRSS", "RssAnon"))
    assert resident is not None
    assert anonymous is not None
    return resident / 1e6, anonymous / 1e6


def measure(request: Request) -> Point:
    """Read cells and look at the clock and at the memory."""
    import scgraph.train.loader  # noqa: F401 - PyTorch and the compiled kernels, before the clock starts

    if request.how == "scdataset" and importlib.util.find_spec("scdataset") is None:
        return Point("not installed")
    if request.cold:
        forget(Path(request.path))
    start_mb = resident_mb()[0]
    batches = iter(BATCHES[request.how](request))
    next(batches)
    cells, most, anonymous = 0, 0.0, 0.0
    start, worked = time.perf_counter(), time.process_time()
    for number in batches:
        cells += number
        resident = resident_mb()
        most, anonymous = max(most, resident[0]), max(anonymous, resident[1])
        if request.seconds is not None and time.perf_counter() - start > request.seconds:
            break
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    return Point("ok", cells, cells / seconds, cells / worked, most, anonymous, start_mb)


def forget(path: Path) -> None:
    """Ask the system to drop its cache of a file or of the files of a folder."""
    for file in [path] if path.is_file() else path.iterdir():
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def from_store(request: Request) -> Iterator[int]:
    """Batches as training gets them: sampled, masked, as tensors."""
    from scgraph.config import TrainConfig
    from scgraph.data import CellStore
    from scgraph.train.loader import CellLoader

    plain = {"genes": request.genes, "batch_size": request.batch_size, "num_workers": request.workers}
    config = TrainConfig.model_validate(plain | {"shuffle": request.how.partition(", ")[2]})
    for batch in CellLoader(CellStore.open(request.path), config, shuffle=True):
        yield len(batch.rows)


def from_slices(request: Request) -> Iterator[int]:
    """Rows one after another out of a backed file."""
    import anndata

    adata = anndata.read_h5ad(request.path, backed="r")
    while True:
        for start in range(0, adata.n_obs, request.batch_size):
            yield sampled(adata[start : start + request.batch_size].to_memory().X, request.genes)


def from_rows(request: Request) -> Iterator[int]:
    """Random rows out of a backed file; h5py wants them sorted."""
    import anndata

    adata = anndata.read_h5ad(request.path, backed="r")
    random = np.random.default_rng(0)
    while True:
        for rows in np.array_split(random.permutation(adata.n_obs), -(-adata.n_obs // request.batch_size)):
            yield sampled(adata[np.sort(rows)].to_memory().X, request.genes)


def from_annloader(request: Request) -> Iterator[int]:
    """What AnnLoader yields: a dense tensor of all genes."""
    import anndata
    from anndata.experimental import AnnLoader

    adata = anndata.read_h5ad(request.path)
    while True:
        for batch in AnnLoader(adata, batch_size=request.batch_size, shuffle=True):
            yield sampled(batch.X.numpy(), request.genes)


def from_scdataset(request: Request) -> Iterator[int]:
    """What scDataset yields: rows as a sparse matrix."""
    import anndata
    from scdataset import BlockShuffling, scDataset

    data = scDataset(
        anndata.read_h5ad(request.path, backed="r"),
        BlockShuffling(block_size=16),
        batch_size=request.batch_size,
        fetch_factor=64,
        fetch_transform=lambda part: part.to_memory().X,
    )
    while True:
        for batch in data:
            yield sampled(batch, request.genes)


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


BATCHES: dict[str, Any] = {
    "store, random": from_store,
    "store, blocks": from_store,
    "h5ad, slices": from_slices,
    "h5ad, random": from_rows,
    "AnnLoader": from_annloader,
    "scdataset": from_scdataset,
}


def main() -> None:
    """Answer the request on standard input."""
    answer = measure(Request(**json.load(sys.stdin)))
    sys.stdout.write(json.dumps(asdict(answer)))


if __name__ == "__main__":
    main()
