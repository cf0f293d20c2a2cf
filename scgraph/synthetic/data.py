"""Samples of the paper's Algorithm 1: four tokens in a random order, each with a value that depends on the order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from scgraph.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ALPHA", "MU", "TOKENS", "Samples", "Sign", "coefficients", "generate", "loss_floor", "values_plain"]

Sign = Literal["paper", "reversed"]

TOKENS = ("a", "b", "c", "d")
MU = (-0.5, -0.25, 0.25, 0.5)
ALPHA = -0.1
COEFFICIENT_RANGE = (0.2, 0.5)


@dataclass(frozen=True)
class Samples:
    """Samples of one setting, stored token by token: models without an order of their own need no other.

    Attributes:
        positions: place 1 to 4 of every token in the sequence, `[N, 4]`.
        values: value of every token, `[N, 4]`.
        coefficients: e_ij of the setting, from token i (row) to token j (column), `[4, 4]`.
    """

    positions: NDArray[np.int64]
    values: NDArray[np.float64]
    coefficients: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)


def coefficients(*, seed: int, e_p: float, sigma: float) -> NDArray[np.float64]:
    """Draw e_ij ~ U(0.2, 0.5) of one setting, `[4, 4]`."""
    return _generator(seed, e_p, sigma, 0).uniform(*COEFFICIENT_RANGE, size=(4, 4))


def generate(n: int, *, e_p: float, sigma: float, seed: int, sign: Sign = "paper", part: int = 0) -> Samples:
    r"""Draw samples by Algorithm 1 (stage 1).

    A sample is a uniformly random order of the tokens a, b, c, d. The value of the token at place k is

    .. math::
        v_k = u_k + \alpha p_k + \sum_{i<k} \beta(i, k) v_i, \qquad
        \beta(i, k) = e_{ik} + e_p (p_i - p_k), \qquad u_k \sim \mathcal{N}(\mu_k, \sigma^2)

    with α = -0.1 and μ = (-0.5, -0.25, 0.25, 0.5) (Eq. 15 and 16). As i stands before k, p_i - p_k is negative;
    the sign `"reversed"` takes p_k - p_i.

    Everything is a pure function of the arguments: a setting has the same samples in every grid.

    Args:
        n: number of samples N.
        e_p: weight of the relative position.
        sigma: standard deviation of u.
        seed: of the coefficients, orders and u.
        sign: of the relative position, see above.
        part: another number gives other samples of the same setting, with the same coefficients.

    Raises:
        ConfigError: an unknown sign.

    Source: section III-B and IV-A of the paper.
    """
    _check_sign(sign)
    links = coefficients(seed=seed, e_p=e_p, sigma=sigma)
    draw = _generator(seed, e_p, sigma, 1 + part)
    order = draw.permuted(np.tile(np.arange(4), (n, 1)), axis=1)
    noise = draw.normal(np.asarray(MU), sigma, size=(n, 4))
    return _unordered(order, _values(order, noise, links, e_p, sign), links)


def values_plain(
    order: NDArray[np.int64],
    noise: NDArray[np.float64],
    links: NDArray[np.float64],
    *,
    e_p: float,
    sign: Sign = "paper",
) -> NDArray[np.float64]:
    """Eq. 15 for one sample, term by term: the reference of `generate`.

    Args:
        order: tokens of the sequence from the first to the last, `[4]`.
        noise: u of the tokens a, b, c, d, `[4]`.
        links: e_ij, `[4, 4]`.
        e_p: weight of the relative position.
        sign: see `generate`.

    Returns:
        Values of the tokens a, b, c, d, `[4]`.
    """
    values = np.zeros(4)
    for place, token in enumerate(order, start=1):
        value = noise[token] + ALPHA * place
        for earlier, other in enumerate(order[: place - 1], start=1):
            distance = earlier - place if sign == "paper" else place - earlier
            value += (links[other, token] + e_p * distance) * values[other]
        values[token] = value
    return values


def loss_floor(links: NDArray[np.float64], *, e_p: float, sigma: float, sign: Sign = "paper") -> float:
    r"""Smallest mean squared error any model can reach: order, values and all coefficients known.

    Given the order, values are jointly normal and :math:`v = B v + u + \alpha p`, so the precision matrix is
    :math:`(1-B)^T(1-B)/\sigma^2` and the variance of one value given the three others is

    .. math:: \sigma^2 / (1 + \sum_{j \text{ after } k} \beta(k, j)^2)

    averaged here over the 24 orders and the four tokens to be masked.
    """
    from itertools import permutations

    orders = np.array(list(permutations(range(4))))
    beta = _beta(orders, links, e_p, sign)
    later = np.triu(np.ones((4, 4)), 1)
    return float((sigma**2 / (1 + (beta**2 * later).sum(2))).mean())


def _values(
    order: NDArray[np.int64],
    noise: NDArray[np.float64],
    links: NDArray[np.float64],
    e_p: float,
    sign: Sign,
) -> NDArray[np.float64]:
    beta = _beta(order, links, e_p, sign)
    values = np.take_along_axis(noise, order, 1) + ALPHA * np.arange(1, 5)
    for place in range(1, 4):
        values[:, place] += (beta[:, :place, place] * values[:, :place]).sum(1)
    return values


def _beta(order: NDArray[np.int64], links: NDArray[np.float64], e_p: float, sign: Sign) -> NDArray[np.float64]:
    """Eq. 16 for all pairs of places (from, to) of every sequence, `[N, 4, 4]`."""
    distance = np.arange(4)[:, None] - np.arange(4)[None, :]
    if sign == "reversed":
        distance = -distance
    relative: NDArray[np.float64] = links[order[:, :, None], order[:, None, :]] + e_p * distance
    return relative


def _unordered(order: NDArray[np.int64], values: NDArray[np.float64], links: NDArray[np.float64]) -> Samples:
    place = np.argsort(order, axis=1)
    return Samples(place + 1, np.take_along_axis(values, place, 1), links)


def _generator(seed: int, e_p: float, sigma: float, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, round(1e6 * e_p), round(1e6 * sigma), stream])


def _check_sign(sign: str) -> None:
    if sign not in get_args(Sign):
        raise ConfigError(f"There is no sign {sign!r}.{did_you_mean(sign, get_args(Sign))}")
