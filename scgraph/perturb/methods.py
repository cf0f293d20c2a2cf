"""Everything that predicts changes on one split: baselines, regressions on tables of genes, the networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import CellStore
from scgraph.models import build_model
from scgraph.nn import FactorizedAdjacency
from scgraph.perturb.baselines import additive, kernel_ridge, nearest, ridge, summed
from scgraph.perturb.descriptions import Description, network_embedding, random_vectors, shuffled
from scgraph.perturb.embeddings import affected_features, control_features, gene_tables, pca_loadings
from scgraph.perturb.measure import Measured, measure
from scgraph.perturb.scores import MEAN

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from scgraph.config import TrainConfig
    from scgraph.models import SavedModel
    from scgraph.nn import CellModel
    from scgraph.perturb.config import PerturbConfig
    from scgraph.perturb.screen import Screen
    from scgraph.perturb.splits import PerturbationSplit

__all__ = ["ADDITIVE", "NOTHING", "PCA", "Experiment", "Prediction"]

NOTHING, ADDITIVE, PCA = "no change", "additive", "ridge+pca"
UNTRAINED = " untrained"
_PENALISED = {"ridge": ridge, "kernel": kernel_ridge}


@dataclass(frozen=True)
class Prediction:
    """What one method predicts.

    Attributes:
        change: of every perturbation, those to predict besides at the end, `[P + N, G]`.
        choice: what was chosen on the validation part.
    """

    change: NDArray[np.float32]
    choice: str = ""


@dataclass(frozen=True, eq=False)
class _Side:
    """A model as the network reads it: what describes the perturbed genes, and the affected ones `[G, D']`."""

    perturbed: Description
    affected: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Experiment:
    """A screen, a model and what is asked of them.

    Attributes:
        screen: the perturbations.
        saved: the model.
        settings: of the run.
        training: how the model was trained.
        device: where networks run.
    """

    screen: Screen
    saved: SavedModel
    settings: PerturbConfig
    training: TrainConfig
    device: torch.device
    _kept: dict[int, tuple[Measured, dict[str, Description], dict[str, _Side]]] = field(default_factory=dict)

    @cached_property
    def genes(self) -> list[tuple[int, ...]]:
        """Perturbed genes by number, of those to predict besides at the end."""
        return [one.genes for one in (*self.screen.perturbations, *self.screen.new)]

    @cached_property
    def model_name(self) -> str:
        """The name of the model in tables."""
        return self.saved.model_config.conv

    @property
    def baselines(self) -> tuple[str, ...]:
        """Names of what knows neither the model nor a network."""
        return (
            NOTHING,
            MEAN,
            ADDITIVE,
            *(f"{how}+{what}" for what in ("random", "pca") for how in (*_PENALISED, "nearest")),
        )

    @cached_property
    def has_doubles(self) -> bool:
        """Whether some perturbation of the file has two genes."""
        return any(len(one.genes) > 1 for one in self.screen.perturbations)

    def measured(self, seed: int) -> Measured:
        """Return the changes of a repetition; see `measure`."""
        return self._prepared(seed)[0]

    def predict(self, split: PerturbationSplit, *, seed: int) -> dict[str, Prediction]:
        """Let every method learn from the training and validation part and predict all.

        Regressions choose their penalty by leaving perturbations of the two parts out. The network learns from the
        training part and chooses its epoch on the validation part.
        """
        measured, tables, sides = self._prepared(seed)
        learn = np.sort(np.concatenate([split.train, split.validation]))
        mean = measured.learned[learn].mean(axis=0)
        found = {
            NOTHING: Prediction(np.zeros((len(self.genes), len(mean)), dtype=np.float32)),
            MEAN: Prediction(np.tile(mean, (len(self.genes), 1))),
        }
        if self.has_doubles:
            found[ADDITIVE] = Prediction(additive(self.genes, learn, measured.learned))
        described = {"random": tables["random"], "pca": self._components(measured, learn, seed)} | tables
        for name, description in described.items():
            x = summed(self.genes, description.table, learn, description.known)
            for how, fit in _PENALISED.items():
                change, penalty = fit(x, measured.learned, learn)
                found[f"{how}+{name}"] = Prediction(change, f"penalty {penalty:.3g}")
            found[f"nearest+{name}"] = Prediction(nearest(x, measured.learned, learn))
        for name, side in sides.items():
            x = summed(self.genes, side.perturbed.table, split.train, side.perturbed.known)
            found[name] = self._network(x, side.affected, measured.learned, split, seed)
        return found

    def _prepared(self, seed: int) -> tuple[Measured, dict[str, Description], dict[str, _Side]]:
        """What all splits of a seed share; only the last seed is kept."""
        if seed not in self._kept:
            self._kept.clear()
            self._kept[seed] = self._prepare(seed)
        return self._kept[seed]

    def _prepare(self, seed: int) -> tuple[Measured, dict[str, Description], dict[str, _Side]]:
        screen, kind = self.screen, self.settings.embedding
        measured = measure(screen, seed=seed, separate_controls=self.settings.separate_controls)
        tables = {"random": random_vectors(screen.genes, seed=seed)}
        if self._network_table is not None:
            tables["network shuffled"] = shuffled(self._network_table, seed=seed)
            tables["network"] = self._network_table
        store = self._controls(measured.controls)
        sides = {}
        for name, model in ((UNTRAINED, self._untrained(seed)), ("", self.saved.model)):
            own = gene_tables(model, kind)
            tables[f"{self.model_name}{name}"] = self._described(own.perturbed)
            features = control_features(
                model, store, genes=self.training.genes_to_embed(), seed=self.training.seed, device=self.device
            )
            affected = affected_features(own.affected, features, measured.state, screen.ids[screen.scored])
            sides[f"{self.model_name}{name}"] = _Side(tables[f"{self.model_name}{name}"], affected)
        learned = any(isinstance(one, FactorizedAdjacency) for one in self.saved.model.adjacencies)
        if learned and kind not in ("adjacency", "all"):
            graph = gene_tables(self.saved.model, "adjacency")
            tables[f"{self.model_name} graph"] = self._described(graph.perturbed)
        return measured, tables, sides

    @cached_property
    def _network_table(self) -> Description | None:
        genes = self.screen.genes
        return None if genes.network is None else network_embedding(genes, self.settings.components)

    def _described(self, table: NDArray[np.float32]) -> Description:
        return Description(table[self.screen.ids], self.screen.ids > 0)

    def _components(self, measured: Measured, learn: NDArray[np.int64], seed: int) -> Description:
        """Loadings of the genes on components of the cells that may be learned from; genes not measured have none."""
        screen = self.screen
        rows = np.concatenate([measured.controls, *(screen.perturbations[at].cells for at in learn)])
        loadings = pca_loadings(screen.cells.subset(np.sort(rows)), self.settings.components, seed=seed)
        table = np.zeros((len(screen.genes), loadings.shape[1]), dtype=np.float32)
        table[: len(loadings)] = loadings
        return Description(table, np.arange(len(table)) < screen.genes.measured)

    def _controls(self, rows: NDArray[np.int64]) -> CellStore:
        """Control cells that the model reads, a sample where there are more."""
        most = self.settings.control_cells
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(self.training.seed).choice(rows, most, replace=False))
        return CellStore.from_cells(self.screen.cells.subset(rows).read(), self.saved.vocabulary, min_matched=0)

    def _network(
        self,
        x: NDArray[np.float64],
        affected: NDArray[np.float64],
        change: NDArray[np.float32],
        split: PerturbationSplit,
        seed: int,
    ) -> Prediction:
        from scgraph.perturb.regressor import fit_network

        predicted, epoch = fit_network(
            x, affected, change, split.train, split.validation, self.settings.network, seed=seed, device=self.device
        )
        return Prediction(predicted, f"epoch {epoch}")

    def _untrained(self, seed: int) -> CellModel:
        """Return a network of the same shape with weights as they are drawn before a training."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_model(len(self.saved.vocabulary), **self.saved.model_config.model_kwargs())
