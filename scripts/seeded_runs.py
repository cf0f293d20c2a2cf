"""Print losses, weights, vectors, scores and sampled genes of small seeded runs, to the last bit.

A change that should move no number is one after which this prints the same on the same machine:

    python scripts/seeded_runs.py > before.txt
    python scripts/seeded_runs.py | diff before.txt -

It calls what users call and nothing else, so that it outlives files that move.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["OMP_NUM_THREADS"] = "1"

import anndata
import numpy as np
import pandas as pd
import torch

import scgraph
from scgraph.data import CellStore, Vocabulary, mask_values, read_cells
from scgraph.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

CELLS, GENES, CLASSES = 96, 160, 3
SIZES: dict[str, Any] = {"channels": 16, "layers": 2, "rank": 4}
TRAINING: dict[str, Any] = {
    "genes": 24,
    "batch_size": 16,
    "epochs": 2,
    "seed": 3,
    "device": "cpu",
    "precision": "32-true",
    "learning_rate": 1e-3,
}
CONVS = ("gat", "gcn", "gnn", "gnn-linear", "hybrid", "mean", "none", "performer", "tf")
PYG = "torch_geometric.nn.SAGEConv"


def simulated() -> anndata.AnnData:
    """Return counts of cells of three kinds, each with genes of its own."""
    rng = np.random.default_rng(7)
    kind = np.arange(CELLS) % CLASSES
    rate = rng.gamma(0.5, 1.0, size=(CLASSES, GENES))[kind]
    counts = rng.poisson(2.0 * rate).astype(np.float32)
    obs = pd.DataFrame({"kind": [f"kind {k}" for k in kind]}, index=[f"cell {i}" for i in range(CELLS)])
    return anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"GENE{i}" for i in range(GENES)]))


def network_file(folder: Path) -> Path:
    """Write a network in which each gene has some ten neighbours."""
    rng = np.random.default_rng(8)
    ends = rng.integers(0, GENES, size=(5 * GENES, 2))
    frame = pd.DataFrame({"source": [f"GENE{i}" for i in ends[:, 0]], "target": [f"GENE{i}" for i in ends[:, 1]]})
    path = folder / "network.csv"
    frame[ends[:, 0] != ends[:, 1]].drop_duplicates().to_csv(path, index=False)
    return path


def say(*words: object) -> None:
    """Write a line."""
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")


def digest(array: np.ndarray[Any, Any]) -> str:
    """Return the sum in float64 and the start of the SHA-256 of the bytes."""
    array = np.ascontiguousarray(array)
    return f"{array.sum(dtype=np.float64):.17g} {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"


def show_model(title: str, name: str, cells: anndata.AnnData, config: Mapping[str, Any]) -> None:
    """Pretrain, embed, and print what came out."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model"
        trained = scgraph.pretrain([cells], model=name, config=dict(config), out=saved)
        embedded = cells.copy()
        scgraph.embed(embedded, saved, allow_conv=[name] if "." in name else [])
    for column in ("train_loss", "validation_loss", "train_mvp_loss", "validation_mvp_loss"):
        say(title, column, " ".join(float(loss).hex() for loss in trained.history[column]))
    state = trained.model.state_dict()
    keys = sorted(state)
    weights = np.concatenate([state[key].double().numpy().ravel() for key in keys])
    say(title, "weights", len(keys), hashlib.sha256(" ".join(keys).encode()).hexdigest()[:16], digest(weights))
    say(title, "embedding", digest(embedded.obsm["X_scgraph"]))


def show_samples(cells: anndata.AnnData) -> None:
    """Print which genes are sampled, shown as unexpressed and masked."""
    read = read_cells(cells)
    store = CellStore.from_cells(read, Vocabulary.from_cells([read]))
    rows = np.arange(0, CELLS, 3)
    for epoch in (0, 1):
        ids, values = store.batch(rows, genes=20, seed=5, epoch=epoch)
        say("samples", epoch, "genes", digest(ids), "values", digest(values))
        say("samples", epoch, "zeros", digest(store.zeros(rows, genes=9, seed=5, epoch=epoch)))
        masked = mask_values(ids, store.keys[rows], share=0.15, seed=5, epoch=epoch)
        say("samples", epoch, "masks", digest(masked))


def show_bench(cells: anndata.AnnData, models: list[str]) -> None:
    """Print the scores of a bench and the costs beside them."""
    config = {"model": SIZES, "train": TRAINING, "probe": {"epochs": 10}, "seeds": 2}
    result = scgraph.bench(models, [cells], label="kind", config=config)
    scores = result.results.select_dtypes("number")
    for column in sorted(str(name) for name in scores):
        if "second" in column:
            continue  # a time, not a number of the run
        say("bench", column, " ".join(float(score).hex() for score in scores[column]))
    for cost in result.costs:
        say("bench", cost.model, cost.path, cost.parameters, cost.multiply_adds, cost.adjacency_multiply_adds)


def main() -> None:
    """Run everything."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    cells = simulated()
    show_samples(cells)
    plain: dict[str, Any] = {"model": SIZES, "train": TRAINING}
    for name in [*CONVS, PYG, "asym:gnn", "asym:tf", "xtrimogene"]:
        show_model(name, name, cells, plain)
    for title, name, more in (
        ("gnn streamed", "gnn", {"conv_options": {"stream_from": 4}}),
        ("gat adjacency", "gat", {"conv_options": {"use_adjacency": True}}),
        ("tf recompute", "tf", {"recompute": True, "dropout": 0.1, "conv_options": {"root_weight": True}}),
        ("gnn recompute", "gnn", {"recompute": True, "shared_adjacency": False, "cell_head": True}),
    ):
        training = TRAINING | {"cell_loss": 0.1 if "cell_head" in more else 0.0}
        show_model(title, name, cells, {"model": SIZES | more, "train": training})
    with tempfile.TemporaryDirectory() as folder:
        network = str(network_file(Path(folder)))
        for name in ("gnn", "tf", "gcn", "hybrid", PYG):
            restricted = {"model": SIZES | {"positional": "random_walk", "positional_dim": 4}, "train": TRAINING}
            try:
                show_model(f"{name} on a network", name, cells, restricted | {"graph": network})
            except ConfigError:
                show_model(f"{name} on a network", name, cells, restricted | {"network": network})
    show_bench(cells, ["gnn", "tf", "hybrid", "asym:gnn-linear"])


if __name__ == "__main__":
    main()
