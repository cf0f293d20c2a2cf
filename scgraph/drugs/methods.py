"""Everything that predicts scores on one fold: baselines, the network, and both with the expression of wrong lines."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from scgraph.drugs.baselines import additive, boosting, line_components, pair_and_line, pair_features, ridge
from scgraph.drugs.chemistry import fingerprints
from scgraph.drugs.molecule import molecular_graphs
from scgraph.drugs.scores import FLOOR, WRONG
from scgraph.drugs.splits import wrong_lines
from scgraph.drugs.training import Structures, fit_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray

    from scgraph.drugs.config import DrugsConfig
    from scgraph.drugs.screen import DrugScreen
    from scgraph.drugs.splits import DrugFold

__all__ = ["ADDITIVE", "BASELINES", "BOOSTING", "PAIR_MEAN", "RIDGE", "DrugExperiment", "DrugPrediction"]

ADDITIVE, PAIR_MEAN, RIDGE, BOOSTING = "additive", "pair mean + line mean", "ridge", "boosting"
MOLECULES = " + molecular graphs"
"""Ends the name of a network that reads drugs as graphs and not as fingerprints."""
BASELINES = (FLOOR, ADDITIVE, PAIR_MEAN, RIDGE, BOOSTING, f"{BOOSTING}{WRONG}")


@dataclass(frozen=True)
class DrugPrediction:
    """What one method predicts.

    Attributes:
        score: of every row, ``[N]``.
        choice: what was chosen on the validation part.
    """

    score: NDArray[np.float64]
    choice: str = ""


@dataclass(frozen=True, eq=False)
class DrugExperiment:
    """A screen and what is asked of it.

    Attributes:
        screen: the rows.
        settings: of the run.
        device: where networks run.
    """

    screen: DrugScreen
    settings: DrugsConfig
    device: torch.device

    @cached_property
    def fingerprint(self) -> NDArray[np.float32]:
        """Fingerprints of the drugs, ``[D, B]``."""
        screen, settings = self.screen, self.settings
        return fingerprints(screen.drugs, screen.smiles, bits=settings.bits, radius=settings.radius)

    @cached_property
    def structures(self) -> dict[str, Structures]:
        """What the networks read of the drugs, by the name of the network."""
        screen, conv, how = self.screen, self.settings.model.conv, self.settings.drug
        found = {conv: Structures(self.fingerprint)} if how != "graph" else {}
        if how != "fingerprint":
            found[f"{conv}{MOLECULES}"] = Structures(graphs=molecular_graphs(screen.drugs, screen.smiles))
        return found

    def check(self) -> None:
        """Read all structures, and build what is trained later, so that what is wrong is said before the work.

        Raises:
            DataError: a SMILES that cannot be read.
            ConfigError: a setting that the model cannot be built with.
        """
        from scgraph.drugs.training import build_network

        values = self.screen.expression[:, : self.settings.genes]
        for structures in self.structures.values():
            build_network(structures, values, np.arange(len(values)), self.settings, seed=0)

    def predict(self, fold: DrugFold, number: int) -> Iterator[tuple[str, DrugPrediction]]:
        """Let every method learn from a fold and predict all rows, one after another.

        Baselines learn from training and validation rows; the network learns from the training rows and chooses its
        epoch on the validation rows.
        """
        screen, settings, seed = self.screen, self.settings, self.settings.seed + number
        learn = fold.learn
        yield FLOOR, DrugPrediction(np.full(len(screen), screen.score[learn].mean()))
        yield ADDITIVE, DrugPrediction(additive(screen, learn))
        yield PAIR_MEAN, DrugPrediction(pair_and_line(screen, learn))
        wrong = wrong_lines(len(screen.lines), seed=seed)
        own, other = screen.expression, screen.expression[wrong]
        drugs = pair_features(self.fingerprint, screen.pairs)
        lines = np.unique(screen.line[learn])

        def features(expression: NDArray[np.float32], most: int | None = None) -> NDArray[np.float32]:
            parts = line_components(expression, lines, settings.components, seed=seed)
            return np.hstack([drugs[:, :most], parts[screen.line]])

        def boosted(expression: NDArray[np.float32]) -> DrugPrediction:
            # The sum of two bits says all that their difference says, to who can split it anywhere.
            return DrugPrediction(
                boosting(
                    features(expression, drugs.shape[1] // 2), screen.score, learn, trees=settings.trees, seed=seed
                )
            )

        yield RIDGE, DrugPrediction(ridge(features(own), screen.score, learn))
        yield from self._both(BOOSTING, boosted, own, other)
        for name, structures in self.structures.items():

            def trained(expression: NDArray[np.float32], structures: Structures = structures) -> DrugPrediction:
                found, epoch = fit_network(
                    screen, structures, expression, fold, settings, seed=seed, device=self.device
                )
                return DrugPrediction(found, f"epoch {epoch}")

            yield from self._both(name, trained, own, other)

    def _both(
        self,
        name: str,
        fit: Callable[[NDArray[np.float32]], DrugPrediction],
        own: NDArray[np.float32],
        other: NDArray[np.float32],
    ) -> Iterator[tuple[str, DrugPrediction]]:
        yield name, fit(own)
        if self.settings.wrong_lines:
            yield f"{name}{WRONG}", fit(other)
