"""Files of many cells drawn from real ones, and models of the default sizes on their genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from scgraph.data import Cells, Vocabulary

__all__ = ["LABEL", "TARGET", "pool_vocabulary", "write_cells", "write_model"]

LABEL = "cell_type"
"""Column of obs with the classes of the cells, where there are any."""

TARGET = "perturbation"
"""Column of obs with a gene for every second cell, the others being controls, where there are classes."""

_TARGETS = 10

_BLOCK = 5000


def pool_vocabulary(pool: Cells) -> Vocabulary:
    """Return the genes that the cells express."""
    from scgraph.data import Vocabulary

    return Vocabulary.from_cells([pool])


def write_cells(pool: Cells, cells: int, genes: int, path: Path) -> float:
    """Write an .h5ad file of cells of the pool, drawn with replacement, a block at a time.

    Args:
        pool: counts; where it has labels the file has them too, in `LABEL`, and targets drawn at random in `TARGET`.
        cells: how many.
        genes: most expressed genes of a cell, drawn without replacement; 0 keeps all.
        path: the file.

    Returns:
        Expressed genes of a cell on average.
    """
    import h5py
    import pandas as pd
    from anndata import AnnData
    from anndata.io import write_elem

    random = np.random.default_rng(0)
    names = [one or two for one, two in zip(pool.symbols.tolist(), pool.ensembl.tolist(), strict=True)]
    obs = pd.DataFrame({"batch": pd.Categorical([f"b{at % 7}" for at in range(cells)])})
    obs.index = pd.Index([f"CELL-{at:09d}" for at in range(cells)])
    with h5py.File(path, "x") as file:
        write_elem(file, "/", AnnData(obs=obs, var=pd.DataFrame(index=pd.Index(names))))
        file.pop("raw", None)  # an element that says there is none
        group = file.create_group("X")
        group.attrs["encoding-type"], group.attrs["encoding-version"] = "csr_matrix", "0.1.0"
        group.attrs["shape"] = np.asarray([cells, len(names)], dtype=np.int64)
        parts = {
            name: group.create_dataset(name, (0,), maxshape=(None,), chunks=(2**17,), dtype=dtype)
            for name, dtype in (("data", np.float32), ("indices", np.int32))
        }
        indptr, drawn = [np.zeros(1, np.int64)], []
        for start in range(0, cells, _BLOCK):
            drawn.append(random.integers(len(pool), size=min(_BLOCK, cells - start)))
            matrix = pool.matrix[drawn[-1]]
            if genes:
                matrix = _thinned(matrix, genes, random)
            at = len(parts["data"])
            for name, values in (("data", matrix.data), ("indices", matrix.indices)):
                parts[name].resize((at + matrix.nnz,))
                parts[name][at:] = values
            indptr.append(at + matrix.indptr[1:].astype(np.int64))
        starts = np.concatenate(indptr)
        group.create_dataset("indptr", data=starts)
        if pool.labels is not None:
            del file["obs"]
            columns = {LABEL: pool.labels[np.concatenate(drawn)], TARGET: _targets(pool, names, cells, random)}
            write_elem(file, "obs", obs.assign(**columns))
    return float(starts[-1] / cells)


def _targets(pool: Cells, names: Sequence[str], cells: int, random: np.random.Generator) -> pd.Categorical:
    """Give every second cell one of the genes that most cells express, at random; the others are controls."""
    import pandas as pd

    most = [names[at] for at in np.argsort(-pool.expressed(), kind="stable")[:_TARGETS]]
    codes = np.where(np.arange(cells) % 2, random.integers(1, _TARGETS + 1, size=cells), 0)
    return pd.Categorical.from_codes(codes.tolist(), pd.Index(["control", *most]))


def write_model(folder: Path, name: str, vocabulary: Vocabulary) -> None:
    """Write a model of the default sizes whose weights are drawn at random: its speed is that of a trained one."""
    import torch

    from scgraph.config_files import as_pretrain_config
    from scgraph.models import build_model, save_model
    from scgraph.models.settings import settings_by_model

    settings = settings_by_model([name], as_pretrain_config("bench/default"))[name]
    torch.manual_seed(0)
    model = build_model(len(vocabulary), **settings.model.model_kwargs())
    training = settings.train.model_copy(update={"batch_size": 64}).model_dump(mode="json")
    save_model(folder, model, vocabulary, settings.model, metadata={"training": training})


def _thinned(matrix: Any, genes: int, random: np.random.Generator) -> Any:
    """Keep at most so many entries of every row."""
    from scipy import sparse

    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((random.random(matrix.nnz), row))
    place = np.empty(matrix.nnz, np.int64)
    place[order] = np.arange(matrix.nnz) - matrix.indptr[row[order]]
    kept = place < genes
    thinned = sparse.csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)
    thinned.sort_indices()
    return thinned
