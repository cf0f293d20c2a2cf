"""What is tried on the reference: components, the vectors of a model, and those of the model fine-tuned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from scgraph.annotate.features import FeatureMap
from scgraph.reporting.rows import FINE_TUNED
from scgraph.representations.base import ModelRepresentation
from scgraph.representations.components import ComponentBaselines
from scgraph.train.finetuning import finetune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scgraph.data import Cells, CellStore, Vocabulary
    from scgraph.models import SavedModel

__all__ = ["Candidate", "FineTuned", "Fixed", "component_candidates", "model_candidates"]

COMPONENTS = 50
_STOP_SHARE = 0.15
"""Share of the cells to learn from by whose loss a fine-tuning stops."""


class Candidate(Protocol):
    """Features of the reference that may depend on labels."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def sees_labels(self) -> bool:
        """Whether the features depend on labels."""
        ...

    def features(self, train: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the features of all cells of the reference `[n, C]`, from the labels of the rows `train` alone."""
        ...

    def final(self) -> tuple[FeatureMap, NDArray[np.float32]]:
        """Return the map of any cells to features, from the labels of all cells, and those of the reference."""
        ...


@dataclass(frozen=True, eq=False)
class Fixed:
    """Features that no label has a part in: computed once."""

    name: str
    map: FeatureMap
    x: NDArray[np.float32]
    sees_labels: bool = False

    def features(self, train: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the features, whatever is learned from."""
        return self.x

    def final(self) -> tuple[FeatureMap, NDArray[np.float32]]:
        """Return the map and the features."""
        return self.map, self.x


@dataclass(frozen=True, eq=False)
class FineTuned:
    """A model whose last layers are trained on the labels that may be seen."""

    name: str
    saved: SavedModel
    map: FeatureMap
    store: CellStore
    codes: NDArray[np.int64]
    seed: int
    device: str
    sees_labels: bool = True

    def features(self, train: NDArray[np.int64]) -> NDArray[np.float32]:
        """Fine-tune on some rows and embed all cells of the reference."""
        return self._tuned(train)(self.store)

    def final(self) -> tuple[FeatureMap, NDArray[np.float32]]:
        """Fine-tune on all cells."""
        tuned = self._tuned(np.arange(len(self.store)))
        return replace(self.map, representation=tuned), tuned(self.store)

    def _tuned(self, rows: NDArray[np.int64]) -> ModelRepresentation:
        order = np.random.default_rng(self.seed).permutation(rows)
        stop, train = np.split(order, [max(1, round(_STOP_SHARE * len(order)))])
        training = self.saved.training()
        model = finetune(
            self.saved.model,
            self.store,
            self.codes,
            train=train,
            validation=stop,
            classes=int(self.codes.max()) + 1,
            training=training,
            seed=self.seed,
            device=self.device,
        )
        return ModelRepresentation(self.name, model, training.model_copy(update={"device": self.device}), self.seed)


def component_candidates(
    store: CellStore, vocabulary: Vocabulary, names: Sequence[str], *, seed: int
) -> list[Candidate]:
    """Fit components by the names of their rows, on all cells of the reference and without labels.

    Raises:
        DataError: residuals are asked for, and the counts of a cell are not known.
    """
    fitted = ComponentBaselines(store, COMPONENTS, seed)
    candidates: list[Candidate] = []
    for name in names:
        features = FeatureMap(fitted.fit(name), vocabulary, own_totals=True)
        candidates.append(Fixed(name, features, features.representation(store)))
    return candidates


def model_candidates(
    saved: SavedModel, cells: Cells, codes: NDArray[np.int64], *, own_totals: bool, seed: int, device: str
) -> list[Candidate]:
    """Return a model as it is, and fine-tuned.

    Args:
        saved: the model.
        cells: the reference.
        codes: class of every cell `[n]`.
        own_totals: see `FeatureMap`.
        seed: of fine-tuning.
        device: where the model runs.
    """
    name = saved.model_config.name()
    training = saved.training().model_copy(update={"device": device})
    frozen = ModelRepresentation(name, saved.model, training, training.seed)
    features = FeatureMap(frozen, saved.vocabulary, own_totals=own_totals)
    store = features.store(cells)
    return [
        Fixed(name, features, frozen(store)),
        FineTuned(name + FINE_TUNED, saved, features, store, codes, seed, device),
    ]
