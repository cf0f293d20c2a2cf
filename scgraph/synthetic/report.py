"""Files of a run of the synthetic example."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.files import json_text, write_atomic
from scgraph.reporting.environment import environment
from scgraph.reporting.escape import csv_text
from scgraph.synthetic.figures import figure_bytes, loss_over_e_p, loss_over_epochs
from scgraph.synthetic.paper import PAPER_E_P
from scgraph.synthetic.tables import SELECTIONS, ratios_markdown, table1_markdown, variants_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from scgraph.synthetic.config import SyntheticConfig
    from scgraph.synthetic.train import Curves, Setting

__all__ = ["write_run", "write_variants"]

CURVE_DIGITS = "%.4g"
LOSS_DIGITS = "%.6g"


def write_run(
    folder: Path,
    config: SyntheticConfig,
    settings: Sequence[Setting],
    curves: Mapping[str, Curves],
    losses: pd.DataFrame,
    table: pd.DataFrame,
    *,
    seconds: float,
    command: Sequence[str] | None,
) -> None:
    """Write all files of `run_synthetic` into a folder that exists."""
    means = curve_table(settings, curves)
    write_atomic(folder / "curves.csv", csv_text(means, float_format=CURVE_DIGITS))
    write_atomic(folder / "losses.csv", csv_text(losses, float_format=LOSS_DIGITS))
    write_atomic(folder / "table1.csv", csv_text(table, float_format=LOSS_DIGITS))
    write_atomic(folder / "table1.md", _run_page(table))
    for name, figure in {"figure3a": loss_over_e_p(table), "figure3b": loss_over_epochs(means)}.items():
        for form in ("png", "svg"):
            write_atomic(folder / f"{name}.{form}", figure_bytes(figure, form=form))
    _write_origin(folder, config, seconds=seconds, command=command)


def write_variants(
    folder: Path,
    config: SyntheticConfig,
    losses: pd.DataFrame,
    table: pd.DataFrame,
    *,
    seconds: float,
    command: Sequence[str] | None,
) -> None:
    """Write all files of `run_variants` into a folder that exists."""
    write_atomic(folder / "losses.csv", csv_text(losses, float_format=LOSS_DIGITS))
    write_atomic(folder / "variants.csv", csv_text(table, float_format=LOSS_DIGITS))
    write_atomic(folder / "variants.md", _variants_page(table))
    _write_origin(folder, config, seconds=seconds, command=command)


def curve_table(settings: Sequence[Setting], curves: Mapping[str, Curves]) -> pd.DataFrame:
    """Losses after every epoch, means over seeds: columns model, e_p, sigma, epoch, validation, test."""
    import pandas as pd

    parts = []
    for name, curve in curves.items():
        runs, epochs = curve.test.shape
        grid = {
            "model": name,
            "e_p": np.repeat([s.e_p for s in settings], epochs),
            "sigma": np.repeat([s.sigma for s in settings], epochs),
            "epoch": np.tile(np.arange(1, epochs + 1), runs),
            "validation": curve.validation.ravel(),
            "test": curve.test.ravel(),
        }
        parts.append(pd.DataFrame(grid))
    keys = ["model", "e_p", "sigma", "epoch"]
    return pd.concat(parts).groupby(keys, sort=False, as_index=False).mean()


def _run_page(table: pd.DataFrame) -> str:
    seeds = int(table["seeds"].max())
    count = f"{seeds} seeds" if seeds > 1 else "one seed"
    blocks = ["# Table I\n", f"Test losses, mean of {count}; the paper's numbers in brackets.\n"]
    for selection, title in SELECTIONS.items():
        blocks += [f"## Epoch {title}\n", table1_markdown(table, selection=selection)]
    blocks += ["## Mean ratio over sigma\n", ratios_markdown(table)]
    return "\n".join(blocks)


def _variants_page(table: pd.DataFrame) -> str:
    titles = {
        "ratio_best": "Mean ratio to tf of the same sign, epoch best on test",
        "ratio_selected": "Mean ratio to tf of the same sign, epoch selected on validation",
        "loss_best": "Mean test loss, epoch best on test",
        "paper_gnn_factor": "Test loss over the paper's GNN loss, geometric mean over sigma",
    }
    if not set(table["e_p"]) & set(PAPER_E_P):
        titles.pop("paper_gnn_factor")
    blocks = ["# Readings of the paper\n"]
    for value, title in titles.items():
        blocks += [f"## {title}\n", variants_markdown(table, value=value)]
    return "\n".join(blocks)


def _write_origin(folder: Path, config: SyntheticConfig, *, seconds: float, command: Sequence[str] | None) -> None:
    import yaml

    write_atomic(folder / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    origin = environment(command) | {"seconds": round(seconds, 1)}
    write_atomic(folder / "environment.json", json_text(origin))
