"""A row on one set and seed: trained as its idea says, scored on the validation part."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.objectives.ideas import DEFAULT
from scgraph.bench.uses.base import UseContext
from scgraph.bench.uses.few import DRAWS, INVERSE_PENALTY, draw_labelled
from scgraph.bench.uses.imputation import IMPUTATION
from scgraph.bench.uses.neighbors import NEAREST
from scgraph.bench.uses.shallow import thinned_store
from scgraph.data.sets.corpus import NO_CORPUS
from scgraph.data.sets.labelled import ProbeSet
from scgraph.data.sets.stores import make_stores
from scgraph.models import initial_model
from scgraph.reporting.statistics import score
from scgraph.representations.base import ModelRepresentation
from scgraph.representations.classifier import fit_classifier
from scgraph.train.finetuning import finetune
from scgraph.train.loader import make_loader
from scgraph.train.neighbors import targets_of
from scgraph.train.trainer import deterministic_on_cpu, make_trainer, quiet_lightning, resolve_device

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.objectives.ideas import Idea
    from scgraph.config import BenchConfig
    from scgraph.data.sets.splits import Split
    from scgraph.data.sets.stores import SetStores
    from scgraph.nn import CellModel

__all__ = ["SCORES", "SeenParts", "seen_parts"]

SCORES = {
    "labels": "all labels",
    "few": "5 labels a class",
    "shallow": "20 % of the depth",
    "purity": "purity of 15 neighbors",
    "imputation": "imputation, ridge on the vector",
}
"""What is scored, in the order of the table."""

_CHOOSE = 0.15
"""Share of the train part that penalties are chosen on and fine-tuning stops by, as the validation part is scored."""


@dataclass
class SeenParts:
    """The cells of a set and seed but for the test part, which is cut off before.

    Attributes:
        probe: train and validation part.
        split: rows of `probe`: `train` to fit on and `validation` to choose on, both of the train part of the set, and
            as `test` the validation part of the set.
        stores: `train` is the whole train part of the set, which is learned from.
        learned: rows of `probe` that are learned from.
        seed: of everything.
        shared: kept for other rows: models at their start, the default when it is trained.
    """

    probe: ProbeSet
    split: Split
    stores: SetStores
    learned: NDArray[np.int64]
    seed: int
    shared: dict[Any, Any] = field(default_factory=dict)

    def scores(self, idea: Idea, settings: BenchConfig) -> dict[str, float]:
        """Train a row and return what it reaches on the validation part, by `SCORES`."""
        config = settings.train_for(len(self.stores.train), seed=self.seed)
        model = self._fine_tuned(settings) if idea.kind == "fine_tuned" else self._trained(idea, settings)
        if idea.name == DEFAULT:
            self.shared["trained"] = model
        return self._scored(ModelRepresentation(idea.name, model, config, self.seed), settings)

    def _trained(self, idea: Idea, settings: BenchConfig) -> CellModel:
        with quiet_lightning():
            from lightning.pytorch import Callback
            from torch import random

            from benchmarks.objectives import parts
            from scgraph.train.module import PretrainingModule

        store, seed = self.stores.train, self.seed
        config = settings.train_for(len(store), seed=seed)
        model, vectors = self._start(settings)
        if idea.kind == "untrained":
            return model
        loader = make_loader(store, settings.model, config, shuffle=True, vectors=vectors)
        if idea.kind == "attention":
            model = parts.attention_model(model, settings.model.model_kwargs(), queries=int(idea.size), seed=seed)
        codes = self.probe.codes[self.learned]
        make: dict[str, Any] = {
            "cross_correlation": partial(parts.CrossCorrelation, loader=loader, weight=idea.size),
            "labelled": partial(parts.Labelled, codes=codes, classes=len(self.probe.classes), weight=idea.size),
        }
        if idea.kind == "batch_decoder":
            make[idea.kind] = partial(parts.BatchDecoder, batches=_batch_codes(self.probe)[self.learned])

        class NextEpoch(Callback):
            def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
                loader.seek(trainer.current_epoch + 1)

        device = resolve_device(config.device)
        with quiet_lightning(), deterministic_on_cpu(device), random.fork_rng(devices=[]):
            random.manual_seed(seed)
            steps = config.epochs * loader.steps
            module = make.get(idea.kind, PretrainingModule)(model, config=config, total_steps=steps)
            trainer = make_trainer(
                device,
                precision=config.precision,
                epochs=config.epochs,
                clip=config.clip,
                callbacks=[NextEpoch()],
                checkpoint_io=None,
            )
            loader.seek(0)
            trainer.fit(module, loader)
        assert module.steps_done == steps
        return model.cpu().float().eval().requires_grad_(requires_grad=True)

    def _start(self, settings: BenchConfig) -> tuple[CellModel, NDArray[np.float32] | None]:
        """Return the network as its training begins and where cells are drawn to, made once for equal settings."""
        config = settings.train_for(len(self.stores.train), seed=self.seed)
        free = {"batch_size", "epochs"}
        key = settings.model.model_dump_json() + config.model_dump_json(exclude=free)
        if key not in self.shared:
            model = initial_model(settings.model, config, self.stores.train)
            self.shared[key] = model, targets_of(model, config, self.stores.train, None)[0]
        model, vectors = self.shared[key]
        return copy.deepcopy(model), vectors

    def _fine_tuned(self, settings: BenchConfig) -> CellModel:
        return finetune(
            self.shared["trained"],
            self.stores.probe,
            self.probe.codes,
            train=self.split.train,
            validation=self.split.validation,
            classes=len(self.probe.classes),
            training=settings.train_for(len(self.stores.train), seed=self.seed),
            seed=self.seed,
        )

    def _scored(self, representation: ModelRepresentation, settings: BenchConfig) -> dict[str, float]:
        x, codes, split = representation(self.stores.probe), self.probe.codes, self.split
        truth = codes[split.test]
        classifier = fit_classifier(
            x[split.train], codes[split.train], x[split.validation], codes[split.validation],
            classes=len(self.probe.classes),
        )  # fmt: skip
        context = UseContext(self.probe, split, self.stores, self.seed, settings, x, classifier, self.shared)
        imputed = {row["level"]: row["value"] for row in IMPUTATION.measure(representation, context)}
        thinned = classifier.predict(representation(thinned_store(context, 0.2)))
        return {
            "labels": score(truth, classifier.predict(x[split.test]))["macro_f1"],
            "few": _few(x, codes, split, seed=self.seed),
            "shallow": score(truth, thinned)["macro_f1"],
            "purity": _purity(x, codes, self.learned, split.test),
            "imputation": imputed["ridge"],
        }


def seen_parts(probe: ProbeSet, split: Split, settings: BenchConfig, *, seed: int) -> SeenParts:
    """Cut the test part off, and make the stores of the rest.

    Args:
        probe: the labelled set.
        split: its parts.
        settings: of the bench.
        seed: of everything.
    """
    rows = np.sort(np.concatenate([split.train, split.validation]))
    seen = ProbeSet(probe.cells.subset(rows), probe.classes, probe.codes[rows])
    learned, scored = np.searchsorted(rows, split.train), np.searchsorted(rows, split.validation)
    choose = np.sort(np.random.default_rng(seed).choice(learned, round(_CHOOSE * len(learned)), replace=False))
    inner = replace(split, train=np.setdiff1d(learned, choose), validation=choose, test=scored)
    whole = replace(split, train=learned, validation=scored, test=scored)
    return SeenParts(
        seen, inner, make_stores(seen, whole, NO_CORPUS, settings, seed=seed, drop_leaks=True), learned, seed
    )


def _few(x: NDArray[np.float32], codes: NDArray[np.int64], split: Split, *, seed: int) -> float:
    """Macro-F1 with 5 labels a class, as `scgraph.bench.uses.few` has it, mean over its draws."""
    from sklearn.linear_model import LogisticRegression

    learned = x[split.train].astype(np.float64)
    mean, scale = learned.mean(0), np.sqrt(learned.var(0).mean()) or 1.0
    found = []
    for draw in range(DRAWS):
        picked = draw_labelled(codes[split.train], 5, seed=seed, draw=draw)
        model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
        model.fit((learned[picked] - mean) / scale, codes[split.train][picked])
        found.append(score(codes[split.test], model.predict((x[split.test] - mean) / scale))["macro_f1"])
    return float(np.mean(found))


def _purity(
    x: NDArray[np.float32], codes: NDArray[np.int64], among: NDArray[np.int64], asked: NDArray[np.int64]
) -> float:
    """Mean share of the 15 nearest cells of the train part that have the class of a cell of the validation part."""
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=min(NEAREST, len(among)), algorithm="brute").fit(x[among])
    nearest = among[model.kneighbors(x[asked], return_distance=False)]
    return float((codes[nearest] == codes[asked, None]).mean())


def _batch_codes(probe: ProbeSet) -> NDArray[np.int64]:
    assert probe.cells.batches is not None
    return np.unique(np.asarray(probe.cells.batches), return_inverse=True)[1].astype(np.int64)
