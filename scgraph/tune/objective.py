"""What a trial does: pretrain a model on the train parts and measure it on the validation parts."""

from __future__ import annotations

import gc
import hashlib
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.data.sets.corpus import read_corpus, read_gene_network
from scgraph.data.sets.labelled import read_probe_sets, split_of
from scgraph.data.sets.stores import make_stores
from scgraph.errors import ContractError, ScgraphError, TrainingError
from scgraph.memory import is_out_of_memory, limited_memory
from scgraph.models import build_model
from scgraph.nn import Restriction
from scgraph.representations.classifier import fit_probe
from scgraph.train import embed, pretrain, resolve_device, validation_loss
from scgraph.tune.config import DIRECTIONS
from scgraph.tune.space import trial_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from scgraph.config import BenchConfig, ProbeConfig, TrainConfig
    from scgraph.data import CellStore, GeneEdges, Network
    from scgraph.data.sets.corpus import Corpus
    from scgraph.data.sets.labelled import ProbeSet, SpooledSet
    from scgraph.nn import CellModel
    from scgraph.train import Pretrained
    from scgraph.tune.plan import SearchPlan

__all__ = ["Objective", "Outcome", "Parts", "data_identity", "parts_of", "read_data", "validation_macro_f1"]


@dataclass(frozen=True)
class Outcome:
    """What a trial measured.

    Attributes:
        values: one an objective, in the order of `DIRECTIONS`.
        attributes: further numbers to keep with the trial.
    """

    values: tuple[float, ...]
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """What trials see of a set: the cells to pretrain on, and the train and validation part of the labelled cells.

    The test part is not here: it is cut off before any trial begins.
    """

    name: str
    train: CellStore
    validation: CellStore
    probe_train: CellStore
    probe_validation: CellStore
    train_codes: NDArray[np.int64]
    validation_codes: NDArray[np.int64]
    classes: int
    how: str = ""


def read_data(job: SearchPlan) -> tuple[list[SpooledSet], Corpus]:
    """Read the labelled sets and the corpus of a job.

    Raises:
        DataError: a file cannot be used as it is.
    """
    sets = read_probe_sets(
        job.data,
        layer=job.layer,
        values=job.values,
        label=job.label,
        batch_key=job.batch_key,
        drop_classes_below=job.bench.drop_classes_below,
    )
    return sets, read_corpus(job.corpus, layer=job.layer, values=job.values)


def data_identity(sets: Sequence[ProbeSet], corpus: Corpus, graph: GeneEdges | None = None) -> dict[str, str]:
    """Return what the data of a study are: name, number of cells, hash of file, classes, batches, gene network."""
    identity = {}
    for number, probe in enumerate(sets, 1):
        digest = hashlib.sha256(str(probe.cells.manifest["sha256"]).encode())
        for column in (probe.cells.labels, probe.cells.batches):
            digest.update(repr(None if column is None else list(column)).encode())
        cells = probe.cells.manifest
        identity[f"data {number}"] = (
            f"{probe.cells.name}, {len(probe.cells):,} cells, {len(probe.classes)} classes of {cells['label']}, "
            f"batches of {cells['batch_key']}, layer {cells['layer']}, "
            f"{'' if cells['values'] is None else cells['values'] + ' values, '}{digest.hexdigest()[:16]}"
        )
    for number, source in enumerate(corpus.manifests, 1):
        name, sha256 = Path(str(source["source"])).name, str(source.get("sha256"))[:16]
        identity[f"corpus {number}"] = f"{name}, {source.get('cells')} cells, {sha256}"
    if graph is not None:
        identity["network"] = graph.described
    return identity


def parts_of(probe: ProbeSet, corpus: Corpus, config: BenchConfig, *, seed: int, drop_leaks: bool = True) -> Parts:
    """Return what trials see of a set; corpus cells that stand in the test part are left out unless told otherwise.

    Raises:
        DataError: the set cannot be divided, or genes do not match.
    """
    split = split_of(probe, config, seed=seed)
    prepared = make_stores(probe, split, corpus, config, seed=seed, drop_leaks=drop_leaks)
    return Parts(
        probe.cells.name,
        prepared.train,
        prepared.validation,
        prepared.probe.subset(split.train),
        prepared.probe.subset(split.validation),
        probe.codes[split.train],
        probe.codes[split.validation],
        len(probe.classes),
        split.how,
    )


