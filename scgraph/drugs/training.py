"""Training of the network on the rows of a fold, and its predictions."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn.functional import mse_loss

from scgraph.drugs.molecule import MoleculeEncoder
from scgraph.drugs.network import FingerprintEncoder, SynergyNetwork
from scgraph.errors import TrainingError
from scgraph.models import build_model
from scgraph.nn.bag import GeneBag
from scgraph.train.trainer import deterministic_on_cpu, make_trainer, quiet_lightning

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch_geometric.data import Batch

    from scgraph.drugs.config import DrugsConfig, SynergyConfig
    from scgraph.drugs.screen import DrugScreen
    from scgraph.drugs.splits import DrugFold

__all__ = ["Structures", "build_network", "fit_network", "most_variable"]

CHUNK = 8192


@dataclass(frozen=True, eq=False)
class Structures:
    """What the network reads of all drugs: one of the two.

    Attributes:
        fingerprint: ``[D, B]``, or None.
        graphs: all molecules as one batch, see `molecular_graphs`, or None.
    """

    fingerprint: NDArray[np.float32] | None = None
    graphs: Batch | None = None

    def encoder(self, config: SynergyConfig) -> FingerprintEncoder | MoleculeEncoder:
        """Return an untrained encoder of the drugs."""
        if self.fingerprint is not None:
            return FingerprintEncoder(self.fingerprint, config.width)
        assert self.graphs is not None
        return MoleculeEncoder(self.graphs, config.width, config.molecule_layers)


def most_variable(expression: NDArray[np.float32], learn: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the genes whose expression varies most over the lines that may be learned from, in their order; ``[g]``.

    Args:
        expression: ``[L, G]``.
        learn: lines, ``[n]``.
        most: genes.
    """
    variance = expression[learn].var(axis=0)
    return np.sort(np.argsort(-variance, kind="stable")[:most])


