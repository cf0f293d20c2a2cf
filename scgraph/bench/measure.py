"""The protocol of the bench: one path for every row, be it a baseline or a model, untrained or pretrained."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.bench.baselines import gene_regression, majority
from scgraph.bench.results import results_csv, results_frame
from scgraph.bench.uses.base import UseContext
from scgraph.bench.uses.measure import measure_uses
from scgraph.bench.uses.summary import uses_csv, uses_frame
from scgraph.config import ProbeConfig
from scgraph.data.components import counts_known, fitted_rows
from scgraph.errors import DataError
from scgraph.files import file_name, write_atomic
from scgraph.memory import memory_of_model
from scgraph.models import initial_model
from scgraph.nn import GeneConv
from scgraph.nn.conv.registry import conv_class
from scgraph.reporting.digits import four_digits
from scgraph.reporting.rows import BASELINES, BESIDE, FINE_TUNED, PAIR, REGRESSION, UNTRAINED, WITH_MODEL
from scgraph.reporting.statistics import score
from scgraph.representations.base import ModelRepresentation, SideBySide
from scgraph.representations.classifier import INVERSE_PENALTIES, fit_classifier, fit_probe
from scgraph.representations.components import NEEDS_COUNTS, ComponentBaselines
from scgraph.train import pretrain
from scgraph.train.finetuning import finetune

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from scgraph.bench.plan import BenchPlan, PlannedSet
    from scgraph.data import Network
    from scgraph.data.sets.stores import SetStores
    from scgraph.nn import CellModel
    from scgraph.representations.base import Representation
    from scgraph.train import Pretrained

__all__ = ["PENALTIES", "Measured", "measure", "penalties_note"]


_BLOCK = 2**12
"""Cells whose genes are in memory at a time."""

PENALTIES = "C chosen on the validation part"
"""What the note on penalties begins with, behind the name of a set."""


@dataclass
class Measured:
    """Everything a bench measured, before it is summarised and drawn.

    Attributes:
        rows: one a model, dataset, split and seed.
        histories: pretraining losses, one frame a pretraining, with dataset, model and seed.
        truths: class codes of the test part of the first seed, by dataset.
        features: features of those cells, by dataset and model.
        predictions: predicted codes of those cells, by dataset and row.
        uses: rows of `scgraph.bench.uses.summary.uses_frame`.
        notes: what must be said aloud.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    histories: list[pd.DataFrame] = field(default_factory=list)
    truths: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    features: dict[tuple[str, str], NDArray[np.float32]] = field(default_factory=dict)
    predictions: dict[tuple[str, str], NDArray[np.int64]] = field(default_factory=dict)
    uses: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a note once."""
        if text not in self.notes:
            self.notes.append(text)


def measure(
    plan: BenchPlan,
    *,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    show_progress: bool = False,
) -> Measured:
    """Run the protocol.

    For each set and seed: the parts are fixed first; baselines are fitted, without labels, on the cells that models
    learn from; each model is a row as it was initialised and another after pretraining. The features of every row go
    through the same probe (models in one of their own where the settings say so), and the test part is scored once a
    row.

    Args:
        plan: models, sets and settings, from `scgraph.bench.plan.plan_bench`.
        folder: where to save the models of the first seed, and the rows after every model.
        say: told what has been done.
        show_progress: show a bar while a model is pretrained.

    Raises:
        TrainingError: memory does not suffice for a model, or its loss is no number.
    """
    measured = Measured()
    for note in plan.notes:
        measured.note(note)
    for name, own in plan.models.items():
        if any(conv_class(conv).multiply_adds is GeneConv.multiply_adds for conv in own.model.convs()):
            measured.note(
                f"{name}: its multiply-adds are counted in a run: products of matrices, not the weighing and adding "
                "of messages."
            )
    seeds = plan.settings.repetitions
    total = len(plan.sets) * len(seeds) * (1 + len(plan.models))
    done = 0
    shared: dict[tuple[str, int], _Learned] = {}
    for planned in plan.sets:
        probe = planned.probe
        for seed in seeds:
            prepared, network = plan.stores(planned, seed)
            run = _Run(measured, plan, planned, prepared, seed, shared)
            for note in prepared.notes:
                measured.note(note if len(seeds) == 1 else f"{note[:-1]} (seed {seed})." if "corpus" in note else note)
            for note in network.notes if network is not None and run.first else ():
                measured.note(f"{probe.cells.name}: {note}.")
            done += 1
            run.baselines()
            say(f"[{done}/{total}] {probe.cells.name}, seed {seed}: {run.last_scores()}")
            for name in plan.models:
                done += 1
                kept = folder if run.first else None
                saved = None if kept is None else kept / "models" / f"{probe.cells.name}-{file_name(name)}"
                with memory_of_model(name):
                    run.model(name, network, saved, show_progress=show_progress)
                if folder is not None:  # an hour's rows outlive a Ctrl-C
                    write_atomic(folder / "results.csv", results_csv(results_frame(measured.rows)))
                    if measured.uses:
                        write_atomic(folder / "uses.csv", uses_csv(uses_frame(measured.uses)))
                say(f"[{done}/{total}] {probe.cells.name}, seed {seed}: {run.last_scores()}")
        penalties = penalties_note(probe.cells.name, measured.rows)
        if penalties:
            measured.note(penalties)
    return measured


def penalties_note(dataset: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what `fit_classifier` chose for the rows of a set, and how often at the border of its grid."""
    chosen: dict[str, list[float]] = {}
    for row in rows:
        if row["dataset"] == dataset and "scaling" in row:
            chosen.setdefault(row["model"], []).append(row["inverse_penalty"])
    if not chosen:
        return ""
    least, most = min(INVERSE_PENALTIES), max(INVERSE_PENALTIES)
    every = [one for values in chosen.values() for one in values]
    border = sum(one in (least, most) for one in every)
    listed = "; ".join(f"{name} {', '.join(f'{one:g}' for one in values)}" for name, values in chosen.items())
    text = f"{dataset}: {PENALTIES} (of {least:g} to {most:g}): {listed}"
    return f"{text}; {border} of {len(every)} on the border." if border else f"{text}."


