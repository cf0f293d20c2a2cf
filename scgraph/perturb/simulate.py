"""Screens with known effects: a gene graph spreads a knockdown, and counts are drawn from what results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from scgraph.config import ModelConfig, TrainConfig
from scgraph.data import Vocabulary
from scgraph.errors import ConfigError
from scgraph.models import save_model
from scgraph.nn import GeneModel

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["SimulatedScreen", "save_graph_model", "simulate_screen"]


@dataclass(frozen=True, eq=False)
class SimulatedScreen:
    """Cells, and what they were drawn from.

    Attributes:
        adata: counts of all cells, with the perturbations in obs.
        source: what each gene sends to the programs, `[n_genes, R]`.
        target: what each gene receives from the programs, `[n_genes, R]`.
        spread: ``(I - W)⁻¹`` with ``W = target · sourceᵀ``, `[n_genes, n_genes]`.
    """

    adata: AnnData
    source: NDArray[np.float64]
    target: NDArray[np.float64]
    spread: NDArray[np.float64]


def simulate_screen(
    *,
    n_genes: int = 200,
    singles: int = 80,
    doubles: int = 0,
    cells: int = 40,
    controls: int = 400,
    programs: int = 6,
    strength: float = 0.85,
    shared: float = 0.7,
    knockdown: float = -2.0,
    response: float = 0.1,
    variation: float = 0.4,
    depth: float = 3000.0,
    layout: Literal["scperturb", "gears"] = "scperturb",
    seed: int = 0,
) -> SimulatedScreen:
    """Draw a screen whose effects follow a gene graph.

    The log rates of a cell are ``μ + (I - W)⁻¹ (ε + k Σ_p e_p) + r``: its own variation ε and the knockdown k of the
    perturbed genes run through the same graph ``W = T Sᵀ`` until they settle; r, the same for all perturbed cells, is
    what the mean change can tell. Genes send to few programs and receive from few, so W is sparse and of low rank, and
    the part of a double that runs through the graph is the sum of its singles on the log scale. Counts are Poisson.

    Args:
        n_genes: genes of the file.
        singles: perturbations of one gene.
        doubles: perturbations of two of these genes.
        cells: of each perturbation.
        controls: control cells.
        programs: rank R of the graph.
        strength: spectral radius of W, below 1; 0 leaves every effect with its own gene.
        shared: how alike what a gene sends is to what it receives, from 0 (independent) to 1 (the same). The more, the
            more the variation among control cells says of the effects.
        knockdown: change k of the log rate of a perturbed gene.
        response: standard deviation of r over the genes.
        variation: standard deviation of ε.
        depth: mean count of a cell.
        layout: ``"scperturb"`` (`perturbation`: control, A, A_B) or ``"gears"`` (`condition`: ctrl, A+ctrl, A+B).
        seed: of everything.

    Raises:
        ConfigError: more perturbations than genes or pairs of them, or a number out of range.
    """
    import anndata
    import pandas as pd
    from scipy import sparse

    if not 0 <= strength < 1:
        raise ConfigError(f"strength must lie in [0, 1), not {strength}: beyond it the graph does not settle.")
    if not 0 <= shared <= 1:
        raise ConfigError(f"shared must lie in [0, 1], not {shared}.")
    if singles > n_genes or doubles > singles * (singles - 1) // 2:
        raise ConfigError(f"{singles} singles and {doubles} doubles do not fit {n_genes} genes.")
    rng = np.random.default_rng(seed)
    source, target = _graph(rng, (n_genes, programs), strength, shared)
    spread: NDArray[np.float64] = np.linalg.inv(np.eye(n_genes) - target @ source.T).astype(np.float64)
    names = np.asarray([f"GENE{number}" for number in range(n_genes)])
    chosen = rng.choice(n_genes, singles, replace=False)
    first, second = np.triu_indices(singles, 1)
    pairs = rng.choice(len(first), doubles, replace=False)
    perturbed = [(gene,) for gene in chosen] + [(chosen[first[at]], chosen[second[at]]) for at in pairs]
    common = rng.normal(scale=response, size=n_genes)
    labels, shifts, responses = [], [], []
    for genes in [(), *perturbed]:
        shift = np.zeros(n_genes)
        shift[list(genes)] = knockdown
        count = cells if genes else controls
        labels += [_label(names[list(genes)].tolist(), layout)] * count
        shifts.append(np.tile(shift, (count, 1)))
        responses.append(np.tile(common if genes else np.zeros(n_genes), (count, 1)))
    own = rng.normal(scale=variation, size=(len(labels), n_genes)) + np.concatenate(shifts)
    rates = np.exp(rng.normal(scale=0.8, size=n_genes) + own @ spread.T + np.concatenate(responses))
    rates *= depth * rng.lognormal(sigma=0.2, size=(len(labels), 1)) / rates.sum(axis=1, keepdims=True)
    counts = sparse.csr_matrix(rng.poisson(rates).astype(np.float32))
    obs = pd.DataFrame(
        {"perturbation" if layout == "scperturb" else "condition": pd.Categorical(labels)},
        index=[f"cell{number}" for number in range(len(labels))],
    )
    return SimulatedScreen(anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=names)), source, target, spread)


def _graph(
    rng: np.random.Generator, shape: tuple[int, int], strength: float, shared: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw what genes send and receive, of mixed sign; about a third of the programs concerns a gene."""
    source, other = (rng.normal(size=shape) * (rng.random(shape) < 1 / 3) for _ in range(2))
    target = shared * source + (1 - shared**2) ** 0.5 * other
    scale = np.sqrt(strength / np.abs(np.linalg.eigvals(target.T @ source)).max())
    return source * scale, target * scale


def _label(genes: list[str], layout: str) -> str:
    if layout == "gears":
        return "+".join([*genes, "ctrl"][:2]) if genes else "ctrl"
    return "_".join(genes) or "control"


def save_graph_model(folder: str | Path, screen: SimulatedScreen) -> None:
    """Save a model whose tables are the graph of a simulation: the most that embeddings can tell.

    Its adjacency holds what genes send and receive, its gene embedding both; all else is as drawn before a training.

    Args:
        folder: of the model.
        screen: of `simulate_screen`.

    Raises:
        OutputError: the folder holds another model, or cannot be written.
    """
    import torch

    names = tuple(str(name) for name in screen.adata.var_names)
    vocabulary = Vocabulary(names, ("",) * len(names))
    rank = screen.source.shape[1]
    config = ModelConfig(conv="gnn", channels=2 * rank, layers=1, rank=rank)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GeneModel(len(vocabulary), **config.model_kwargs())
    source, target = (torch.from_numpy(table.astype("float32")) for table in (screen.source, screen.target))
    state = model.state_dict()
    state["adjacencies.0.source"][1:] = source
    state["adjacencies.0.target"][1:] = target
    state["encoder.gene.weight"][1:] = torch.cat([source, target], dim=1)
    training = TrainConfig(embed_genes="all").model_dump(mode="json")
    save_model(folder, model, vocabulary, config, metadata={"training": training})
