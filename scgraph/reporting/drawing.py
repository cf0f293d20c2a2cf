"""What the figures of a bench share: colours, labels that are safe to draw, and the way into a page.

Colours are the ten of Petroff (2021, arXiv:2107.02270), chosen to be told apart with a colour vision
deficiency; beyond ten classes the marker changes as well, and classes carry numbers.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from scgraph.reporting.fonts import with_fonts
from scgraph.reporting.tables import quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

import base64
import math
import re
from typing import TYPE_CHECKING, Literal

import numpy as np

from scgraph.reporting.escape import for_terminal
from scgraph.reporting.rows import UNTRAINED, row_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "BASELINE_GRAY",
    "FAINT",
    "INK",
    "MARKERS",
    "MOST_CLASSES",
    "bar_panel",
    "class_color",
    "class_legend",
    "class_marker",
    "data_uri",
    "image_bytes",
    "log_axis",
    "model_colors",
    "model_label",
    "new_figure",
    "number_classes",
    "open_axis",
    "plain",
    "png",
]

DARKER = 0.62

PETROFF = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
MARKERS = ("o", "^", "s", "D", "v", "P")
BASELINE_GRAY = "#8a8f98"
COMBINED_GRAY = "#5d636d"
INK = "#22262d"
FAINT = "#d9dce1"
SOFT = "#9aa1ab"
LONGEST_LABEL = 34
MOST_CLASSES = 200
"""Classes that a figure names, or divides its cells by: more cannot be told apart."""


def model_colors(models: Iterable[str]) -> dict[str, str]:
    """One colour a model, the same in every figure; an untrained row has the colour of its model.

    Baselines are gray, and so are, darker, components beside a model and models that were fine-tuned.
    """
    # The grays of the palette are left to the baselines.
    vivid = [color for i, color in enumerate(PETROFF) if i not in (3, 8)]
    grays = {"baseline": BASELINE_GRAY, "combined": COMBINED_GRAY, "fine-tuned": COMBINED_GRAY}
    colors: dict[str, str] = {}
    for name in dict.fromkeys(m.removesuffix(UNTRAINED) for m in models):
        position = sum(row_kind(n) == "trained" for n in colors)
        colors[name] = grays.get(row_kind(name)) or _darkened(vivid[position % len(vivid)], position // len(vivid))
    return colors | {name + UNTRAINED: color for name, color in colors.items()}


def _darkened(color: str, times: int) -> str:
    """The colour of a model beyond those of the palette."""
    parts = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(part * DARKER**times):02x}" for part in parts)


def data_uri(figure: Figure, *, form: Literal["svg", "png"] = "svg") -> str:
    """The figure as a `data:` address for a page that stands alone; equal input gives equal bytes."""
    kind = "svg+xml" if form == "svg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(image_bytes(figure, form=form)).decode('ascii')}"


def image_bytes(figure: Figure, *, form: Literal["svg", "png"] = "svg", description: str | None = None) -> bytes:
    """The figure as a file, an SVG with a description for whoever cannot see it; equal input gives equal bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with (
        matplotlib.rc_context({"svg.hashsalt": "scgraph", "svg.fonttype": "path"}),
        with_fonts(figure),
    ):
        metadata = {"Date": None, "Description": description} if form == "svg" else {}
        figure.savefig(buffer, format=form, dpi=170, metadata=metadata, facecolor="white")
    return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, laid out so that nothing overlaps."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def open_axis(axis: Axes) -> None:
    """Leave only the left and lower edge of the frame, in a soft tone."""
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(SOFT)
    axis.tick_params(color=SOFT, labelcolor=INK)
    axis.set_axisbelow(True)


def bar_panel(axis: Axes, title: str, lengths: Iterable[float], colors: Sequence[str], hatched: Sequence[bool]) -> None:
    """Draw a horizontal bar a row under a title, those that are hatched white with an edge of their color."""
    for row, (length, color, is_hatched) in enumerate(zip(lengths, colors, hatched, strict=True)):
        axis.barh(
            row,
            length,
            height=0.68,
            color="white" if is_hatched else color,
            edgecolor=color,
            hatch="////" if is_hatched else None,
            linewidth=1,
        )
    axis.set_title(title, loc="left", fontsize=10.5)
    axis.grid(axis="x", color=FAINT, linewidth=0.7)
    open_axis(axis)
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)


