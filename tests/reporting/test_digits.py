"""Four digits in every table of the terminal."""

from __future__ import annotations

import re

import pytest

from scgraph.cli.terminal import show_rows
from scgraph.reporting.digits import four_digits
from scgraph.reporting.tables import quantity


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (1.0, "1.000"),
        (0.99996, "1.0000"),
        (9.9996, "10.00"),
        (999.96, "1,000"),
        (-0.5, "-0.5000"),
        (0.00004, "4e-05"),
        (float("inf"), "-"),
        (123456.7, "123,457"),
    ],
)
def test_four_digits(value: float, text: str) -> None:
    assert four_digits(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(2.0123e9, "2.012 G"), (999_960, "1.000 M"), (99_996, "100.0 k"), (12, "12")]
)
def test_quantities_of_four_digits(value: float, text: str) -> None:
    assert quantity(value, digits=4) == text


def test_rows_are_shown_in_four_digits(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows("x", [{"model": "gnn", "macro_f1": 6 / 7, "mse": 0.000123456, "loss": 12.345678, "n_test": 210}])
    shown = capsys.readouterr().out.splitlines()[-2]
    assert re.findall(r"[\d.]+", shown) == ["0.8571", "0.0001235", "12.35", "210"]
