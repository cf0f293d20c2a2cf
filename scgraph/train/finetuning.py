"""Fine-tuning: the last layers of a pretrained model and a linear head, trained on labels."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.errors import DataError
from scgraph.train.embedding import embed
from scgraph.train.labelled_batches import LabelledBatches
from scgraph.train.trainer import deterministic_on_cpu, make_trainer, quiet_lightning, resolve_device

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.config import TrainConfig
    from scgraph.data import CellStore
    from scgraph.nn import CellModel

__all__ = ["FinetuneConfig", "finetune"]

_MOST_CELLS = 2000
"""Cells that the scale of the vectors is measured on."""


@dataclass(frozen=True)
class FinetuneConfig:
    """How the last layers are trained; small steps, since few labels tell them what the pretraining did not.

    Attributes:
        learning_rate: of Adam.
        batch_size: cells a step.
        max_steps: most steps.
        max_epochs: most passes over the cells.
        patience: epochs without a lower validation loss before it stops.
    """

    learning_rate: float = 3e-4
    batch_size: int = 64
    max_steps: int = 300
    max_epochs: int = 20
    patience: int = 2


def finetune(
    model: CellModel,
    store: CellStore,
    codes: NDArray[np.int64],
    *,
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    classes: int,
    training: TrainConfig,
    config: FinetuneConfig | None = None,
    seed: int = 0,
    device: str = "auto",
) -> CellModel:
    """Return a copy of a model whose last layers were trained to tell classes apart.

    Trained are the last block, the last norm, the readout and the residual layers on the cell's vector, with a linear
    head on the standardised vector that is thrown away afterwards: cross entropy, Adam. The embeddings of the genes,
    the values and the adjacency stay as they are. The weights kept are those of the epoch of the lowest loss on the
    validation part; where no epoch is better than none at all, those of the first.

    Args:
        model: pretrained; left as it is.
        store: cells on its vocabulary.
        codes: class of every cell, 0 to ``classes - 1``, `[n]`.
        train: rows to learn from.
        validation: rows to stop by.
        classes: number of classes K.
        training: settings that the model was pretrained with: genes of a cell, precision, clipping.
        config: rates and steps.
        seed: of the head, the order of the cells and their genes.
        device: where to compute.

    Raises:
        ConfigError: no such device here.
        DataError: a part holds no cell that expresses a gene of the vocabulary.
    """
    import torch

    with quiet_lightning():
        from lightning.pytorch.callbacks import EarlyStopping

        from scgraph.train.finetuning_module import FinetuningModule, KeepBest

    config = config or FinetuneConfig()
    expressed = np.diff(store.indptr) > 0
    parts = {name: rows[expressed[rows]] for name, rows in (("training", train), ("validation", validation))}
    empty = [name for name, rows in parts.items() if not len(rows)]
    if empty:
        raise DataError(f"No cell of the {empty[0]} part expresses a gene of the model, so nothing can be fine-tuned.")
    place = resolve_device(device)
    batches: dict[str, Any] = {
        name: LabelledBatches(
            store,
            codes,
            rows,
            genes=training.genes,
            batch_size=config.batch_size,
            seed=seed,
            shuffle=name == "training",
        )
        for name, rows in parts.items()
    }
    tuned = copy.deepcopy(model).cpu().train()
    sample = store.subset(parts["training"][:_MOST_CELLS])
    vectors = torch.from_numpy(embed(model, sample, genes=training.genes, seed=seed, device=device))
    model.cpu()
    with quiet_lightning(), deterministic_on_cpu(place), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = FinetuningModule(tuned, vectors, classes=classes, learning_rate=config.learning_rate)
        best = KeepBest(tuned)
        trainer = make_trainer(
            place,
            precision=training.precision,
            epochs=max(1, min(config.max_epochs, round(config.max_steps / len(batches["training"])))),
            clip=training.clip,
            callbacks=[best, EarlyStopping("validation_loss", patience=config.patience, mode="min")],
            checkpoint_io=None,
        )
        trainer.fit(module, batches["training"], batches["validation"])
    tuned = tuned.cpu().float()
    tuned.load_state_dict(best.weights)
    return tuned.eval().requires_grad_(requires_grad=True)
