"""Writes the models and the store of the folder `old`, with the scgraph that is imported.

They show that what a version wrote is read by those after it, so they are not written again when the code changes.
Those here are of commit 52778cd: ``PYTHONPATH=<a checkout of it> python tests/models/write_old.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

import scgraph

OLD = Path(__file__).absolute().parent / "old"
SIZES: dict[str, Any] = {"channels": 8, "layers": 1, "rank": 2, "conv_options": {}}
TRAINING: dict[str, Any] = {"genes": 8, "batch_size": 8, "epochs": 1, "seed": 3, "device": "cpu"}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "gnn": ("gnn", {}),
    "hybrid": ("hybrid", {"conv_options": {"heads": 2}}),
    "asymmetric": ("asym:tf", {"conv_options": {"heads": 2}, "decoder_layers": 1, "decoder_channels": 8}),
    "gnn-on-a-network": ("gnn", {"positional": "random_walk", "positional_dim": 2}),
}


def cells() -> ad.AnnData:
    """Return 24 cells of 14 genes."""
    counts = np.random.default_rng(0).poisson(2.0, size=(24, 14)).astype(np.float32)
    obs = pd.DataFrame({"kind": ["a", "b"] * 12}, index=[f"cell {i}" for i in range(24)])
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"GENE{i}" for i in range(14)]))


def main() -> None:
    """Write the models, the store and the vectors of its cells."""
    vectors = {}
    with tempfile.TemporaryDirectory() as scratch:
        network = Path(scratch) / "network.csv"
        network.write_text("source,target\n" + "".join(f"GENE{i},GENE{(3 * i + 1) % 14}\n" for i in range(14)))
        for folder, (name, more) in MODELS.items():
            config: dict[str, Any] = {"model": SIZES | more, "train": TRAINING}
            if folder.endswith("network"):
                config["graph"] = str(network)
            scgraph.pretrain([cells()], model=name, config=config, out=Path(scratch) / folder)
            embedded = cells()
            scgraph.embed(embedded, Path(scratch) / folder)
            vectors[folder] = embedded.obsm["X_scgraph"][:3].tolist()
            (OLD / folder).mkdir(exist_ok=True)
            for file in ("config.json", "model.safetensors", "vocabulary.tsv"):
                shutil.copy(Path(scratch) / folder / file, OLD / folder / file)
        os.chdir(scratch)
        cells().write_h5ad("cells.h5ad")
        shutil.rmtree(OLD / "store", ignore_errors=True)
        scgraph.prepare(["cells.h5ad"], out=OLD / "store")
    (OLD / "vectors.json").write_text(json.dumps(vectors), encoding="utf-8")


if __name__ == "__main__":
    main()