class Objective:
    """Measures settings of a model; made once a worker, as reading the cells takes longer than some trials.

    Args:
        job: data, base settings and objective.
    """

    def __init__(self, job: SearchPlan) -> None:
        self.settings = {model: job.settings(model) for model in job.models}
        self.kind = job.tune.objective
        self.seed = job.tune.seed
        # Networks trained with other mask shares, thinning or numbers of genes compare under those of the base.
        self.judged_by = job.bench.train.model_copy(update={"seed": self.seed})
        self.on_cpu = resolve_device(job.bench.train.device).type == "cpu"
        sets, corpus = read_data(job)
        graph = read_gene_network(job.bench)
        self.sets = [parts_of(probe, corpus, job.bench, seed=self.seed, drop_leaks=job.drop_leaks) for probe in sets]
        # Kept here, so that what is computed from a network serves all trials.
        self.networks = [None if graph is None else graph.on(parts.train.vocabulary) for parts in self.sets]

    def __call__(self, model: str, values: dict[str, Any], report: Callable[[float, int], None]) -> Outcome:
        """Measure a model on every set.

        Args:
            model: name of the model.
            values: dotted names of settings to values, laid over those the model's search starts from.
            report: told the validation loss after every epoch on the first set; may raise to end the trial.

        Raises:
            ScgraphError: the settings do not go together, or the loss is not finite.
        """
        own = trial_settings(model, values, self.settings[model])
        start = time.perf_counter()
        losses, scores, epochs = [], [], []
        for number, parts in enumerate(self.sets):
            # Else the system kills the process that takes more than there is, and the trial with it.
            with limited_memory() if self.on_cpu else nullcontext():
                loss, score, ran = self._one(
                    own, parts, self.networks[number], report if number == 0 else lambda _loss, _epoch: None
                )
            losses.append(loss)
            scores.append(score)
            epochs.append(ran)
        attributes: dict[str, Any] = {
            "seconds": round(time.perf_counter() - start, 2),
            "validation_loss": sum(losses) / len(losses),
            "epochs": ", ".join(map(str, epochs)),
        }
        if len(self.sets) > 1:
            attributes["per_set"] = {p.name: scores[i] if self._probes else losses[i] for i, p in enumerate(self.sets)}
        value = attributes["validation_loss"]
        if self._probes:
            value = attributes["validation_macro_f1"] = sum(scores) / len(scores)
        cost = _multiply_adds(own, len(self.sets[0].train.vocabulary), needed=len(DIRECTIONS[self.kind]) > 1)
        if cost is not None:
            attributes["multiply_adds"] = cost
        measured = (value,) if len(DIRECTIONS[self.kind]) == 1 else (value, float(cost or 0))
        return Outcome(measured, attributes)

    @property
    def _probes(self) -> bool:
        return self.kind.startswith("probe")

    def _one(
        self, settings: BenchConfig, parts: Parts, network: Network | None, report: Callable[[float, int], None]
    ) -> tuple[float, float, int]:
        """Return validation loss, validation macro-F1 (NaN where it is not asked for) and epochs on one set."""
        train_config = settings.train_for(len(parts.train), seed=self.seed)
        judged_by = self.judged_by
        losses: list[float] = []

        def after_epoch(model: CellModel, epoch: int) -> None:
            losses.append(validation_loss(model, parts.validation, judged_by))
            if not math.isfinite(losses[-1]):
                raise TrainingError(f"The validation loss is {losses[-1]} after epoch {epoch}.")
            report(losses[-1], epoch)

        trained = pretrain(
            settings.model,
            train_config,
            parts.train,
            # Early stopping looks at the loss that the run itself measures.
            None if train_config.patience is None else parts.validation,
            progress=False,
            on_epoch=after_epoch,
            network=network,
        )
        loss = losses[-1]
        if train_config.patience is not None:
            loss = validation_loss(trained.model, parts.validation, judged_by)
        score = math.nan
        if self._probes:
            score = validation_macro_f1(trained, parts, train_config, settings.probe, seed=self.seed)
        return loss, score, len(losses)


def reason_of(error: BaseException) -> str:
    """Return why a trial failed, in one line."""
    if is_out_of_memory(error):
        return "out of memory"
    text = " ".join(str(error).split())
    return text if isinstance(error, ScgraphError) else f"{type(error).__name__}: {text}"


def free_memory() -> None:
    """Give memory back that a failed trial may hold."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def validation_macro_f1(
    trained: Pretrained, parts: Parts, train: TrainConfig, probe: ProbeConfig, *, seed: int
) -> float:
    """Return the macro-F1 that the linear probe reaches on the validation part, at its best choice."""

    def features(store: CellStore) -> NDArray[np.float32]:
        return embed(trained.model, store, genes=train.genes_to_embed(), seed=seed, device=train.device)

    x, validation = features(parts.probe_train), features(parts.probe_validation)
    result = fit_probe(
        x,
        parts.train_codes,
        validation,
        parts.validation_codes,
        validation,
        probe,
        classes=parts.classes,
        seed=seed,
    )
    return result.validation_macro_f1


def _multiply_adds(settings: BenchConfig, vocabulary_size: int, *, needed: bool) -> int | None:
    import torch

    # Which edges there are makes no difference to the products of matrices.
    alone = Restriction.from_edges(2, torch.empty(2, 0)) if settings.network and settings.model.restricted else None
    with torch.random.fork_rng(devices=[]):  # on the CPU: layers that do not state their cost are run to count it
        model = build_model(2, **settings.model.model_kwargs(), network=alone)
    try:
        zeros = settings.train.zeros_beside(vocabulary_size)
        return model.cost(settings.train.genes, zeros=zeros).multiply_adds
    except ContractError:
        if needed:
            raise
        return None
