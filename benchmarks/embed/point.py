"""One way from cells to vectors, measured in a process of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.embed.labelled import LABELLED, labelled
from benchmarks.embed.peers import CELLS, PEERS, TRANSFORMER, transformer
from benchmarks.harness.children import peak_mb, resident_mb, restart_peak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["COMMANDS", "HOW", "IN_MEMORY", "measure"]

COMMANDS = ("scgraph embed gnn-linear", "scgraph embed gnn", "PCA of scanpy and sklearn")
IN_MEMORY = ("gnn-linear", "gnn", "gnn-linear, a call a cell", "gnn, a call a cell", TRANSFORMER, *PEERS)
HOW = {
    "scgraph embed gnn-linear": "from the file to a file of vectors, `embed_file(..., vectors=...)`, read twice",
    "scgraph embed gnn": "the same",
    "PCA of scanpy and sklearn": "`read_h5ad`, `normalize_total`, `log1p`, `transform` of a PCA fitted on 2,000 cells "
    "before, `write_h5ad` of the vectors",
    **LABELLED,
    "gnn-linear": "cells in memory, the compiled loop over whole cells",
    "gnn": "the same",
    "gnn-linear, a call a cell": "cells in memory, the model called with one cell after another, the plain form",
    "gnn, a call a cell": "the same",
    TRANSFORMER: "`torch.nn.TransformerEncoder` of the same sizes (4 heads, feed-forward C) behind a "
    "gene and value embedding, padded batches of 8 cells of like length, mean of the genes",
    **{how: peer.means for how, peer in PEERS.items()},
}
"""What is measured."""


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Return cells a second by the clock and by the time that all threads worked, and memory in 10⁶ bytes.

    `request` names what (`how`), the file, the folder of models, the `threads`, and for `LABELLED` the `reference`: a
    file, its layer and its column of classes.
    """
    import torch

    torch.set_num_threads(request["threads"])
    how, path = str(request["how"]), Path(request["path"])
    models = Path(request["models"])
    if how in LABELLED:
        work = labelled(how, path, models, request["reference"], lambda model: _load_loops(path, model))
    else:
        work = _work(how, path, models)
    start_mb = resident_mb()
    restart_peak()
    clock, worked = time.perf_counter(), time.process_time()
    cells = sum(work())
    seconds, worked = time.perf_counter() - clock, time.process_time() - worked
    return {
        "measured_cells": cells,
        "cells_per_second": cells / seconds,
        "cells_per_cpu_second": cells / worked,
        "peak_mb": peak_mb(),
        "start_mb": start_mb,
    }


def _work(how: str, path: Path, models: Path) -> Callable[[], Iterator[int]]:
    """Return what is to be timed; packages and compiled loops are loaded before."""
    if how in IN_MEMORY:
        return _in_memory(how, path, models)
    if how.startswith("scgraph embed"):
        return _command(path, models / how.removeprefix("scgraph embed "))
    return _components(path)


def _command(path: Path, model: Path) -> Callable[[], Iterator[int]]:
    from scgraph.train.vectors import embed_file

    _load_loops(path, model)

    def work() -> Iterator[int]:
        yield embed_file(path, model, vectors=path.with_name("vectors.h5ad"), device="cpu", overwrite=True)["cells"]

    return work


def _load_loops(path: Path, model: Path) -> None:
    from scgraph.models import load_model
    from scgraph.train import embed

    embed(load_model(model).model, _first_cells(path, model, 4), genes=None, device="cpu")


def _components(path: Path) -> Callable[[], Iterator[int]]:
    import anndata
    import scanpy as sc
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    def logged(adata: Any) -> Any:
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
        return adata

    backed = anndata.read_h5ad(path, backed="r")
    with threadpool_limits(1):
        first = logged(backed[:2000].to_memory()).X
        fitted = PCA(min(64, *(size - 1 for size in first.shape)), svd_solver="arpack", random_state=0).fit(first)
    backed.file.close()

    def work() -> Iterator[int]:
        adata = logged(anndata.read_h5ad(path))
        # What `transform` does, without its dense copy of the cells.
        vectors = adata.X @ fitted.components_.T - fitted.mean_ @ fitted.components_.T
        out = path.with_name("components.h5ad")
        anndata.AnnData(obs=adata.obs, obsm={"X_pca": np.asarray(vectors, dtype=np.float32)}).write_h5ad(out)
        yield adata.n_obs

    return work


def _first_cells(path: Path, model: Path, cells: int) -> Any:
    import anndata

    from scgraph.data import CellStore, read_cells
    from scgraph.models import load_model

    adata = anndata.read_h5ad(path, backed="r")
    first = adata[:cells].to_memory()
    adata.file.close()
    return CellStore.from_cells(read_cells(first, values="counts"), load_model(model).vocabulary)


def _in_memory(how: str, path: Path, models: Path) -> Callable[[], Iterator[int]]:
    if how in PEERS:
        return PEERS[how].prepare(path)
    from scgraph.models import load_model
    from scgraph.train.embedding import Embedder

    if how == TRANSFORMER:
        return transformer(_first_cells(path, models / "gnn", 512))
    name = how.partition(",")[0]
    plain = how != name
    folder = models / name
    store = _first_cells(path, folder, 512 if plain else CELLS)
    embedder = Embedder(load_model(folder).model, genes=None, device="cpu", form="plain" if plain else "auto")
    embedder(store.subset(np.arange(4)))

    def work() -> Iterator[int]:
        yield len(embedder(store))

    return work
