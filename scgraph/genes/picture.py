"""A picture of the strongest part of a gene graph: hubs, the genes that listen to them most, and their modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.reporting.drawing import FAINT, INK, class_color, data_uri, new_figure, plain, png

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.figure import Figure

__all__ = ["MOST_NODES", "draw_network", "figure_bytes", "strongest_part"]

MOST_NODES = 60
_HUBS = 10
_COLORS = 9


def strongest_part(graph: nx.DiGraph, *, most: int = MOST_NODES) -> nx.DiGraph:
    """Return hubs and the genes that listen to each of them most, `most` nodes at the most, with all their edges.

    The hub of greatest out-strength of every module comes first, then the next ones, until there are ten; each brings
    its strongest listeners that no hub before it brought.
    """
    rank = sorted(graph, key=lambda name: (-graph.nodes[name]["out_strength"], name))
    place: dict[str, int] = {}
    seen: dict[int, int] = {}
    for name in rank:
        module = graph.nodes[name]["module"]
        place[name] = seen.get(module, 0)
        seen[module] = place[name] + 1
    # Modules of two or three genes are no part worth a place.
    large = {module for module, size in seen.items() if size >= min(5, max(seen.values()))}
    order = sorted((name for name in rank if graph.nodes[name]["module"] in large), key=lambda name: place[name])
    chosen: dict[str, None] = {}
    hubs = order[: min(_HUBS, most)]
    each = max(0, most // max(1, len(hubs)) - 1)
    chosen.update(dict.fromkeys(hubs))
    for hub in hubs:
        listeners = sorted(graph.out_edges(hub, data="weight"), key=lambda edge: (-edge[2], edge[1]))
        fresh = [name for _, name, weight in listeners if name not in chosen and weight > 0]
        chosen.update(dict.fromkeys(fresh[:each]))
    return graph.subgraph(list(chosen)[:most])


def draw_network(graph: nx.DiGraph, *, seed: int = 0, most: int = MOST_NODES) -> Figure:
    """Draw `strongest_part` of a graph: size is out-strength, colour the module, width the weight of an edge.

    Args:
        graph: of `to_networkx`.
        seed: of the layout.
        most: nodes drawn.
    """
    import networkx as nx
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    part = strongest_part(graph, most=most)
    names = sorted(part)  # a subgraph lists its nodes in an order of its own
    links = sorted((one, other, weight) for one, other, weight in part.edges(data="weight") if weight > 0)
    together = nx.Graph()
    together.add_nodes_from(names)
    together.add_weighted_edges_from(links)
    layout: Any = nx.spring_layout(together, k=1.9 / np.sqrt(len(names)), iterations=300, seed=seed, weight=None)
    place = _apart(np.array([layout[name] for name in names]))
    at = dict(zip(names, place, strict=True))
    strength = np.array([max(0.0, part.nodes[name]["out_strength"]) for name in names])
    size = 40 + 420 * strength / max(float(strength.max()), 1e-12)
    modules = sorted({part.nodes[name]["module"] for name in names})
    shades = {module: class_color(number % _COLORS) for number, module in enumerate(modules)}

    figure = new_figure(10.5, 8.6)
    axis = figure.subplots()
    axis.set_axis_off()
    top = max((weight for *_, weight in links), default=1.0)
    for one, other, weight in links:
        start, end = at[one], at[other]
        axis.annotate(
            "",
            end,
            start,
            arrowprops={
                "arrowstyle": "-|>",
                "color": shades[part.nodes[one]["module"]],
                "alpha": 0.55,
                "linewidth": 0.5 + 1.6 * weight / top,
                "shrinkA": 4,
                "shrinkB": 6,
                "mutation_scale": 8,
            },
        )
    axis.scatter(
        place[:, 0],
        place[:, 1],
        s=size,
        c=[shades[part.nodes[name]["module"]] for name in names],
        edgecolors=FAINT,
        zorder=3,
    )
    for name, spot, area in zip(names, place, size, strict=True):
        axis.annotate(
            plain(name),
            (spot[0], spot[1]),
            xytext=(0, 3 + np.sqrt(area) / 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8 if area < 200 else 9.5,
            fontweight="normal" if area < 200 else "bold",
            color=INK,
            zorder=4,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
    handles = [
        Line2D([], [], color=shades[module], marker="o", linestyle="none", label=f"module {module}")
        for module in modules
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)), frameon=False, fontsize=8.5)
    axis.margins(0.07)
    return figure


def figure_bytes(figure: Figure, suffix: str) -> bytes:
    """Return a figure as the content of an .svg or .png file; equal input gives equal bytes."""
    import base64

    return base64.b64decode(data_uri(figure).partition(",")[2]) if suffix == ".svg" else png(figure, dpi=170, colors=96)


def _apart(place: np.ndarray) -> np.ndarray:
    """Move nodes apart that lie so close that their labels would cover each other."""
    low, high = place.min(axis=0), place.max(axis=0)
    spot = (place - low) / np.where(high > low, high - low, 1.0)
    reach = np.array([0.105, 0.05])
    for _ in range(300):
        gap = (spot[:, None] - spot[None]) / reach
        distance = np.hypot(gap[..., 0], gap[..., 1])
        np.fill_diagonal(distance, np.inf)
        if distance.min() >= 1:
            break
        # Two nodes at one place are pushed apart along a direction of their own.
        angle = 2.4 * np.arange(len(spot))
        push = np.clip(1 - distance, 0, 1)
        spot = (
            spot + 0.25 * reach * (gap * push[..., None]).sum(axis=1) / np.maximum(1, (push > 0).sum(axis=1))[:, None]
        )
        spot = spot + 1e-5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(spot)
