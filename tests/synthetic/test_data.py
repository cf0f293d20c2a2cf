"""Samples of Algorithm 1 against Eq. 15 and 16 written out, and the smallest loss they allow."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from scgraph.errors import ConfigError
from scgraph.synthetic import data


@pytest.mark.parametrize("sign", ["paper", "reversed"])
def test_generated_values_are_those_of_the_plain_loop(sign: data.Sign) -> None:
    rng = np.random.default_rng(0)
    links = rng.uniform(0.2, 0.5, (4, 4))
    order = np.array([rng.permutation(4) for _ in range(200)])
    noise = rng.normal(data.MU, 0.4, (200, 4))
    fast = data._unordered(order, data._values(order, noise, links, 0.3, sign), links)
    plain = [data.values_plain(o, u, links, e_p=0.3, sign=sign) for o, u in zip(order, noise, strict=True)]
    np.testing.assert_allclose(fast.values, plain, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(fast.positions[np.arange(200), order[:, 2]], 3)


def test_the_plain_loop_by_hand() -> None:
    links = np.full((4, 4), 0.3)
    # d, a, b, c of the paper's example; without noise, d = 0.5 - 0.1 and a = -0.5 - 0.2 + beta(d, a) d.
    for sign, beta in (("paper", 0.3 - 0.2), ("reversed", 0.3 + 0.2)):
        values = data.values_plain(np.array([3, 0, 1, 2]), np.array(data.MU), links, e_p=0.2, sign=sign)
        assert values[3] == pytest.approx(0.4)
        assert values[0] == pytest.approx(-0.7 + beta * 0.4)


def test_samples_are_a_function_of_the_setting_alone() -> None:
    first = data.generate(500, e_p=0.2, sigma=0.3, seed=1)
    again = data.generate(500, e_p=0.2, sigma=0.3, seed=1)
    np.testing.assert_array_equal(first.values, again.values)
    others = [
        data.generate(500, e_p=0.2, sigma=0.3, seed=2),
        data.generate(500, e_p=0.2, sigma=0.4, seed=1),
        data.generate(500, e_p=0.3, sigma=0.3, seed=1),
    ]
    for other in others:
        assert not np.isclose(other.coefficients, first.coefficients).any()
    part = data.generate(500, e_p=0.2, sigma=0.3, seed=1, part=1)
    np.testing.assert_array_equal(part.coefficients, first.coefficients)
    assert not np.isclose(part.values, first.values).all(1).any()


def test_orders_and_coefficients_are_uniform() -> None:
    samples = data.generate(24_000, e_p=0.5, sigma=0.1, seed=0)
    counts = np.unique(samples.positions, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    # Three standard deviations of a count of 1,000, and room for the largest of 24.
    assert abs(counts - 1000).max() < 130
    assert samples.coefficients.min() > 0.2
    assert samples.coefficients.max() < 0.5


@pytest.mark.parametrize("sign", ["paper", "reversed"])
def test_floor_is_the_loss_of_least_squares_given_the_order(sign: data.Sign) -> None:
    samples = data.generate(60_000, e_p=0.4, sigma=0.3, seed=3, sign=sign)
    losses = []
    for places in permutations(range(1, 5)):
        x = samples.values[(samples.positions == places).all(1)]
        for k in range(4):
            design = np.c_[np.ones(len(x)), np.delete(x, k, 1)]
            losses.append(np.linalg.lstsq(design, x[:, k], rcond=None)[1][0] / len(x))
    floor = data.loss_floor(samples.coefficients, e_p=0.4, sigma=0.3, sign=sign)
    assert np.mean(losses) == pytest.approx(floor, rel=0.02)


def test_an_unknown_sign_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"There is no sign 'papr'\. Did you mean 'paper'"):
        data.generate(10, e_p=0.1, sigma=0.1, seed=0, sign="papr")  # type: ignore[arg-type]
