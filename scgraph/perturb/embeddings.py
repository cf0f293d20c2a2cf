"""What a model knows of genes: its tables, and the features it gives to the genes of control cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from scgraph.data.components import fitted_rows
from scgraph.errors import ConfigError
from scgraph.nn import CellGraph, FactorizedAdjacency
from scgraph.perturb.expression import expression_matrix
from scgraph.train.embedding import batches_by_length

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from scgraph.data import CellStore
    from scgraph.data.store.spool import SpooledCells
    from scgraph.nn import CellModel

__all__ = ["GeneDescriptions", "affected_features", "control_features", "gene_tables", "pca_loadings"]

Kind = Literal["auto", "gene", "value", "adjacency", "all"]

MOST_CELLS = 5_000

_BATCH = 16


@dataclass(frozen=True)
class GeneDescriptions:
    """Numbers that describe the genes of a vocabulary; row 0 is padding.

    Attributes:
        perturbed: of a gene that is perturbed, `[V + 1, D]`.
        affected: of a gene whose expression changes, `[V + 1, D']`.
    """

    perturbed: NDArray[np.float32]
    affected: NDArray[np.float32]


def gene_tables(model: CellModel, kind: Kind) -> GeneDescriptions:
    """Return the tables of a model.

    ``gene`` is the gene embedding and ``value`` the table of the product encoding, the same for both sides.
    ``adjacency`` takes the side of the learned graph that fits: ``source`` for the perturbed gene, which sends, and
    ``target`` for the affected one, which receives; tables of several layers stand beside each other. ``all`` is
    everything the model has, and ``auto`` the value table where there is one, else the gene embedding.

    Raises:
        ConfigError: the model has no such table.
    """
    from torch import nn

    encoder = model.encoder
    both: dict[str, list[torch.Tensor]] = {"gene": [encoder.gene.weight]}
    if isinstance(encoder.value, nn.Embedding):
        both["value"] = [encoder.value.weight]
    sides = {name: (tables, tables) for name, tables in both.items()}
    learned = [one for one in model.adjacencies if isinstance(one, FactorizedAdjacency)]
    if learned:
        sides["adjacency"] = ([one.source for one in learned], [one.target for one in learned])
    if kind == "auto":
        kind = "value" if "value" in sides else "gene"
    if kind != "all" and kind not in sides:
        raise ConfigError(f"embedding: this model has no {kind} table. It has: {', '.join(sides)}.")
    chosen = list(sides.values()) if kind == "all" else [sides[kind]]
    return GeneDescriptions(
        _joined([table for perturbed, _ in chosen for table in perturbed]),
        _joined([table for _, affected in chosen for table in affected]),
    )


def _joined(tables: list[torch.Tensor]) -> NDArray[np.float32]:
    """Put tables side by side, each scaled to the same size, so that a wide or large one does not hide the others."""
    scaled = []
    for table in tables:
        values = table.detach().float().cpu().numpy().copy()
        values[0] = 0
        size = float(np.sqrt(np.square(values[1:]).mean()))
        scaled.append(values / (size or 1.0))
    return np.concatenate(scaled, axis=1)


def control_features(
    model: CellModel, store: CellStore, *, genes: int | None, seed: int, device: torch.device
) -> NDArray[np.float32]:
    """Return the mean features of every gene over the control cells that express it.

    The features are those behind the last norm, which the value head reads: what the gene is in the context of the
    others. A gene that no control cell expresses gets zeros.

    Args:
        model: the network; left on `device` in evaluation mode.
        store: control cells, on the vocabulary of the model.
        genes: most genes of a cell; None for all it expresses.
        seed: of the sample of genes.
        device: where it runs.

    Returns:
        float32 `[V + 1, C]`.
    """
    import torch

    model = model.to(device).eval()
    dtype = next(model.parameters()).dtype
    total = torch.zeros(len(store.vocabulary) + 1, model.channels, dtype=torch.float64)
    times = torch.zeros(len(store.vocabulary) + 1, 1, dtype=torch.float64)
    lengths = np.diff(store.indptr)
    most = int(lengths.max(initial=1)) if genes is None else genes
    rows = np.flatnonzero(lengths > 0)
    for part in batches_by_length(rows, np.minimum(lengths[rows], most), _BATCH):
        ids, values = store.batch(part, genes=most, seed=seed, epoch=0)
        with torch.inference_mode():
            graph = CellGraph(torch.from_numpy(ids).to(device))
            x = model.norm(model.encode(graph, torch.from_numpy(values).to(device, dtype)).last)
        flat = torch.from_numpy(ids).flatten()
        total.index_add_(0, flat, x.flatten(0, 1).double().cpu())
        times.index_add_(0, flat, torch.ones(len(flat), 1, dtype=torch.float64))
    mean: NDArray[np.float32] = (total / times.clamp(min=1)).float().numpy()
    mean[0] = 0
    return mean


def affected_features(
    table: NDArray[np.float32], features: NDArray[np.float32], state: NDArray[np.float32], ids: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Describe the genes whose change is predicted: embedding, features in control cells, expression there.

    Each of the three is centred and scaled as a whole over the genes that the model knows. Of a gene that it does not
    know only the expression is told, and that it is not known.

    Args:
        table: of `gene_tables`, `[V + 1, D']`.
        features: of `control_features`, `[V + 1, C]`.
        state: mean expression of the control cells, `[G]`.
        ids: vocabulary ids of the genes, 0 where unknown, `[G]`.

    Returns:
        `[G, D' + C + 2]`.
    """
    known = ids > 0
    blocks = [_standard(table[ids].astype(np.float64), known), _standard(features[ids].astype(np.float64), known)]
    told = _standard(state.astype(np.float64)[:, None], np.ones(len(state), dtype=np.bool_))
    return np.concatenate([*blocks, told, known[:, None].astype(np.float64)], axis=1)


def _standard(block: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centre and scale a block as a whole over the known rows; the others become zero."""
    centred = block - block[known].mean(axis=0)
    size = float(np.sqrt(np.square(centred[known]).mean())) or 1.0
    scaled: NDArray[np.float64] = np.where(known[:, None], centred / size, 0.0)
    return scaled


def pca_loadings(cells: SpooledCells, components: int, *, seed: int) -> NDArray[np.float32]:
    """Return the loadings of the genes on principal components of cells, times the deviation along each.

    Args:
        cells: those that may be learned from; of more than 5,000 a sample is taken, and only that is read.
        components: at most so many.
        seed: of the sample and of the starting vector.

    Returns:
        float32 `[n_genes, K]`.

    Raises:
        DataError: the disk cannot be read.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    values = expression_matrix(cells.subset(fitted_rows(len(cells), seed=seed, most=MOST_CELLS)))
    kept = max(1, min(components, min(values.shape) - 1))
    with threadpool_limits(1):
        solver: Literal["arpack", "covariance_eigh"] = "arpack" if values.shape[1] > 2_000 else "covariance_eigh"
        pca = PCA(kept, svd_solver=solver, random_state=seed).fit(values.astype(np.float64))
    loadings: NDArray[np.float32] = (pca.components_.T * np.sqrt(pca.explained_variance_)).astype(np.float32)
    return loadings