@dataclass
class _Learned:
    """What a model is before and after pretraining, and the set that it was first made for."""

    dataset: str
    start: CellModel
    trained: Pretrained | None = None
    seconds: float = 0.0


class _Run:
    """One set and seed."""

    def __init__(
        self,
        measured: Measured,
        plan: BenchPlan,
        planned: PlannedSet,
        prepared: SetStores,
        seed: int,
        shared: dict[tuple[str, int], _Learned],
    ) -> None:
        self.measured = measured
        self.plan = plan
        self.probe = planned.probe
        self.uses = planned.uses
        self.shared_by_uses: dict[tuple[Any, ...], Any] = {}
        self.shared = shared if prepared.whole_corpus else {}
        self.prepared = prepared
        self.seed = seed
        self.name = planned.probe.cells.name
        self.split = planned.splits[seed]
        self.components = ComponentBaselines(prepared.train, plan.settings.components, seed)
        self.first_row = len(measured.rows)
        measured.note(f"{self.name}: {self.split.how}")
        self.first = seed == plan.settings.first_seed
        if self.first:
            measured.truths[self.name] = self._codes(self.split.test)

    def last_scores(self) -> str:
        """Return what the rows of the last step show, in a line."""
        rows, self.first_row = self.measured.rows[self.first_row :], len(self.measured.rows)
        return ", ".join(f"{row['model']} macro-F1 {four_digits(row['macro_f1'])}" for row in rows)

    def baselines(self) -> None:
        """Add the rows that no model is needed for."""
        for name in (name for name in BASELINES if name in self.plan.settings.baselines):
            if name == "majority":
                self._add(name, majority(self._codes(self.split.train), len(self.split.test)))
            elif name == "logreg":
                self._gene_regression_row(name)
            else:
                self._components_row(name)

    def _gene_regression_row(self, name: str) -> None:
        """Add the row of the genes themselves, fitted on as many cells as components are at most."""
        split, store = self.split, self.prepared.probe
        train, validation = (part[fitted_rows(len(part), seed=self.seed)] for part in (split.train, split.validation))
        known = store.subset(train).matrix(), self._codes(train)
        chosen_on = store.subset(validation).matrix(), self._codes(validation)
        regression = gene_regression(*known, *chosen_on)
        blocks = [split.test[first : first + _BLOCK] for first in range(0, len(split.test), _BLOCK)]
        predictions = np.concatenate([regression.predict(store.subset(rows).matrix()) for rows in blocks])
        self._add(name, predictions.astype(np.int64), inverse_penalty=regression.C)

    @cached_property
    def _counts_known(self) -> bool:
        """Whether the counts of all labelled cells are known."""
        return counts_known(self.prepared.probe)

    def _components_row(self, name: str, *, beside: Representation | None = None) -> None:
        """Add a row of components, alone or those of `PAIR` beside another representation."""
        components = name if beside is None else PAIR
        known = components not in NEEDS_COUNTS or self._counts_known
        try:
            representation = self.components.fit(components) if known else None
        except DataError:
            if components not in NEEDS_COUNTS:
                raise
            representation = None
        if representation is None:
            self.measured.note(f"{self.name}: {name} needs counts, which its values do not tell, and is left out.")
            return
        if beside is not None:
            representation = SideBySide.fit(name, (representation, beside), self.prepared.train)
        self.row(representation, ProbeConfig(kind="logistic"))

    def model(self, name: str, network: Network | None, folder: Path | None, *, show_progress: bool) -> None:
        """Add the rows of one model: untrained, pretrained and, where it is asked for, fine-tuned."""
        settings, prepared = self.plan.models[name], self.prepared
        train_config = settings.train_for(len(prepared.train), seed=self.seed)
        if train_config.epochs < settings.train.epochs:
            of = f" of {name}" if name in self.plan.settings.train_per_model else ""
            runs = f"{train_config.epochs} epoch{'s' * (train_config.epochs != 1)}"
            self.measured.note(
                f"{self.name}: pretraining{of} runs for {runs} instead of "
                f"{settings.train.epochs}, to take about {settings.max_steps:,} steps (max_steps)."
            )
        learned = self.shared.get((name, self.seed))
        if learned is None:
            start = initial_model(settings.model, train_config, prepared.train, network=network)
            learned = self.shared[name, self.seed] = _Learned(self.name, start)
        untrained = ModelRepresentation(name + UNTRAINED, learned.start, train_config, self.seed)
        self.row(untrained, settings.probe, parameters=untrained.parameters)
        if learned.trained is None:
            started = time.perf_counter()
            learned.trained = pretrain(
                settings.model,
                train_config,
                prepared.train,
                prepared.validation,
                out=folder,
                progress=show_progress,
                manifest={"set": self.probe.cells.manifest, "leaks": prepared.leaks},
                network=network,
            )
            learned.seconds = time.perf_counter() - started
        if learned.dataset != self.name:
            self.measured.note(
                f"{self.name}: {name} is the model of {learned.dataset}, which learned from the same cells."
            )
        trained = learned.trained
        history = trained.history.assign(dataset=self.name, model=name, seed=self.seed)
        self.measured.histories.append(history)
        last = history.iloc[-1]
        pretrained = ModelRepresentation(name, trained.model, train_config, self.seed)
        self.row(
            pretrained,
            settings.probe,
            parameters=pretrained.parameters,
            seconds_pretrain=learned.seconds,
            loss=float(last["train_loss"]),
            validation_loss=float(last["validation_loss"]),
            mvp_loss=float(last["train_mvp_loss"]),
            validation_mvp_loss=float(last["validation_mvp_loss"]),
            epochs=int(last["epoch"]) + 1,
        )
        if self.plan.settings.fine_tuned:
            self._fine_tuned_row(pretrained, settings.probe)
        if WITH_MODEL in self.plan.settings.baselines and name == next(iter(self.plan.models)):
            self._components_row(BESIDE + name, beside=pretrained)

    def _fine_tuned_row(self, pretrained: ModelRepresentation, probe: ProbeConfig) -> None:
        """Add the row of a model whose last layers learn from labels of the train part, stopped by the validation part.

        It is asked no uses: those ask what features are worth that have seen no label.
        """
        tuned = finetune(
            pretrained.model,
            self.prepared.probe,
            self.probe.codes,
            train=self.split.train,
            validation=self.split.validation,
            classes=len(self.probe.classes),
            training=pretrained.train,
            seed=self.seed,
            device=pretrained.train.device,
        )
        representation = replace(pretrained, name=pretrained.name + FINE_TUNED, model=tuned)
        self.row(representation, probe, ask_uses=False, parameters=representation.parameters)

    def row(self, representation: Representation, probe: ProbeConfig, *, ask_uses: bool = True, **more: Any) -> None:
        """Add the row of a representation: its features of the labelled cells, probed."""
        features, split = representation(self.prepared.probe), self.split
        train = features[split.train], self._codes(split.train)
        validation = features[split.validation], self._codes(split.validation)
        classes = len(self.probe.classes)
        found = fit_probe(*train, *validation, features[split.test], probe, classes=classes, seed=self.seed)
        self._add(representation.name, found.test_predictions, **found.chosen, **more)
        if self.first:
            if isinstance(representation, ModelRepresentation) or representation.name == REGRESSION:
                self.measured.features[self.name, representation.name] = features[split.test]
            self.measured.predictions[self.name, representation.name] = found.test_predictions
        if self.uses and ask_uses:
            context = UseContext(
                probe=self.probe,
                split=split,
                stores=self.prepared,
                seed=self.seed,
                settings=self.plan.settings,
                features=features,
                classifier=found.classifier or fit_classifier(*train, *validation, classes=classes),
                shared=self.shared_by_uses,
            )
            self.measured.uses += measure_uses(self.uses, representation, context)

    def _add(self, model: str, predictions: NDArray[np.int64], **more: Any) -> None:
        self.measured.rows.append(
            {
                "dataset": self.name,
                "split": self.split.kind,
                "seed": self.seed,
                "model": model,
                **score(self._codes(self.split.test), predictions),
                "n_train": len(self.split.train),
                "n_validation": len(self.split.validation),
                "n_test": len(self.split.test),
                **more,
            }
        )

    def _codes(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.probe.codes[rows]
