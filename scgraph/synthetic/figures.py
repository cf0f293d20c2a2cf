"""Figure 3 of the paper: best test loss against e_p, and test loss over epochs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["figure_bytes", "loss_over_e_p", "loss_over_epochs"]

COLORS = {"tf": "#bd1f01", "gnn": "#2f8f4e"}
NAMES = {"tf": "TF", "gnn": "GNN"}
FAINT = "#d9dce1"
INK = "#22262d"


def loss_over_e_p(table: pd.DataFrame) -> Figure:
    """Figure 3a: best test loss against e_p, one panel a sigma; the paper's losses dashed, the floor dotted."""
    sigmas = sorted(table["sigma"].unique())
    figure = _figure(1.0 + 2.0 * len(sigmas), 2.9)
    axes = figure.subplots(1, len(sigmas), sharex=True, sharey=True, squeeze=False)[0]
    for axis, sigma in zip(axes, sigmas, strict=True):
        part = table[table["sigma"] == sigma].sort_values("e_p")
        x = part["e_p"].to_numpy()
        for name, color in COLORS.items():
            axis.plot(x, part[f"{name}_best"], color=color, marker="o", markersize=4, label=NAMES[name])
            axis.plot(
                x,
                part[f"paper_{name}"],
                color=color,
                marker="x",
                markersize=4,
                linewidth=1,
                linestyle="--",
                alpha=0.7,
                label=f"{NAMES[name]}, paper",
            )
        axis.plot(x, part["floor"], color=INK, linewidth=1, linestyle=":", label="floor")
        axis.set_title(f"σ = {sigma:g}", loc="left", fontsize=10)
        axis.set_yscale("log")
        axis.set_xlabel("e_p")
        axis.grid(axis="y", color=FAINT, linewidth=0.7)
    axes[0].set_ylabel("best test loss")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9)
    return figure


def loss_over_epochs(curves: pd.DataFrame) -> Figure:
    """Figure 3b: test loss over epochs at the smallest e_p of the grid and at 0.5 or the largest; a line a sigma."""
    from matplotlib.lines import Line2D

    present = sorted(curves["e_p"].unique())
    shown = list(dict.fromkeys((present[0], 0.5 if 0.5 in present else present[-1])))
    sigmas = sorted(curves["sigma"].unique())
    figure = _figure(9.6, 3.4)
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    strength = np.linspace(0.35, 1.0, len(sigmas))
    for axis, e_p in zip(axes, shown, strict=True):
        for name, color in COLORS.items():
            for sigma, alpha in zip(sigmas, strength, strict=True):
                chosen = (curves["model"] == name) & (curves["e_p"] == e_p) & (curves["sigma"] == sigma)
                part = curves[chosen]
                axis.plot(part["epoch"], part["test"], color=color, alpha=alpha, linewidth=1.3)
        axis.set_title(f"e_p = {e_p:g}", loc="left", fontsize=10)
        axis.set_yscale("log")
        axis.set_xlabel("epoch")
        axis.grid(axis="y", color=FAINT, linewidth=0.7)
    axes[0].set_ylabel("test loss")
    handles = [Line2D([], [], color=color) for color in COLORS.values()]
    handles += [Line2D([], [], color=INK, alpha=alpha) for alpha in strength]
    labels = [*(NAMES[name] for name in COLORS), *(f"σ = {sigma:g}" for sigma in sigmas)]
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9)
    return figure


def figure_bytes(figure: Figure, *, form: Literal["png", "svg"]) -> bytes:
    """The figure as a file; equal input gives equal bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "scgraph", "svg.fonttype": "path"}):
        metadata = {"Date": None} if form == "svg" else {}
        figure.savefig(buffer, format=form, dpi=110, metadata=metadata, facecolor="white")
    return buffer.getvalue()


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
