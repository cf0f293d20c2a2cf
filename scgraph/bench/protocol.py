"""The protocol of the bench: split, baselines, and every model untrained and pretrained under one probe."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scgraph.bench.baselines import INVERSE_PENALTIES, majority, pca_logreg
from scgraph.bench.inputs import ProbeSet, corpus_notes, on_genes_of, prepare, split_of
from scgraph.bench.results import REGRESSION, UNTRAINED, results_csv, results_frame
from scgraph.bench.statistics import score
from scgraph.config import BenchConfig, ModelConfig, ProbeConfig, TrainConfig, merged, parse_config
from scgraph.errors import ConfigError
from scgraph.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from scgraph.bench.inputs import Prepared
    from scgraph.data import Cells, CellStore, GeneEdges
    from scgraph.nn import GeneModel

__all__ = ["Measured", "measure", "model_configs", "settings_of"]

BUILT_IN = "scgraph.nn.conv."


@dataclass
class Measured:
    """Everything a bench measured, before it is summarised and drawn.

    Attributes:
        rows: one a model, dataset, split and seed.
        histories: pretraining losses, one frame a pretraining, with dataset, model and seed.
        truths: class codes of the test part of the first seed, by dataset.
        features: features of those cells, by dataset and model.
        predictions: predicted codes of those cells, by dataset and model.
        notes: what must be said aloud.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    histories: list[pd.DataFrame] = field(default_factory=list)
    truths: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    features: dict[tuple[str, str], NDArray[np.float32]] = field(default_factory=dict)
    predictions: dict[tuple[str, str], NDArray[np.int64]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a note once."""
        if text not in self.notes:
            self.notes.append(text)


def model_configs(models: Sequence[str], config: BenchConfig) -> dict[str, ModelConfig]:
    """Return the settings of each model: those of all, and what differs for one.

    Raises:
        ConfigError: an unknown model, a setting out of range or one its convolution does not take.
        ContractError: a layer that is not of the zoo fails on a small batch, or gives another shape back.
    """
    import torch

    from scgraph.nn import build_model
    from scgraph.nn.asymmetric import decoder_width
    from scgraph.nn.conv.pyg import PyGConv
    from scgraph.registry import conv_class
    from scgraph.testing import try_out
    from scgraph.train.network import with_network

    configs = {}
    for name in models:
        own = configs[name] = settings_of(name, config).model
        # Both say what is wrong before an hour of training does.
        with torch.device("meta"):
            build_model(2, **own.model_kwargs())
        if config.graph is None:
            with_network(own, None)  # refuses settings that need a network
        elif own.asymmetric and _reads_graph(own):
            raise ConfigError(f"graph: {name} takes no gene network, as its decoder sees all genes of a panel.")
        widths = (own.channels, own.decoder_channels or decoder_width(own.channels))
        options_of = (own.conv_options, own.decoder_options)
        for conv, width, options in zip(own.convs(), widths, options_of, strict=False):
            cls = conv_class(conv)
            if not cls.__module__.startswith(BUILT_IN) or issubclass(cls, PyGConv):
                with torch.random.fork_rng(devices=[]):
                    try_out(cls(width, **options))
    if config.graph is not None and not any(map(_reads_graph, configs.values())):
        raise ConfigError("graph: no model makes use of it; set model.restricted to true, or model.positional.")
    return configs


def _reads_graph(config: ModelConfig) -> bool:
    return config.restricted or config.positional != "none"


def settings_of(name: str, config: BenchConfig) -> BenchConfig:
    """Return the configuration as one model sees it: what differs for that model laid over what holds for all.

    Between the two lies what a preset brings; the convolution, and whether there is a decoder, follow from the name.

    Raises:
        ConfigError: an unknown model or setting, or one out of range.
    """
    from scgraph.registry import model_name

    named = model_name(name)
    fixed = {"conv": named.conv, "asymmetric": named.asymmetric}
    source, parts = f"model {name}", {}
    for part, cls, own in (
        ("model", ModelConfig, config.per_model),
        ("train", TrainConfig, config.train_per_model),
        ("probe", ProbeConfig, config.probe_per_model),
    ):
        general = getattr(config, part).model_dump()
        special = own.get(name, own.get(named.key, {}))
        usual, fix = (named.usual, fixed) if part == "model" else ({}, {})
        laid_over = merged(general, dict(usual), special, fix)
        parts[part] = parse_config(cls, laid_over, source=source).model_dump()
    alone: dict[str, Any] = {"per_model": {}, "train_per_model": {}, "probe_per_model": {}}
    return parse_config(BenchConfig, {**config.model_dump(), **parts, **alone}, source=source)


def measure(
    configs: dict[str, ModelConfig],
    sets: Sequence[ProbeSet],
    corpus: Sequence[Cells] | CellStore,
    config: BenchConfig,
    *,
    graph: GeneEdges | None = None,
    drop_leaks: bool = True,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    show_progress: bool = False,
) -> Measured:
    """Run the protocol.

    For each set and seed: the parts are fixed first; baselines are fitted on the train part; each model is
    probed as it was initialised and again after pretraining. The test part is scored once a row.

    Args:
        configs: settings by model, from `model_configs`.
        sets: labelled sets.
        corpus: cells to pretrain on, or a store of them; none: the train part of each set.
        config: sizes, rates and shares.
        graph: gene network of the models that are restricted to it or take hints from it.
        drop_leaks: leave corpus cells out that stand in a test part.
        folder: where to save the models of the first seed, and the rows after every model.
        say: told what has been done.
        show_progress: show a bar while a model is pretrained.
    """
    from scgraph.nn import GeneConv
    from scgraph.registry import conv_class

    measured = Measured()
    for probe in sets:
        for note in probe.cells.notes:
            measured.note(f"{probe.cells.name}: {note}")
    for note in corpus_notes(corpus):
        measured.note(note)
    for name, own in configs.items():
        if any(conv_class(conv).multiply_adds is GeneConv.multiply_adds for conv in own.convs()):
            measured.note(
                f"{name}: its multiply-adds are counted in a run: products of matrices, not the weighing and adding "
                "of messages."
            )
    total = len(sets) * config.seeds * (1 + len(configs))
    done = 0
    for probe in sets:
        for seed in range(config.seeds):
            run = _Run(measured, probe, config, seed, graph)
            done += 1
            run.baselines()
            say(f"[{done}/{total}] {probe.cells.name}, seed {seed}: {run.said()}")
            prepared = prepare(probe, run.split, corpus, config, seed=seed, drop_leaks=drop_leaks)
            for note in prepared.notes:
                measured.note(
                    note if config.seeds == 1 else f"{note[:-1]} (seed {seed})." if "corpus" in note else note
                )
            network = on_genes_of(graph, prepared.train)
            for note in () if network is None or seed else network.notes:
                measured.note(f"{probe.cells.name}: {note}.")
            for name, model_config in configs.items():
                done += 1
                saved = None if folder is None or seed else folder / "models" / f"{probe.cells.name}-{_safe(name)}"
                run.model(name, model_config, prepared, saved, show_progress=show_progress)
                if folder is not None:  # an hour's rows outlive a Ctrl-C
                    write_atomic(folder / "results.csv", results_csv(results_frame(measured.rows)))
                say(f"[{done}/{total}] {probe.cells.name}, seed {seed}: {run.said()}")
        measured.note(_said_of_penalties(probe.cells.name, measured.rows))
    return measured


def _said_of_penalties(dataset: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """What logistic regression chose on the validation part, and whether a wider grid might have served it better."""
    chosen = [row["inverse_penalty"] for row in rows if (row["dataset"], row["model"]) == (dataset, REGRESSION)]
    least, most = min(INVERSE_PENALTIES), max(INVERSE_PENALTIES)
    border = sum(one in (least, most) for one in chosen)
    text = f"{dataset}: {REGRESSION} chose C = {', '.join(f'{one:g}' for one in chosen)} (of {least:g} to {most:g})"
    return f"{text}, {border} of {len(chosen)} on the border." if border else f"{text}."


class _Run:
    """One set and seed."""

    def __init__(
        self, measured: Measured, probe: ProbeSet, config: BenchConfig, seed: int, graph: GeneEdges | None
    ) -> None:
        self.measured = measured
        self.probe = probe
        self.config = config
        self.seed = seed
        self.graph = graph
        self.name = probe.cells.name
        self.split = split_of(probe, config, seed=seed)
        self.first_row = len(measured.rows)
        measured.note(f"{self.name}: {self.split.how}")
        if seed == 0:
            measured.truths[self.name] = self._codes(self.split.test)

    def said(self) -> str:
        """Return what the rows of the last step show, in a line."""
        rows, self.first_row = self.measured.rows[self.first_row :], len(self.measured.rows)
        return ", ".join(f"{row['model']} macro-F1 {row['macro_f1']:.3f}" for row in rows)

    def baselines(self) -> None:
        """Add the rows `majority` and `pca+logreg`."""
        split = self.split
        train_y, validation_y = self._codes(split.train), self._codes(split.validation)
        self._add("majority", majority(train_y, len(split.test)).predictions)
        x = self.probe.cells.normalized()
        found = pca_logreg(
            x[split.train],
            train_y,
            x[split.validation],
            validation_y,
            x[split.test],
            components=self.config.components,
            seed=self.seed,
        )
        self._add(REGRESSION, found.predictions, inverse_penalty=found.inverse_penalty)
        if self.seed == 0:
            self.measured.predictions[self.name, REGRESSION] = found.predictions

    def model(
        self,
        name: str,
        model_config: ModelConfig,
        prepared: Prepared,
        folder: Path | None,
        *,
        show_progress: bool,
    ) -> None:
        """Add the rows of one model, untrained and pretrained."""
        from scgraph.train import first_model, pretrain

        settings = settings_of(name, self.config)
        train_config = settings.train_for(len(prepared.train), seed=self.seed)
        if train_config.epochs < settings.train.epochs:
            of = f" of {name}" if name in self.config.train_per_model else ""
            self.measured.note(
                f"{self.name}: pretraining{of} runs for {train_config.epochs} epochs instead of "
                f"{settings.train.epochs}, to take about {self.config.max_steps:,} steps (max_steps)."
            )
        network = on_genes_of(self.graph, prepared.train)
        blank = first_model(model_config, train_config, prepared.train, network=network)
        self._probe(name + UNTRAINED, blank, prepared, train_config, settings.probe)
        start = time.perf_counter()
        trained = pretrain(
            model_config,
            train_config,
            prepared.train,
            prepared.validation,
            out=folder,
            progress=show_progress,
            manifest={"set": self.probe.cells.manifest, "leaks": prepared.leaks},
            network=network,
        )
        seconds = time.perf_counter() - start
        history = trained.history.assign(dataset=self.name, model=name, seed=self.seed)
        self.measured.histories.append(history)
        last = history.iloc[-1]
        self._probe(
            name,
            trained.model,
            prepared,
            train_config,
            settings.probe,
            seconds_pretrain=seconds,
            mvp_loss=float(last["train_mvp_loss"]),
            validation_mvp_loss=float(last["validation_mvp_loss"]),
            epochs=int(last["epoch"]) + 1,
        )

    def _probe(
        self, name: str, model: GeneModel, prepared: Prepared, train: TrainConfig, probe: ProbeConfig, **more: Any
    ) -> None:
        from scgraph.train import embed, linear_probe

        features = embed(model, prepared.probe, genes=train.genes_to_embed(), seed=self.seed, device=train.device)
        split = self.split
        found = linear_probe(
            features[split.train],
            self._codes(split.train),
            features[split.validation],
            self._codes(split.validation),
            features[split.test],
            probe,
            classes=len(self.probe.classes),
            seed=self.seed,
        )
        self._add(name, found.test_predictions, parameters=sum(p.numel() for p in model.parameters()), **more)
        if self.seed == 0:
            self.measured.features[self.name, name] = features[split.test]
            self.measured.predictions[self.name, name] = found.test_predictions

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


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
