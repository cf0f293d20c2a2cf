"""How others read cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.reading.request import Way, sampled, warm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.reading.request import Request

__all__ = ["PEERS"]


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

    yield warm(request)
    data = scDataset(
        anndata.read_h5ad(request.path, backed="r"),
        BlockShuffling(block_size=16),
        batch_size=request.batch_size,
        fetch_factor=64,
        fetch_transform=lambda part: part.to_memory().X,
    )
    for batch in data:
        yield sampled(batch, request.genes)


def from_zarr_slices(request: Request) -> Iterator[int]:
    """Rows one after another out of a .zarr."""
    matrix = _zarr_matrix(request.path)
    while True:
        for start in range(0, matrix.shape[0], request.batch_size):
            yield sampled(matrix[start : start + request.batch_size], request.genes)


def from_zarr_rows(request: Request) -> Iterator[int]:
    """Random rows out of a .zarr."""
    matrix = _zarr_matrix(request.path)
    cells = matrix.shape[0]
    random = np.random.default_rng(0)
    while True:
        for rows in np.array_split(random.permutation(cells), -(-cells // request.batch_size)):
            yield sampled(matrix[np.sort(rows)], request.genes)


def from_annbatch(request: Request) -> Iterator[int]:
    """What the loader of annbatch yields: rows as a sparse matrix."""
    import zarr
    from annbatch import DatasetCollection, Loader

    yield warm(request)
    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})  # as annbatch advises
    loader: Any = Loader(
        batch_size=request.batch_size, shuffle=True, rng=np.random.default_rng(0), preload_to_gpu=False
    )
    if request.how.endswith("collection"):
        loader.use_collection(DatasetCollection(f"{request.path}/cells.zarr", mode="r"))
    else:
        loader.add_dataset(_zarr_matrix(request.path))
    for batch in loader:
        yield sampled(batch["X"], request.genes)


def from_tiledbsoma_ml(request: Request) -> Iterator[int]:
    """What the dataset of tiledbsoma-ml yields: rows as a sparse matrix."""
    import tiledbsoma
    import tiledbsoma_ml

    plain: dict[str, Any] = {"batch_size": request.batch_size, "return_sparse_X": True, "seed": 0}
    with tiledbsoma.Experiment.open(request.path) as experiment:
        first = tiledbsoma.AxisQuery(coords=(slice(0, request.batch_size - 1),))
        with experiment.axis_query("RNA", obs_query=first) as query:  # its compiled loops are loaded
            list(tiledbsoma_ml.ExperimentDataset(query, "data", **plain))
        yield warm(request)
        with experiment.axis_query("RNA") as query:
            for rows, _ in tiledbsoma_ml.ExperimentDataset(query, "data", **plain):
                yield sampled(rows, request.genes)


def _zarr_matrix(path: str) -> Any:
    import anndata
    import zarr

    return anndata.io.sparse_dataset(zarr.open_group(path, mode="r")["X"])


PEERS = {
    "h5ad, slices": Way("backed AnnData, neighbours in the order of the file", "h5ad", from_slices),
    "h5ad, random": Way("backed AnnData, the rows of a batch drawn at random", "h5ad", from_rows),
    "AnnLoader": Way("anndata's AnnLoader with shuffle, the file in memory", "h5ad", from_annloader),
    "scdataset": Way(
        "scDataset on the backed AnnData, BlockShuffling(16), fetch_factor 64",
        "h5ad",
        from_scdataset,
        ("scdataset",),
        whole=True,
    ),
    "zarr, slices": Way("anndata's `sparse_dataset` on the .zarr, neighbours", "zarr", from_zarr_slices),
    "zarr, random": Way("the same, the rows of a batch drawn at random", "zarr", from_zarr_rows),
    "annbatch, zarr": Way(
        "annbatch's Loader with shuffle on the .zarr, 32 chunks of 512 cells, with zarrs",
        "zarr",
        from_annbatch,
        ("annbatch", "zarrs"),
        whole=True,
    ),
    "annbatch, collection": Way(
        "the same on a DatasetCollection, into which annbatch has shuffled the .zarr",
        "collection",
        from_annbatch,
        ("annbatch", "zarrs"),
        whole=True,
    ),
    "tiledbsoma-ml": Way(
        "ExperimentDataset with shuffle on the experiment, chunks of 64 cells, 65,536 at a time",
        "soma",
        from_tiledbsoma_ml,
        ("tiledbsoma", "tiledbsoma_ml"),
        whole=True,
    ),
}
"""Ways of reading of other packages."""
