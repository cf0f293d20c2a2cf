"""What is made of values at the input: formulas, zeros, what is saved."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scgraph.errors import ConfigError
from scgraph.nn.transforms import ValueTransform

COUNTS = torch.tensor([[0.0, 1.0, 7.0, 92.0], [3.0, 0.0, 0.0, 1.0]])
GENES = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 4]])
VALUES = torch.log1p(1e4 * COUNTS / COUNTS.sum(dim=1, keepdim=True))


def test_square_roots_are_those_of_counts_per_thousand() -> None:
    got = ValueTransform("sqrt", 4)(VALUES, GENES)
    torch.testing.assert_close(got[..., 0], (1000 * COUNTS / COUNTS.sum(dim=1, keepdim=True)).sqrt())


def test_pearson_values_are_residuals_at_one_depth_without_the_part_of_zeros() -> None:
    transform = ValueTransform("pearson", 4)
    shares = torch.tensor([0.3, 0.1, 0.0, 0.6], dtype=torch.float64)
    transform.fit(shares, cells=400)
    got = transform(VALUES, GENES)[..., 0].double()
    mean = 3000 * shares
    counts = 3000 * COUNTS.double() / COUNTS.sum(dim=1, keepdim=True)
    residual = (counts - mean) / (mean + mean**2 / 100).sqrt()
    of_zero = -mean / (mean + mean**2 / 100).sqrt()
    expected = torch.where(shares > 0, residual - of_zero, 0.0).clamp(max=20.0)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert float(got.max()) == 20.0


def test_two_kinds_stand_side_by_side_and_zeros_stay_zero() -> None:
    both = ValueTransform("sqrt+pearson", 4)
    alone = [ValueTransform(kind, 4)(VALUES, GENES) for kind in ("sqrt", "pearson")]
    torch.testing.assert_close(both(VALUES, GENES), torch.cat(alone, dim=-1))
    assert not both(VALUES, GENES)[COUNTS == 0].any()
    assert torch.equal(ValueTransform("log1p", 4)(VALUES, GENES)[..., 0], VALUES)


def test_shares_are_saved_with_the_model_and_log1p_has_none() -> None:
    fitted = ValueTransform("pearson", 4)
    fitted.fit(torch.tensor([0.5, 0.2, 0.2, 0.1]), cells=9)
    loaded = ValueTransform("pearson", 4)
    loaded.load_state_dict(fitted.state_dict())
    assert torch.equal(loaded(VALUES, GENES), fitted(VALUES, GENES))
    assert not ValueTransform("log1p", 4).state_dict()


def test_unknown_values_are_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'pearson'"):
        ValueTransform("perason", 4)


def test_half_precision_stays_finite() -> None:
    values = torch.tensor([[float(np.log1p(1e4))]], dtype=torch.bfloat16)
    assert torch.isfinite(ValueTransform("sqrt+pearson", 4)(values, torch.tensor([[1]]))).all()
