"""A small screen with a known answer: a line answers a pair by one gene, and every pair has a level of its own."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

SMILES = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "ethanol": "CCO",
    "glycine": "NCC(=O)O",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "nicotine": "CN1CCCC1c1cccnc1",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "salt": "[Na+].[Cl-]",
}
QUICK = {
    "genes": 20,
    "trees": 10,
    "folds": 3,
    "model": {"channels": 8, "layers": 1, "rank": 4},
    "network": {"epochs": 2, "width": 8, "batch_size": 256, "molecule_layers": 1},
}


def small_screen(
    *, lines: int = 9, genes: int = 30, seed: int = 0
) -> tuple[pd.DataFrame, anndata.AnnData, pd.DataFrame]:
    """Return combinations (28 pairs on every line), expression and structures."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(2.0, 20.0, size=genes), size=(lines, genes)).astype(np.float32)
    counts[:, 0] = rng.permutation(np.linspace(1, 400, lines)).round()
    names = [f"LINE{at}" for at in range(lines)]
    cells = anndata.AnnData(counts, obs=pd.DataFrame(index=names), var=pd.DataFrame(index=_symbols(genes)))
    state = np.log(counts[:, 0])
    state = (state - state.mean()) / state.std()
    rows = []
    for one, other in combinations(SMILES, 2):
        level = 15 * rng.normal()
        for at, name in enumerate(names):
            score = level + 20 * state[at] + 2 * rng.normal()
            rows.append({"drug_a": one, "drug_b": other, "cell_line": name, "synergy": round(score, 4)})
    drugs = pd.DataFrame({"drug": list(SMILES), "smiles": list(SMILES.values())})
    return pd.DataFrame(rows), cells, drugs


def write_screen(folder: Path, **options: int) -> dict[str, Path]:
    """Write the three files, and return them by the option that names them."""
    table, cells, drugs = small_screen(**options)
    files = {name: folder / f"{name}.csv" for name in ("combinations", "drugs")} | {"lines": folder / "lines.h5ad"}
    table.to_csv(files["combinations"], index=False)
    drugs.to_csv(files["drugs"], index=False)
    cells.write_h5ad(files["lines"])
    return files


def _symbols(genes: int) -> list[str]:
    return [f"GENE{at + 1}" for at in range(genes)]
