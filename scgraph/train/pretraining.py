"""Pretraining, and its exact continuation."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.display import short_repr
from scgraph.errors import ConfigError, DataError
from scgraph.files import prepare_output_folder
from scgraph.models.card import CARD, check_license, foreign_card
from scgraph.models.initial import initial_model
from scgraph.models.network import with_network
from scgraph.models.saved import (
    MODEL_FILES,
    SavedModel,
    current_versions,
    load_model,
    read_description,
    write_description,
)
from scgraph.train.checkpoint import FREE, Progress, check_same_run, checkpoint_file, fingerprint, read_progress
from scgraph.train.distributed.world import find_world
from scgraph.train.loader import make_loader
from scgraph.train.loggers import OWNED as OWNED_LOGS
from scgraph.train.loggers import check_loggers, logs_folder
from scgraph.train.neighbors import integrated_model, integration_note, targets_of
from scgraph.train.run import HISTORY, Run, history_frame
from scgraph.train.trainer import check_world, resolve_device
from scgraph.train.views import check_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import pandas as pd

    from scgraph.config import ModelConfig, TrainConfig
    from scgraph.data import CellStore, Network, Vocabulary
    from scgraph.nn import CellModel
    from scgraph.train.loader import CellLoader

__all__ = ["OWNED", "Pretrained", "as_saved", "pretrain"]

# What a run writes, in the order in which an overwritten folder is cleared.
OWNED = (*MODEL_FILES, HISTORY, "state")


@short_repr
@dataclass(frozen=True)
class Pretrained:
    """A trained model.

    Attributes:
        model: the network on the CPU, in evaluation mode. With early stopping, the weights of the epoch of
            the lowest validation loss; otherwise those of the last epoch.
        vocabulary: its genes.
        model_config: what it was built from.
        config: what it was trained with: training configuration and what `manifest` said.
        history: epoch, step, train_loss, validation_loss, train_mvp_loss, validation_mvp_loss, seconds,
            seconds_waiting (for batches, a part of `seconds`); one row an epoch. The two kinds of loss differ
            where a loss on the vector of the cell is added, and where zeros are masked too: mvp losses are those of
            the expressed genes alone.
        notes: what must be said aloud.
    """

    model: CellModel
    vocabulary: Vocabulary
    model_config: ModelConfig
    config: dict[str, Any]
    history: pd.DataFrame
    notes: tuple[str, ...] = ()

    def saved(self) -> SavedModel:
        """Return it as `scgraph.load_model` would, had it been saved and read again."""
        return SavedModel(self.model, self.vocabulary, self.model_config, self.config, {}, current_versions())


def as_saved(model: Pretrained | SavedModel | str | Path, *, allow_conv: Collection[str] = ()) -> SavedModel:
    """Return a model that is given as a folder, or as what `scgraph.pretrain` or `scgraph.load_model` returned.

    Args:
        model: the folder, or the model.
        allow_conv: convolutions of your own that the model of a folder may use.

    Raises:
        ModelFileError: the folder cannot be read.
    """
    if isinstance(model, Pretrained):
        return model.saved()
    return model if isinstance(model, SavedModel) else load_model(model, allow_conv=allow_conv)


def pretrain(
    model_config: ModelConfig,
    train_config: TrainConfig,
    train: CellStore,
    validation: CellStore | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    manifest: Mapping[str, Any] | None = None,
    on_epoch: Callable[[CellModel, int], None] | None = None,
    network: Network | None = None,
    log: str | Sequence[str] = (),
    license: str | None = None,
) -> Pretrained:
    """Train a model without labels: to predict masked values, or the counts of cells, or as the settings say.

    A run with an output folder can be killed at any moment and resumed. On a CPU, with the same number of
    threads, it then ends with the same weights and losses, to the last bit, as if it had never been
    killed; only `seconds` and `seconds_waiting` differ. On several devices (`train_config.devices`) each trains
    on its share of every batch, one process a device; the result differs from that of one device in the last
    digits, and a run may go on with another number of them. The folder holds the model (see `save_model`) as
    soon as one epoch is over, `history.csv`, and `state/`, what a resume needs.

    Args:
        model_config: the network.
        train_config: the training.
        train: cells to learn from.
        validation: cells to measure the loss on after each epoch, always with the same masks.
        out: folder to write to; None writes nothing.
        resume: go on with the run in `out`; a finished one is returned at once, and where there is no state
            yet the run begins.
        overwrite: replace the run in `out`.
        progress: show a bar where standard error is a terminal.
        manifest: JSON values to record with the model: where the cells come from.
        on_epoch: called with the network and the number of every epoch that is over; what it raises ends the run.
        network: gene network on the vocabulary of `train`, which becomes a part of the model.
        log: tensorboard, wandb or mlflow, or several: Lightning's loggers, which write to the folder `out` with
            ``-logs`` behind its name. A resumed run goes on in them.
        license: name of the licence for the card of the model; None keeps what the card says, at first ``unknown``.

    Raises:
        ConfigError: a logger is not installed or cannot be opened, the device or the settings cannot be used, or
            `resume` names another run.
        DataError: no cell has two genes, or the stores have different vocabularies.
        OutputError: `out` cannot be used; said before anything else happens.
        TrainingError: the loss is not finite, or one of several processes was killed; the last good state is kept.
        KeyboardInterrupt: Ctrl-C; the state is saved before.
    """
    log = check_loggers(log, out)
    check_license(license, out)
    model_config = integrated_model(with_network(model_config, network), train_config, train)
    world = find_world(train_config.devices, train_config.nodes)
    loader = make_loader(train, model_config, train_config, shuffle=True, world=world)
    validation_loader = None
    if validation is not None:
        validation_loader = make_loader(validation, model_config, train_config, shuffle=False, world=world)
    notes = _check(model_config, train_config, loader, validation_loader)
    device = resolve_device(train_config.device)
    check_world(world, train_config, device, batch_size=loader.batch_size)
    if on_epoch is not None and world.size > 1:
        raise ConfigError("devices: a run that is watched after every epoch takes one device; set devices to 1.")
    if device.type == "cpu" and train_config.precision == "16-mixed":
        raise ConfigError("precision: 16-mixed needs a GPU; on a CPU use bf16-mixed or 32-true.")
    model = initial_model(model_config, train_config, train, network=network)
    identity, done = fingerprint(model_config, train_config, train, validation), Progress()
    metadata = {
        "seed": train_config.seed,
        "training": train_config.model_dump(mode="json", exclude=set(FREE)),
        "data": dict(manifest or {})
        | ({} if model_config.network is None or network is None else {"network": network.manifest}),
    }
    checkpoint: Path | None = None
    with ExitStack() as stack:
        in_memory = out is None
        if out is None and world.size > 1 and world.launcher == "none":
            # The processes hand the model back through a folder.
            out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scgraph-"))) / "run"
        if out is not None:
            # Weights and the two moments of Adam, each once in the state and once while it is being replaced.
            needed = 2**20 + 32 * sum(weight.numel() for weight in model.parameters())
            out = Path(out).expanduser().absolute()
            if world.rank == 0:
                prepare_output_folder(out, overwrite=overwrite, resume=resume, owned=_owned(out), needed_bytes=needed)
            if resume and checkpoint_file(out).is_file():
                checkpoint = checkpoint_file(out)
                done, before = read_progress(checkpoint)
                check_same_run(before, identity, checkpoint)
                metadata = read_description(out)["metadata"]
            if log and world.rank == 0 and not done.finished:
                prepare_output_folder(logs_folder(out), overwrite=overwrite, resume=resume, owned=OWNED_LOGS)
            if world.rank == 0:
                write_description(out, train.vocabulary, model_config, metadata=metadata)
                checkpoint_file(out).parent.mkdir(exist_ok=True)
        follow: dict[str, Any] = {"on_epoch": on_epoch, "log": log, "license": license}
        run = Run(model, model_config, train_config, train.vocabulary, metadata, out, done, world, **follow)
        if not done.finished and world.size > 1 and world.launcher == "none":
            run.delegate(train, validation, identity, checkpoint=checkpoint, progress=progress, in_memory=in_memory)
        elif not done.finished:
            loader.vectors, vectors = targets_of(model, train_config, train, validation)
            if validation_loader is not None:
                validation_loader.vectors = vectors
            run.fit(loader, validation_loader, identity, device=device, checkpoint=checkpoint, progress=progress)
        model = model.cpu().float().eval().requires_grad_(requires_grad=True)
        run.take_best()
    return Pretrained(model, train.vocabulary, model_config, metadata, history_frame(run.done), notes)


def _owned(out: Path) -> tuple[str, ...]:
    """Return what may be removed from a folder that is overwritten; a README.md of somebody else is not."""
    return OWNED if foreign_card(out) else (*OWNED, CARD)


def _check(
    model: ModelConfig, training: TrainConfig, loader: CellLoader, validation: CellLoader | None
) -> tuple[str, ...]:
    if training.genes < 2:
        raise ConfigError("genes must be at least 2: one value is hidden and another one has to be seen.")
    if training.cell_loss > 0 and not model.cell_head:
        raise ConfigError("cell_loss needs a model with a cell head: set model.cell_head to true, or cell_loss to 0.")
    if training.count_loss > 0 and not model.cell_head:
        raise ConfigError(
            "count_loss needs a model with a cell head: set model.cell_head to true, or train.count_loss to 0."
        )
    if training.neighbor_loss > 0 and not model.pools:
        raise ConfigError("neighbor_loss starts from the pooled input of the cells: set model.readout to pooled.")
    if training.compile and model.network is not None and model.restricted:
        raise ConfigError(
            "compile: the edges of a gene network differ from batch to batch; set train.compile to false."
        )
    if training.patience is not None and validation is None:
        raise ConfigError("patience needs validation cells: give some, or leave patience out.")
    notes = []
    for name, part in (("training", loader), ("validation", validation)):
        if part is None:
            continue
        if not len(part.rows):
            raise DataError(
                f"None of the {len(part.store):,} {name} cells expresses two genes of the vocabulary, so "
                "there is nothing to predict. Check that data and vocabulary belong together."
            )
        if part.left_out:
            notes.append(
                f"{part.left_out:,} of {len(part.store):,} {name} cells express fewer than two genes of the "
                "vocabulary and are left out of pretraining."
            )
    named = loader.store.batches is not None
    if note := integration_note([training], loader.store, batches_named=named, corpus=False):
        notes.append(note)
    if loader.batch_size > len(loader.rows):
        raise ConfigError(
            f"batch_size is {loader.batch_size:,}, and there are {len(loader.rows):,} training cells. "
            "Choose a batch size of at most that, or auto."
        )
    if training.thinning is not None:
        for part in (loader, validation):
            if part is not None:
                check_counts(part.store)
    if validation is not None and validation.store.vocabulary.sha256 != loader.store.vocabulary.sha256:
        raise DataError("Training and validation cells stand on different vocabularies. Build both from one.")
    return tuple(notes)
