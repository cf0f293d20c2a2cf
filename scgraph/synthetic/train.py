"""Training of all settings and seeds in one step: one flat parameter tensor, one optimizer, one loop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from scgraph.display import short_repr
from scgraph.errors import TrainingError
from scgraph.synthetic.data import generate
from scgraph.synthetic.models import Parameters, encode, predict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scgraph.synthetic.config import SyntheticConfig
    from scgraph.synthetic.models import Inputs, Model

__all__ = ["Curves", "Setting", "all_settings", "train"]

EVALUATION_BATCH = 2000


class Setting(NamedTuple):
    """One run of the grid: e_p and sigma of Algorithm 1, and the seed of data and weights."""

    e_p: float
    sigma: float
    seed: int


@short_repr
@dataclass(frozen=True)
class Curves:
    """Losses of R runs after every epoch, each `[R, epochs]`.

    Attributes:
        train: mean over the batches of the epoch, while the parameters moved.
        validation: mean squared error on the validation part.
        test: mean squared error on the test part.
        seconds: wall time of the training, data and evaluation included.
    """

    train: NDArray[np.float64]
    validation: NDArray[np.float64]
    test: NDArray[np.float64]
    seconds: float


def all_settings(config: SyntheticConfig) -> list[Setting]:
    """All runs of a grid: seed by seed, e_p by e_p, sigma by sigma."""
    seeds = range(config.seed, config.seed + config.seeds)
    return [Setting(e_p, sigma, seed) for seed in seeds for e_p in config.e_p for sigma in config.sigma]


def train(
    config: SyntheticConfig,
    model: Model,
    settings: Sequence[Setting],
    *,
    on_epoch: Callable[[int], None] | None = None,
) -> Curves:
    """Train one model in all settings at once by masked value prediction (Eq. 5).

    The loss of a step is the sum over runs of each run's mean squared error. Parameters of different runs never meet
    and Adam works entry by entry, so every run moves as it would alone. One value of a sample is masked, another
    one in every epoch; order and masks depend on the epoch alone, so both models and all settings see the same.
    Masks of the validation and test part are fixed.

    Args:
        config: samples, sign and training; its grid, seeds and variant are not read.
        model: which model.
        settings: the runs R, in any order and number.
        on_epoch: called with the number of finished epochs.

    Raises:
        TrainingError: the loss of a run is not a number.
    """
    started = time.perf_counter()
    parts = _parts(config, settings)
    parameters = Parameters(model)
    dtype = _dtype(config)
    flat = torch.stack([parameters.draw(s.seed) for s in settings]).to(dtype).requires_grad_()
    optimizer = torch.optim.Adam([flat], lr=config.learning_rate, fused=True)
    held_out = [
        _fixed_inputs(part, stream, positions=model.positions)
        for stream, part in enumerate((parts.validation, parts.test))
    ]
    n = parts.train.values.shape[2]
    history = torch.zeros(3, config.epochs, len(settings), dtype=torch.float64)
    for epoch in range(config.epochs):
        draw = np.random.default_rng([2, epoch])
        order = torch.from_numpy(draw.permutation(n))
        masked = torch.from_numpy(draw.integers(4, size=n))
        total = torch.zeros(len(settings), dtype=torch.float64)
        for rows, hidden in zip(
            torch.split(order, config.batch_size), torch.split(masked, config.batch_size), strict=True
        ):
            inputs = encode(
                parts.train.places.index_select(3, rows),
                parts.train.values.index_select(2, rows),
                hidden,
                positions=model.positions,
            )
            losses = (predict(model, parameters.split(flat), inputs) - inputs.target).square().mean(1)
            optimizer.zero_grad()
            losses.sum().backward()  # type: ignore[no-untyped-call] # torch leaves backward without annotations
            optimizer.step()
            total += losses.detach() * len(rows)
        history[0, epoch] = total / n
        with torch.no_grad():
            views = parameters.split(flat)
            for row, pieces in enumerate(held_out, start=1):
                squares = [(predict(model, views, piece) - piece.target).square() for piece in pieces]
                history[row, epoch] = torch.cat(squares, 1).mean(1)
        if not torch.isfinite(history[:, epoch]).all():
            raise TrainingError(
                f"The loss of {model.kind} is not a number after epoch {epoch + 1}. Lower learning_rate "
                f"({config.learning_rate:g}) or e_p."
            )
        if on_epoch is not None:
            on_epoch(epoch + 1)
    curves = history.transpose(1, 2).numpy()
    return Curves(curves[0], curves[1], curves[2], time.perf_counter() - started)


class _Part(NamedTuple):
    places: Tensor  # one-hot, [R, 4 (place), 4 (token), N]
    values: Tensor  # [R, 4, N]

    def rows(self, start: int, stop: int) -> _Part:
        return _Part(self.places[..., start:stop], self.values[..., start:stop])


class _Parts(NamedTuple):
    train: _Part
    validation: _Part
    test: _Part


def _parts(config: SyntheticConfig, settings: Sequence[Setting]) -> _Parts:
    whole = _draw(config, settings, config.samples, 0)
    split = config.samples - round(config.test_share * config.samples)
    validation = _draw(config, settings, config.validation_samples, 1)
    return _Parts(whole.rows(0, split), validation, whole.rows(split, config.samples))


def _draw(config: SyntheticConfig, settings: Sequence[Setting], n: int, part: int) -> _Part:
    drawn = [generate(n, e_p=s.e_p, sigma=s.sigma, seed=s.seed, sign=config.sign, part=part) for s in settings]
    dtype = _dtype(config)
    positions = torch.from_numpy(np.stack([samples.positions.T for samples in drawn]))
    values = torch.from_numpy(np.stack([samples.values.T for samples in drawn])).to(dtype)
    places = (positions.unsqueeze(1) == torch.arange(1, 5).view(4, 1, 1)).to(dtype)
    return _Part(places, values)


def _fixed_inputs(part: _Part, stream: int, *, positions: bool) -> list[Inputs]:
    n = part.values.shape[2]
    masked = torch.from_numpy(np.random.default_rng([3, stream]).integers(4, size=n))
    pieces = []
    for start in range(0, n, EVALUATION_BATCH):
        piece = part.rows(start, min(start + EVALUATION_BATCH, n))
        pieces.append(encode(*piece, masked[start : start + EVALUATION_BATCH], positions=positions))
    return pieces


def _dtype(config: SyntheticConfig) -> torch.dtype:
    return torch.float64 if config.precision == "float64" else torch.float32
