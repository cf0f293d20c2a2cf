"""What `scatter` measures: layers on edges, and sums of messages, with torch-scatter and without."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
import torch_geometric.typing
from torch import Tensor, nn
from torch_geometric.utils import scatter, segment

from benchmarks.harness.children import NOT_INSTALLED
from benchmarks.harness.rounds import Ratio, interleaved, ratio, warmed
from benchmarks.harness.text import markdown_table
from scgraph.nn import CellGraph, FactorizedAdjacency
from scgraph.nn.conv.registry import conv_class, conv_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure

__all__ = ["ScatterSizes", "draw_scatter", "measure_scatter", "scatter_table", "switched"]

HEADS = 8


@dataclass(frozen=True)
class ScatterSizes:
    """Sizes of the measurement.

    Attributes:
        genes: genes of a cell G.
        top_k: senders of a gene k.
        channels: width C.
        rank: rank R of the adjacency.
        cells: cells of the batch.
    """

    genes: int
    top_k: int = 16
    channels: int = 256
    rank: int = 48
    cells: int = 8

    @property
    def senders(self) -> int:
        """Senders of a gene, never more than there are genes."""
        return min(self.top_k, self.genes)


@dataclass(frozen=True)
class Case:
    """A layer on edges, or a sum of messages.

    Attributes:
        name: in the table.
        whose: "scgraph", "PyG" or "sum".
        run: forward and backward with what PyG chooses.
        direct: forward and backward by torch-scatter itself; None where PyG chooses.
    """

    name: str
    whose: str
    run: Callable[[], None]
    direct: Callable[[], None] | None = None


def measure_scatter(sizes: ScatterSizes, *, rounds: int, seconds: float, with_scatter: bool) -> list[dict[str, Any]]:
    """One row a case: milliseconds with torch-scatter and without, and the ratio of the two by round.

    Args:
        sizes: the same for all.
        rounds: at most.
        seconds: no round but the first is started after so long.
        with_scatter: whether torch-scatter is there; without it that side is not measured.
    """
    torch.manual_seed(0)
    ids = torch.stack([torch.randperm(sizes.genes) + 1 for _ in range(sizes.cells)])
    adjacency = FactorizedAdjacency(sizes.genes, sizes.rank)
    complete = CellGraph(ids, padded=False)
    graph = adjacency.view(complete).top_k_graph(sizes.top_k)
    assert graph.edge_index is not None
    cases = [*_ours(sizes, graph, adjacency), *_pyg(sizes, graph.edge_index), *_sums(sizes, graph.edge_index)]
    steps: dict[str, Callable[[], object]] = {}
    for case in cases:
        steps[f"{case.name}/without"] = switched(case.run, on=False)
        if with_scatter:
            steps[f"{case.name}/with"] = case.direct or switched(case.run, on=True)
    able, failures = warmed(steps)
    calls = {case.name: _calls_it(able[f"{case.name}/with"]) for case in cases if f"{case.name}/with" in able}
    times = interleaved(able, rounds=rounds, seconds=seconds)
    rows = []
    for case in cases:
        without, found = (times.get(f"{case.name}/{side}", []) for side in ("without", "with"))
        between = ratio(without, found) if found and without else ratio([], [])
        said = [failures[key] for side in ("without", "with") if (key := f"{case.name}/{side}") in failures]
        status = said[0] if said else "ok" if with_scatter else NOT_INSTALLED
        rows.append(
            {
                "name": case.name,
                "whose": case.whose,
                "status": status,
                "calls_torch_scatter": calls.get(case.name),
                "edges": graph.edge_index.shape[1],
                "rounds": len(without),
                "without_ms": 1e3 * median(without) if without else None,
                "with_ms": 1e3 * median(found) if found else None,
                "faster": between.median,
                "faster_low": between.low,
                "faster_high": between.high,
            }
        )
    return rows


def scatter_table(rows: Sequence[dict[str, Any]]) -> str:
    """A markdown table with a row a case; what could not be run says so."""
    lines = []
    for row in rows:
        without = "-" if row["without_ms"] is None else f"{row['without_ms']:.2f}"
        found = row["status"] if row["with_ms"] is None else f"{row['with_ms']:.2f}"
        faster = Ratio(row["faster"], row["faster_low"], row["faster_high"], row["rounds"])
        calls = {True: "yes", False: "no"}.get(row["calls_torch_scatter"], "-")
        lines.append([f"`{row['name']}`", row["whose"], without, found, calls, str(faster)])
    header = ["layer", "of", "without, ms", "with torch-scatter, ms", "runs its kernels", "without over with [95 %]"]
    return markdown_table(header, lines)


def draw_scatter(rows: Sequence[dict[str, Any]]) -> Figure:
    """Two bars a case."""
    from scgraph.reporting.drawing import BASELINE_GRAY, FAINT, class_color, new_figure, open_axis

    figure = new_figure(8.4, 1.2 + 0.36 * len(rows))
    axis = figure.subplots()
    places = list(range(len(rows)))[::-1]
    for shift, column, color, label in (
        (0.18, "without_ms", BASELINE_GRAY, "without torch-scatter"),
        (-0.18, "with_ms", class_color(0), "with torch-scatter"),
    ):
        known = [(place + shift, row[column]) for place, row in zip(places, rows, strict=True) if row[column]]
        if known:
            axis.barh([place for place, _ in known], [value for _, value in known], 0.34, color=color, label=label)
    axis.set_yticks(places, [row["name"] for row in rows])
    axis.set_xlabel("forward and backward, ms")
    axis.grid(axis="x", color=FAINT, linewidth=0.7)
    axis.legend(frameon=False, fontsize=9)
    open_axis(axis)
    return figure


def switched(run: Callable[[], None], *, on: bool) -> Callable[[], None]:
    """PyG reads this name whenever it chooses, so both sides can run in one process."""

    def switched() -> None:
        before = torch_geometric.typing.WITH_TORCH_SCATTER
        torch_geometric.typing.WITH_TORCH_SCATTER = on
        try:
            run()
        finally:
            torch_geometric.typing.WITH_TORCH_SCATTER = before

    return switched


def _calls_it(step: Callable[[], object]) -> bool:
    """Whether a step runs a compiled kernel of torch-scatter; some of its functions are PyTorch's own."""
    with torch.autograd.profiler.profile() as profiler:
        step()
    return any(event.name.startswith("torch_scatter::") for event in profiler.function_events or [])


