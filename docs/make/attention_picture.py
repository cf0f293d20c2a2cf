"""Draw docs/attention_is_message_passing.svg: the weights of three genes as a graph and as a matrix.

`python -m docs.make` writes it.
"""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import TYPE_CHECKING

import networkx as nx
import torch

from scgraph.reporting.drawing import INK, PETROFF, SOFT, data_uri, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

PICTURE = Path(__file__).resolve().parents[1] / "attention_is_message_passing.svg"
GENES = ("CD3E", "CD8A", "LYZ")
# The cell of the page.
FEATURES = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
PLACES = {0: (-1.0, -0.58), 1: (0.0, 0.95), 2: (1.0, -0.58)}
RADIUS = 0.3
SIZE = 1700
"""Area of a gene in points², a disc of about `RADIUS`."""


def weights() -> torch.Tensor:
    """Softmax of the products of the features, row i over the senders j of gene i."""
    return torch.softmax(FEATURES @ FEATURES.T / 2**0.5, dim=1)


def draw() -> Figure:
    """The figure."""
    figure = new_figure(10.0, 3.8)
    graph, matrix = figure.subplots(1, 2, width_ratios=(1.0, 1.25))
    _draw_graph(graph)
    _draw_matrix(matrix)
    return figure


def _draw_graph(axis: Axes) -> None:
    from matplotlib.patches import FancyArrowPatch

    alpha = weights()
    drawn = nx.DiGraph()
    drawn.add_nodes_from(PLACES)
    for i in range(3):
        for j in range(3):
            if i != j:
                drawn.add_edge(j, i)
    nx.draw_networkx_nodes(drawn, PLACES, ax=axis, node_size=SIZE, node_color="white", edgecolors=INK)
    nx.draw_networkx_labels(drawn, PLACES, dict(enumerate(GENES)), ax=axis, font_size=10, font_color=INK)
    for j, i in drawn.edges:
        nx.draw_networkx_edges(
            drawn, PLACES, edgelist=[(j, i)], ax=axis, width=_width(alpha[i, j]), edge_color=PETROFF[i],
            connectionstyle="arc3,rad=0.2", node_size=SIZE, arrowsize=14,
        )  # fmt: skip
        (x0, y0), (x1, y1) = PLACES[j], PLACES[i]
        # Beside the middle of the arc, on its outer side.
        middle = ((x0 + x1) / 2 + 0.19 * (y1 - y0), (y0 + y1) / 2 - 0.19 * (x1 - x0))
        _weight(axis, middle, alpha[i, j])
    for i, (x, y) in PLACES.items():
        outward = math.atan2(y, x)
        start, end = (
            (x + RADIUS * math.cos(angle), y + RADIUS * math.sin(angle)) for angle in (outward + 0.6, outward - 0.6)
        )
        loop = FancyArrowPatch(
            start, end, connectionstyle="arc3,rad=-1.7", arrowstyle="-|>", mutation_scale=14, color=PETROFF[i],
            linewidth=_width(alpha[i, i]), shrinkA=0, shrinkB=0,
        )  # fmt: skip
        axis.add_patch(loop)
        _weight(axis, (x + 0.78 * math.cos(outward), y + 0.78 * math.sin(outward)), alpha[i, i])
    axis.set_xlim(-2.0, 2.0)
    axis.set_ylim(-1.3, 2.0)
    axis.set_title("messages: edge j → i carries α_ij x_j, gene i adds up", loc="left", fontsize=10.5)
    axis.axis("off")


def _draw_matrix(axis: Axes) -> None:
    alpha = weights()
    parts = (("α", alpha, 0.0), ("X", FEATURES, 4.2), ("Y", alpha @ FEATURES, 7.4))
    for name, table, left in parts:
        rows, columns = table.shape
        for i in range(rows):
            for j in range(columns):
                share = float(alpha[i, j]) if name == "α" else 0.0
                axis.add_patch(_cell(left + j, 2.0 - i, PETROFF[i] if name == "α" else "white", 0.85 * share))
                axis.text(left + j + 0.5, 2.5 - i, f"{float(table[i, j]):.2f}", ha="center", va="center", color=INK)
        axis.text(left + columns / 2, 3.25, name, ha="center", fontsize=12, color=INK)
    axis.text(3.6, 1.5, "·", ha="center", va="center", fontsize=18, color=INK)
    axis.text(6.8, 1.5, "=", ha="center", va="center", fontsize=16, color=INK)
    for i, gene in enumerate(GENES):
        axis.text(-0.15, 2.5 - i, gene, ha="right", va="center", color=PETROFF[i])
        axis.text(i + 0.5, -0.15, gene, ha="center", va="top", color=INK, fontsize=9)
    axis.set_xlim(-1.2, 9.6)
    axis.set_ylim(-1.6, 4.5)
    axis.set_title("dense: the same as one product, Y = α X", loc="left", fontsize=10.5)
    axis.axis("off")


def _width(weight: torch.Tensor) -> float:
    return 0.8 + 5 * float(weight)


def _weight(axis: Axes, place: tuple[float, float], weight: torch.Tensor) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axis.text(*place, f"{float(weight):.2f}", color=INK, ha="center", va="center", fontsize=9, bbox=box)


def _cell(left: float, bottom: float, color: str, strength: float) -> Rectangle:
    from matplotlib import patches
    from matplotlib.colors import to_rgba

    return patches.Rectangle((left, bottom), 1, 1, facecolor=to_rgba(color, strength), edgecolor=SOFT)


def write() -> None:
    """Write the picture."""
    PICTURE.write_bytes(base64.b64decode(data_uri(draw()).partition(",")[2]))