def plain(label: object) -> str:
    """A label as matplotlib may draw it: one line, not too long, no mathematics between dollars."""
    text = for_terminal(" ".join(str(label).split()))
    text = text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
    return text.replace("$", r"\$")


def model_label(name: str) -> str:
    """A model as figures name it: of an import path the last module and the class, ``nn.SAGEConv untrained``."""
    return plain(re.sub(r"^.*\.(?=[^.:]+[.:][^.:]+$)", "", name))


def class_color(code: int) -> str:
    """Colour of a class code; repeats after ten, where the marker changes."""
    return PETROFF[code % len(PETROFF)]


def class_marker(code: int) -> str:
    """Marker of a class code."""
    return MARKERS[code // len(PETROFF) % len(MARKERS)]


def class_legend(figure: Figure, classes: Sequence[str], per_row: int) -> None:
    """Number, marker, colour and name of every class below the figure."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=class_color(k), marker=class_marker(k), linestyle="none", markersize=6)
        for k in range(len(classes))
    ]
    names = [f"{k + 1}  {plain(name)}" for k, name in enumerate(classes)]
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(per_row, max(1, len(classes))),
        frameon=False,
        fontsize=8.5,
        handletextpad=0.2,
        columnspacing=1.2,
    )


def number_classes(axis: Axes, plane: NDArray[np.float64], codes: NDArray[np.int64]) -> None:
    """A number above the median of every class, moved apart where two would lie on each other."""
    from matplotlib.patheffects import withStroke

    present = np.unique(codes)
    low, high = plane.min(0), plane.max(0)
    span = np.where(high > low, high - low, 1.0)
    places = np.array([np.median(plane[codes == k], axis=0) for k in present])
    places = (places - low) / span
    clearance = 0.055
    for _ in range(200):
        apart = places[:, None] - places[None]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        np.fill_diagonal(distance, np.inf)
        if distance.min() >= clearance:
            break
        # Two medians at one place are pushed apart along a direction of their own.
        angle = 2.4 * np.arange(len(present))
        nudge = 1e-6 * np.stack([np.cos(angle), np.sin(angle)], 1)
        push = np.maximum(clearance / np.maximum(distance, 1e-6) - 1, 0.0)
        places = places + 0.3 * (apart * push[..., None]).sum(1) + nudge
    for code, place in zip(present, np.clip(places, 0, 1) * span + low, strict=True):
        axis.annotate(
            str(code + 1),
            (place[0], place[1]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            color=INK,
            path_effects=[withStroke(linewidth=1.8, foreground="white")],
        )


def log_axis(axis: Axes, values: Sequence[float]) -> None:
    """Log scale with a few labelled ticks: 1, 2, 5 times powers of ten, with k, M, G behind them."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if not values:
        axis.set_xticks([])
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", va="center", color=INK)
        return
    low, high = min(values) / 1.5, max(values) * 1.5
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    steps = (1, 2, 5) if high / low < 300 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in decades for step in steps]
    axis.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.xaxis.set_minor_locator(NullLocator())

    def name(value: float, _: int | None) -> str:
        text = quantity(value)
        number, _space, unit = text.partition(" ")
        return f"{float(number):g}{unit}" if value >= 1 else f"{value:g}"

    axis.xaxis.set_major_formatter(FuncFormatter(name))


def png(figure: Figure, *, dpi: int = 110, colors: int = 192) -> bytes:
    """The figure as a PNG of few colours, a third of the size; equal input gives equal bytes."""
    from PIL import Image

    buffer, small = io.BytesIO(), io.BytesIO()
    with with_fonts(figure):
        figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    Image.open(buffer).convert("RGB").quantize(colors, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()