def _step(module: nn.Module, forward: Callable[[Tensor], Tensor], shape: Sequence[int]) -> Callable[[], None]:
    x = torch.randn(*shape, requires_grad=True)
    # Not x.shape: a sum has another one.
    gradient = torch.randn_like(forward(x))

    def run() -> None:
        x.grad = None
        module.zero_grad(set_to_none=True)
        forward(x).backward(gradient)  # type: ignore[no-untyped-call]

    return run


def _ours(sizes: ScatterSizes, graph: CellGraph, adjacency: FactorizedAdjacency) -> list[Case]:
    cases = []
    for name in conv_names():
        cls = conv_class(name)
        options: dict[str, Any] = {"heads": HEADS} if "heads" in cls.search_space else {}
        conv = cls(sizes.channels, **options)

        def forward(x: Tensor, conv: Any = conv) -> Tensor:
            y: Tensor = conv(x, graph, adjacency.view(graph))
            return y

        module = nn.ModuleList([conv, adjacency])
        shape = (sizes.cells, sizes.genes, sizes.channels)
        cases.append(Case(name, "scgraph", _step(module, forward, shape)))
    return cases


def _pyg(sizes: ScatterSizes, edge_index: Tensor) -> list[Case]:
    convs = importlib.import_module("torch_geometric.nn")
    channels, width = sizes.channels, sizes.channels // HEADS
    weight = torch.rand(edge_index.shape[1])
    layers: dict[str, tuple[nn.Module, list[Tensor]]] = {
        "GCNConv": (convs.GCNConv(channels, channels, add_self_loops=False), [edge_index, weight]),
        "GATConv": (convs.GATConv(channels, width, heads=HEADS, add_self_loops=False), [edge_index]),
        "TransformerConv": (convs.TransformerConv(channels, width, heads=HEADS, root_weight=False), [edge_index]),
    }
    cases = []
    for name, (conv, inputs) in layers.items():

        def forward(x: Tensor, conv: Any = conv, inputs: list[Tensor] = inputs) -> Tensor:
            y: Tensor = conv(x, *inputs)
            return y

        cases.append(Case(name, "PyG", _step(conv, forward, (sizes.cells * sizes.genes, channels))))
    return cases


def _sums(sizes: ScatterSizes, edge_index: Tensor) -> list[Case]:
    """Sums of messages by receiving gene; the edges of a top-k graph are sorted by it."""
    index, nodes = edge_index[1], sizes.cells * sizes.genes
    pointer = torch.searchsorted(index, torch.arange(nodes + 1))
    shape = (edge_index.shape[1], sizes.channels)
    nothing = nn.Identity()

    def by_index(x: Tensor) -> Tensor:
        y: Tensor = scatter(x, index, dim_size=nodes, reduce="sum")
        return y

    def by_pointer(x: Tensor) -> Tensor:
        y: Tensor = segment(x, pointer, reduce="sum")
        return y

    own = torch_geometric.typing.torch_scatter

    def by_index_directly(x: Tensor) -> Tensor:
        y: Tensor = own.scatter(x, index, dim=0, dim_size=nodes, reduce="sum")
        return y

    direct = _step(nothing, by_index_directly, shape) if torch_geometric.typing.WITH_TORCH_SCATTER else None
    return [
        Case("sum by index", "sum", _step(nothing, by_index, shape), direct),
        Case("sum by pointer", "sum", _step(nothing, by_pointer, shape)),
    ]
