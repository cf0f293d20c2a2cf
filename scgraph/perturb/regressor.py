"""A small network that predicts the change of every gene from the perturbed genes and the control state."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from scgraph.errors import TrainingError
from scgraph.train.trainer import deterministic_on_cpu, make_trainer, quiet_lightning

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.perturb.config import NetworkConfig

__all__ = ["EffectRegressor", "fit_network"]


class EffectRegressor(nn.Module):
    r"""Two sides that meet in a product: what is perturbed, and what is affected.

    .. math:: \hat δ_{pg} = m_g + s \; f(e_p) \cdot h(a_g) / \sqrt{H}

    with ``e_p`` the sum of what describes the perturbed genes, ``a_g`` the description of gene g (its embedding, its
    mean features in control cells, its mean expression there), m the mean change of training and s its deviation.
    f is linear, so that the effects of two genes add up; h has one hidden layer. The last layer of h starts at zero:
    an untrained network predicts the mean change, and stopping at once is always a choice.

    Args:
        perturbed: width of ``e_p``.
        affected: width of ``a_g``.
        width: H.

    Shapes:
        ``[P, D]`` and ``[G, D']`` to ``[P, G]``.
    """

    def __init__(self, perturbed: int, affected: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.sender = nn.Linear(perturbed, width)
        self.hidden = nn.Linear(affected, width)
        self.receiver = nn.Linear(width, width)
        nn.init.zeros_(self.receiver.weight)
        nn.init.zeros_(self.receiver.bias)

    def forward(self, perturbed: Tensor, affected: Tensor) -> Tensor:
        """Predict the change beyond the mean, in units of its deviation."""
        receivers = self.receiver(nn.functional.gelu(self.hidden(affected)))
        product: Tensor = self.sender(perturbed) @ receivers.T / self.width**0.5
        return product


class _Training(LightningModule):
    """All training perturbations are one batch; the weights with the least validation error are kept."""

    def __init__(
        self,
        network: EffectRegressor,
        config: NetworkConfig,
        sides: tuple[Tensor, Tensor],
        targets: tuple[Tensor, Tensor],
        parts: tuple[Tensor, Tensor],
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.perturbed: Tensor
        self.affected: Tensor
        tensors = (*sides, *targets, *parts)
        for name, tensor in zip(
            ("perturbed", "affected", "target0", "target1", "part0", "part1"), tensors, strict=True
        ):
            self.register_buffer(name, tensor, persistent=False)  # so that they go where the network goes
        self.best: tuple[float, int, dict[str, Tensor]] = (float("inf"), 0, {})

    def error(self, part: int) -> Tensor:
        """Mean squared error of the train (0) or validation part (1)."""
        rows, target = self.get_buffer(f"part{part}"), self.get_buffer(f"target{part}")
        return mse_loss(self.network(self.perturbed[rows], self.affected), target)

    def keep_if_better(self, error: float, epoch: int) -> None:
        """Keep the weights as they are now where their error is the least."""
        if error < self.best[0]:
            self.best = error, epoch, copy.deepcopy(self.network.state_dict())

    def on_fit_start(self) -> None:
        """Begin with the mean change, which needs no step."""
        with torch.no_grad():
            self.keep_if_better(float(self.error(1)), 0)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the error of the training part."""
        return self.error(0)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measure the validation part after the step of this epoch."""
        error = self.error(1)
        if not bool(torch.isfinite(error)):
            raise TrainingError(
                f"The network that predicts changes: its error is {float(error)} after epoch {self.current_epoch + 1}. "
                "Lower network.learning_rate."
            )
        self.log("validation_error", error, batch_size=1)
        self.keep_if_better(float(error), self.current_epoch + 1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(
            self.network.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )


def fit_network(
    x: NDArray[np.float64],
    affected: NDArray[np.float64],
    change: NDArray[np.float32],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
    config: NetworkConfig,
    *,
    seed: int,
    device: torch.device | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Train the network on the training perturbations, and keep the epoch with the least validation error.

    Args:
        x: descriptions of all perturbations, `[P, D]`.
        affected: descriptions of the genes, `[G, D']`.
        change: measured changes, `[n, G]`; only the rows of train and validation are looked at.
        train: rows that are fitted.
        validation: rows that the epoch is chosen on.
        config: sizes and rates.
        seed: of the weights.
        device: where it runs, a CPU by default.

    Returns:
        Predictions `[P, G]`, and the epoch they are of (0 before any step).

    Raises:
        TrainingError: the error is not finite.
    """
    from lightning.pytorch.callbacks import EarlyStopping
    from torch.utils.data import DataLoader

    place = device or torch.device("cpu")
    mean = change[train].mean(axis=0)
    scale = float((change[train] - mean).std()) or 1.0
    sides = torch.from_numpy(x.astype(np.float32)), torch.from_numpy(affected.astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = EffectRegressor(x.shape[1], affected.shape[1], config.width)
    parts = (train, validation)
    targets = tuple(torch.from_numpy(((change[rows] - mean) / scale).astype(np.float32)) for rows in parts)
    training = _Training(
        network, config, sides, (targets[0], targets[1]), (torch.from_numpy(train), torch.from_numpy(validation))
    )
    whole: DataLoader[Any] = DataLoader([0], batch_size=None)  # type: ignore[arg-type]  # one batch: the buffers
    stopping = EarlyStopping("validation_error", patience=config.patience)
    with quiet_lightning(), deterministic_on_cpu(place):
        trainer = make_trainer(
            place, precision="32-true", epochs=config.epochs, clip=None, callbacks=[stopping], checkpoint_io=None
        )
        trainer.fit(training, whole, whole)
    network.load_state_dict(training.best[2])
    with torch.no_grad():
        predicted = network.cpu()(*sides).numpy() * scale + mean
    return predicted.astype(np.float32), training.best[1]
