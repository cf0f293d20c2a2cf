"""What a bench will do, with everything refused that can be refused before the first model is trained."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scgraph.data.sets.corpus import network_on
from scgraph.data.sets.labelled import notes_on_equal_splits, split_of
from scgraph.data.sets.stores import make_stores
from scgraph.errors import ConfigError, argument
from scgraph.train import resolve_device
from scgraph.train.distributed.world import find_world
from scgraph.train.neighbors import integrates, integration_note
from scgraph.train.views import check_counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scgraph.bench.uses import Use
    from scgraph.config import BenchConfig
    from scgraph.data import CellStore, GeneEdges, Network
    from scgraph.data.sets.corpus import Corpus
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.data.sets.splits import Split
    from scgraph.data.sets.stores import SetStores

__all__ = ["BenchPlan", "PlannedSet", "check_machine", "plan_bench"]


@dataclass(frozen=True)
class PlannedSet:
    """A labelled set and how it is divided.

    Attributes:
        probe: the set.
        splits: its parts, by seed.
        first: the stores of the first seed, which were made to see that they can be; None where they would be a
            further copy of the files of a corpus, and are made again.
        on_first: the gene network on the vocabulary of the first seed.
        uses: what representations of it are asked.
    """

    probe: ProbeSet
    splits: Mapping[int, Split]
    first: SetStores | None
    on_first: Network | None
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True)
class BenchPlan:
    """All that is measured and drawn from: made once, handed on.

    Attributes:
        models: settings of each model, by its name.
        settings: what holds for all.
        sets: labelled sets, divided.
        corpus: cells to pretrain on, or a store of them; none: the train part of each set.
        network: gene network of the models that are restricted to it or take hints from it.
        drop_leaks: corpus cells that stand in a test part are left out.
        notes: what must be said of sets, corpus and splits.
        warnings: what is said before the work, and stands in `notes` too: settings without an effect, uses that a set
            cannot serve.
    """

    models: dict[str, BenchConfig]
    settings: BenchConfig
    sets: tuple[PlannedSet, ...]
    corpus: Corpus
    network: GeneEdges | None
    drop_leaks: bool
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def measured_on(self) -> tuple[CellStore, Network] | None:
        """Cells that costs are measured on, and the network on their genes; None without a network."""
        first, on_first = self.sets[0].first, self.sets[0].on_first
        return None if first is None or on_first is None else (first.train, on_first)

    def stores(self, planned: PlannedSet, seed: int) -> tuple[SetStores, Network | None]:
        """Return the stores of a set and seed, and the network on their genes; the first may be there already."""
        first = seed == self.settings.first_seed
        if first and planned.first is not None:
            return planned.first, planned.on_first
        stores = make_stores(
            planned.probe, planned.splits[seed], self.corpus, self.settings, seed=seed, drop_leaks=self.drop_leaks
        )
        return stores, planned.on_first if first else network_on(self.network, stores.train)


def check_machine(settings: BenchConfig) -> None:
    """Refuse a bench that this process, its devices or its packages cannot run, before any cells are read.

    Raises:
        ConfigError: as said.
    """
    if find_world(settings.train.devices, settings.train.nodes).launcher != "none":
        raise ConfigError(
            "bench runs as one process, which starts others for its pretrainings: leave torchrun or srun out and say "
            f"{argument('devices')}. On several machines, use scgraph pretrain there and scgraph probe afterwards."
        )
    resolve_device(settings.train.device)
    if settings.projection == "umap" and importlib.util.find_spec("umap") is None:
        raise ConfigError("projection umap needs the package umap-learn: install scgraph-zoo[umap], or use tsne.")


def plan_bench(
    models: dict[str, BenchConfig],
    sets: Sequence[ProbeSet],
    corpus: Corpus,
    settings: BenchConfig,
    *,
    network: GeneEdges | None = None,
    drop_leaks: bool = True,
    uses: Sequence[Use] = (),
) -> BenchPlan:
    """Make the plan of a bench from cells that were read.

    Args:
        models: settings of each model, from `settings_by_model`.
        sets: labelled sets.
        corpus: cells to pretrain on, or a store of them; none: the train part of each set.
        settings: sizes, rates and shares.
        network: gene network of the models that are restricted to it or take hints from it.
        drop_leaks: leave corpus cells out that stand in a test part.
        uses: what representations are asked; what a set cannot serve is left out of it, with a note.

    Raises:
        ConfigError: a store is asked for highly variable genes.
        DataError: a set cannot be divided, its genes do not match, or its counts are not known where they are thinned.
    """
    planned: list[PlannedSet] = []
    warnings = list(dict.fromkeys(note for own in models.values() if (note := own.probe.without_effect())))
    notes = [f"{probe.cells.name}: {note}" for probe in sets for note in probe.cells.notes] + [*corpus.notes]
    for probe in sets:
        splits = {seed: split_of(probe, settings, seed=seed) for seed in settings.repetitions}
        notes += notes_on_equal_splits(probe.cells.name, tuple(splits.values()))
        first = make_stores(
            probe, splits[settings.first_seed], corpus, settings, seed=settings.first_seed, drop_leaks=drop_leaks
        )
        if any(own.train.thinning is not None for own in models.values()):
            check_counts(first.train)
        on_first = network_on(network, first.train)
        trainings = [own.train for own in models.values()]
        named = probe.cells.batches is not None
        if note := integration_note(trainings, first.train, batches_named=named, corpus=bool(corpus.names)):
            corrected = any(integrates(training, first.train) for training in trainings)
            warnings.append(f"{probe.cells.name}: {note}" + ("; baselines are told no batch" if corrected else ""))
        light = not corpus.copied or not planned
        refused = {use.name: use.refuse(probe, settings) for use in uses}
        warnings += [f"{probe.cells.name}: {name} is left out: {why}" for name, why in refused.items() if why]
        served = tuple(use for use in uses if refused[use.name] is None)
        planned.append(PlannedSet(probe, splits, first if light else None, on_first, served))
    every = (*notes, *warnings)
    return BenchPlan(models, settings, tuple(planned), corpus, network, drop_leaks, every, tuple(warnings))