def build_network(
    structures: Structures, values: NDArray[np.float32], learn: NDArray[np.int64], config: DrugsConfig, *, seed: int
) -> SynergyNetwork:
    """Return an untrained network.

    Where the readout is the pooled one, its input is centred and scaled over the lines that may be learned from.

    Args:
        structures: the drugs.
        values: expression of the genes that are read, ``[L, G]``.
        learn: lines that are learned from, ``[n]``.
        config: of the run.
        seed: of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(values.shape[1], **config.model.model_kwargs())
        encoder = structures.encoder(config.network)
        sizes = config.network
        network = SynergyNetwork(
            model,
            encoder,
            sizes.width,
            dropout=sizes.dropout,
            hidden_lines=sizes.hidden_lines,
            line_noise=sizes.line_noise,
        )
    if model.pooled_readout is not None:
        with torch.no_grad():
            genes = torch.arange(1, values.shape[1] + 1).expand(len(learn), -1)
            sums = model.encoder.sums(GeneBag.of_padded(genes, torch.from_numpy(values[learn])))
            spread = sums.std(dim=0, correction=0)
            model.pooled_readout.fit(sums.mean(dim=0), 1 / spread.where(spread > 1e-6, torch.ones_like(spread)))
    return network


class _Training(LightningModule):
    """Rows come in batches; the weights with the least validation error are kept."""

    def __init__(self, network: SynergyNetwork, config: SynergyConfig, values: Tensor, rows: dict[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.values: Tensor
        self.genes: Tensor
        self.register_buffer("values", values, persistent=False)
        genes = torch.arange(1, values.shape[1] + 1).expand(len(values), -1)
        self.register_buffer("genes", genes, persistent=False)
        for name, tensor in rows.items():
            self.register_buffer(f"validation_{name}", tensor, persistent=False)
        self.best: tuple[float, int, dict[str, Tensor]] = (float("inf"), 0, {})

    def predict_rows(self, pairs: Tensor, line: Tensor) -> Tensor:
        """Predict rows with no dropout, in chunks."""
        mode = self.network.training
        self.network.eval()
        with torch.no_grad():
            parts = zip(torch.split(pairs, CHUNK), torch.split(line, CHUNK), strict=True)
            found = torch.cat([self.network(one, two, self.genes, self.values) for one, two in parts])
        self.network.train(mode)
        return found

    def validation_error(self) -> float:
        """Mean squared error of the validation rows."""
        found = self.predict_rows(self.get_buffer("validation_pairs"), self.get_buffer("validation_line"))
        return float(mse_loss(found, self.get_buffer("validation_score")))

    def keep_if_better(self, error: float, epoch: int) -> None:
        """Keep the weights as they are now where their error is the least."""
        if error < self.best[0]:
            self.best = error, epoch, copy.deepcopy(self.network.state_dict())

    def on_fit_start(self) -> None:
        """Begin with the mean, which needs no step."""
        self.keep_if_better(self.validation_error(), 0)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Return the error of a batch."""
        pairs, line, score = batch
        return mse_loss(self.network(pairs, line, self.genes, self.values), score)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measure the validation part after the steps of this epoch."""
        error = self.validation_error()
        if not np.isfinite(error):
            raise TrainingError(
                f"The network that predicts scores: its error is {error} after epoch {self.current_epoch + 1}. Lower "
                "network.learning_rate."
            )
        self.log("validation_error", torch.tensor(error), batch_size=1)
        self.keep_if_better(error, self.current_epoch + 1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(
            self.network.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )


def fit_network(
    screen: DrugScreen,
    structures: Structures,
    expression: NDArray[np.float32],
    fold: DrugFold,
    config: DrugsConfig,
    *,
    seed: int,
    device: torch.device | None = None,
) -> tuple[NDArray[np.float64], int]:
    """Train the network on the training rows, and keep the epoch with the least validation error.

    Args:
        screen: the rows.
        structures: the drugs.
        expression: of the lines, their own or that of others, ``[L, G]``.
        fold: rows that are fitted, and rows that the epoch is chosen on.
        config: of the run.
        seed: of weights, order and dropout.
        device: where it runs, a CPU by default.

    Returns:
        Predictions of all rows ``[N]``, and the epoch they are of (0 before any step).

    Raises:
        TrainingError: the error is not finite.
    """
    from lightning.pytorch.callbacks import EarlyStopping
    from torch.utils.data import DataLoader, TensorDataset

    place = device or torch.device("cpu")
    known = np.unique(screen.line[fold.train])
    values = expression[:, most_variable(expression, known, config.genes)]
    mean = float(screen.score[fold.train].mean())
    scale = float(screen.score[fold.train].std()) or 1.0
    pairs, line = torch.from_numpy(screen.pairs), torch.from_numpy(screen.line)
    score = torch.from_numpy(((screen.score - mean) / scale).astype(np.float32))
    network = build_network(structures, values, known, config, seed=seed)
    held = torch.from_numpy(fold.validation)
    rows = {"pairs": pairs[held], "line": line[held], "score": score[held]}
    training = _Training(network, config.network, torch.from_numpy(values), rows)
    train = torch.from_numpy(fold.train)
    order = torch.Generator().manual_seed(seed)
    batches: DataLoader[Any] = DataLoader(
        TensorDataset(pairs[train], line[train], score[train]),
        batch_size=config.network.batch_size,
        shuffle=True,
        generator=order,
    )
    whole: DataLoader[Any] = DataLoader([0], batch_size=None)  # type: ignore[arg-type]  # one batch: the buffers
    stopping = EarlyStopping("validation_error", patience=config.network.patience)
    with quiet_lightning(), deterministic_on_cpu(place), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout
        trainer = make_trainer(
            place,
            precision="32-true",
            epochs=config.network.epochs,
            clip=1.0,
            callbacks=[stopping],
            checkpoint_io=None,
        )
        trainer.fit(training, batches, whole)
    network.load_state_dict(training.best[2])
    training.cpu()
    found = training.predict_rows(pairs, line).numpy().astype(np.float64)
    return found * scale + mean, training.best[1]
