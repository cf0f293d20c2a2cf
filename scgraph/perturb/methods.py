"""Everything that predicts changes on one split: baselines, the network, and the network of an untrained model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import CellStore
from scgraph.models import build_model
from scgraph.perturb.baselines import additive, ridge, summed
from scgraph.perturb.embeddings import affected_features, control_features, gene_tables, pca_loadings

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from numpy.typing import NDArray

    from scgraph.config import TrainConfig
    from scgraph.models import SavedModel
    from scgraph.nn import CellModel
    from scgraph.perturb.config import PerturbConfig
    from scgraph.perturb.screen import Screen
    from scgraph.perturb.splits import PerturbationSplit

__all__ = ["ADDITIVE", "MEAN", "NOTHING", "PCA", "STEPS", "Experiment", "Prediction"]

NOTHING, MEAN, ADDITIVE, PCA = "no change", "mean change", "additive", "ridge+pca"
UNTRAINED = " untrained"
STEPS = 5
"""How often a split says that it has gone on: components, and ridge and network of two models."""


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
        """Names of what the network is compared with; ridge of the untrained model is context."""
        return (NOTHING, MEAN, ADDITIVE, PCA, f"ridge+{self.model_name}")

    @cached_property
    def has_doubles(self) -> bool:
        """Whether some perturbation of the file has two genes."""
        return any(len(one.genes) > 1 for one in self.screen.perturbations)

    @cached_property
    def controls(self) -> CellStore:
        """Control cells that the model reads, a sample where there are more."""
        rows, most = self.screen.control, self.settings.control_cells
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(self.training.seed).choice(rows, most, replace=False))
        return CellStore.from_cells(self.screen.cells.subset(rows), self.saved.vocabulary, min_matched=0)

    def predict(
        self, split: PerturbationSplit, *, seed: int, tick: Callable[[], None] = lambda: None
    ) -> dict[str, Prediction]:
        """Let every method learn from the training part, choose on the validation part and predict all.

        Args:
            split: training, validation and test part.
            seed: of the weights.
            tick: called `STEPS` times on the way.
        """
        screen, change = self.screen, self.screen.change
        mean = change[split.train].mean(axis=0)
        found = {
            NOTHING: Prediction(np.zeros((len(self.genes), len(mean)), dtype=np.float32)),
            MEAN: Prediction(np.tile(mean, (len(self.genes), 1))),
        }
        if self.has_doubles:
            found[ADDITIVE] = Prediction(additive(self.genes, split.train, change))
        rows = np.concatenate([screen.control, *(screen.perturbations[at].cells for at in split.train)])
        loadings = pca_loadings(screen.values[np.sort(rows)], self.settings.components, seed=seed)
        unmeasured = np.zeros((len(screen.genes) - len(loadings), loadings.shape[1]), dtype=np.float32)
        measured = np.arange(len(screen.genes)) < screen.genes.measured
        found[PCA] = self._ridge(np.concatenate([loadings, unmeasured]), measured, split)
        tick()
        for name, model in ((UNTRAINED, self._untrained(seed)), ("", self.saved.model)):
            tables = gene_tables(model, self.settings.embedding)
            table, known = tables.perturbed[screen.ids], screen.ids > 0
            found[f"ridge+{self.model_name}{name}"] = self._ridge(table, known, split)
            features = self._control_features(model)
            affected = affected_features(tables.affected, features, screen.state, screen.ids[screen.scored])
            x = summed(self.genes, table, split.train, known)
            tick()
            found[f"{self.model_name}{name}"] = self._network(x, affected, split, seed)
            tick()
        return found

    def _ridge(self, table: NDArray[np.float32], known: NDArray[np.bool_], split: PerturbationSplit) -> Prediction:
        x = summed(self.genes, table, split.train, known)
        change, penalty = ridge(x, self.screen.change, split.train, split.validation)
        return Prediction(change, f"penalty {penalty:.3g}")

    def _network(
        self, x: NDArray[np.float64], affected: NDArray[np.float64], split: PerturbationSplit, seed: int
    ) -> Prediction:
        from scgraph.perturb.regressor import fit_network

        change, epoch = fit_network(
            x,
            affected,
            self.screen.change,
            split.train,
            split.validation,
            self.settings.network,
            seed=seed,
            device=self.device,
        )
        return Prediction(change, f"epoch {epoch}")

    def _control_features(self, model: CellModel) -> NDArray[np.float32]:
        if model is self.saved.model:
            return self._trained_features
        return self._features(model)

    @cached_property
    def _trained_features(self) -> NDArray[np.float32]:
        return self._features(self.saved.model)

    def _features(self, model: CellModel) -> NDArray[np.float32]:
        genes, seed = self.training.genes_to_embed(), self.training.seed
        return control_features(model, self.controls, genes=genes, seed=seed, device=self.device)

    def _untrained(self, seed: int) -> CellModel:
        """Return a network of the same shape with weights as they are drawn before a training."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_model(len(self.saved.vocabulary), **self.saved.model_config.model_kwargs())
