"""The columns FLOPs and memory of Table II, measured on this machine beside the paper's."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.harness.text import markdown_table, number
from benchmarks.table2.paper import LAYERS, RANK, paper_row
from scgraph.cli.options import bench_settings
from scgraph.costs.machine import matmul_peak
from scgraph.costs.profiling import profile
from scgraph.models.settings import settings_by_model
from scgraph.nn import GeneModel
from scgraph.reporting.wording import records
from scgraph.train import resolve_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from scgraph.config import ModelConfig
    from scgraph.costs.profiling import Attention

__all__ = ["costs_markdown", "measure_costs", "multiply_adds_like_paper", "setting_configs", "stated_multiply_adds"]

ROWS = {
    "gnn": ("gnn", True, "fused"),
    "gnn, adjacency a layer": ("gnn", False, "fused"),
    "tf, fused": ("tf", True, "fused"),
    "tf, math": ("tf", True, "math"),
}
"""What is measured at every setting: model, whether the layers share one adjacency, backend of attention."""

MEMORY = {
    "cpu": "the bytes autograd saves for backward (every storage once, without parameters), counted on the CPU",
    "cuda": "what the CUDA allocator holds after forward beyond what it held before",
}


BUSY = (
    "**The machine was busy: a load of {load:.1f} on {cores} cores before the run.** These speeds are too low and vary "
    "from row to row; multiply-adds and memory do not depend on it.\n"
)


def setting_configs(channels: int, genes: int, device: str) -> dict[str, ModelConfig]:
    """Settings of gnn and tf from configs/bench/paper.yaml at one width."""
    size = {"channels": channels, "layers": LAYERS, "rank": RANK}
    settings = bench_settings("bench/paper", None, model=size, train={"genes": genes, "device": device})
    return {name: own.model for name, own in settings_by_model(["gnn", "tf"], settings).items()}


def stated_multiply_adds(config: ModelConfig, genes: int) -> tuple[int, int]:
    """Multiply-adds of one cell, whole and of the adjacency alone, without building the weights."""
    with torch.device("meta"):
        model = GeneModel(2, **config.model_kwargs())
    cost = model.cost(genes)
    return cost.multiply_adds, cost.adjacency_multiply_adds


def multiply_adds_like_paper(config: ModelConfig, genes: int) -> int:
    """Multiply-adds as the paper's column comes out: an adjacency a layer, of 2·G²·R each."""
    whole, adjacency = stated_multiply_adds(config.model_copy(update={"shared_adjacency": False}), genes)
    return whole + adjacency


def measure_costs(
    settings: Sequence[tuple[int, int]],
    *,
    device: str = "auto",
    batch_size: int = 8,
    seconds: float = 2.0,
    say: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """One row a setting and entry of `ROWS`: what `scgraph.costs.profiling.profile` finds, and the paper's numbers.

    Args:
        settings: channels and genes of each, as in Table II.
        device: auto, cpu, cuda or cuda:N.
        batch_size: cells a step.
        seconds: how long the steps of a row are timed.
        say: told what has been measured.

    Raises:
        ConfigError: the device does not exist.
    """
    import pandas as pd

    place = str(resolve_device(device))
    peak = matmul_peak(place)
    rows: list[dict[str, Any]] = []
    for channels, genes in settings:
        configs = setting_configs(channels, genes, place)
        for name, (model, shared, attention) in ROWS.items():
            config = configs[model].model_copy(update={"shared_adjacency": shared})
            paper = paper_row(channels, genes, model)
            found = profile(
                config,
                genes=genes,
                batch_size=batch_size,
                device=place,
                attention=_backend(attention),
                peak=peak,
                seconds=seconds,
            )
            like_paper = multiply_adds_like_paper(config, genes)
            rows.append(
                {"row": name, **asdict(found), "attention": attention if model == "tf" else ""}
                | {"shared_adjacency": shared if model == "gnn" else None, "multiply_adds_like_paper": like_paper}
                | {"paper_multiply_adds": paper.flops * 1e9, "paper_memory_mb": paper.memory_mb}
            )
            say(f"C {channels}, G {genes}, {name}: {found.saved_mb:.1f} MB, {found.cells_per_second:.1f} cells/s")
    return pd.DataFrame(rows)


def _backend(name: str) -> Attention:
    return "math" if name == "math" else "fused"


def costs_markdown(costs: pd.DataFrame, *, load: float | None = None) -> str:
    """Multiply-adds, memory and speed of every setting beside the paper's.

    Args:
        costs: as `measure_costs` makes it.
        load: load average of the machine before the run; a busy machine is said aloud.
    """
    adds, memory, speed = [], [], []
    for (channels, genes), part in costs.groupby(["channels", "genes"], sort=False):
        by_row = {row["row"]: row for row in records(part)}
        gnn, layered, fused, math = (by_row[name] for name in ROWS)
        setting = f"{channels}/{genes}"
        paper_gnn, paper_tf = gnn["paper_multiply_adds"], fused["paper_multiply_adds"]
        counts = [gnn["multiply_adds"], layered["multiply_adds"], gnn["multiply_adds_like_paper"], paper_gnn]
        counts += [fused["multiply_adds"], paper_tf]
        over = [fused["multiply_adds"] / value for value in (counts[0], counts[2])]
        adds.append([setting, *(f"{n / 1e9:.2f} G" for n in counts), *map(_times, [*over, paper_tf / paper_gnn])])
        saved = [gnn["saved_mb"], layered["saved_mb"], gnn["paper_memory_mb"]]
        saved += [fused["saved_mb"], math["saved_mb"], fused["paper_memory_mb"]]
        over = [saved[3] / saved[0], saved[4] / saved[0], saved[5] / saved[2]]
        memory.append([setting, *(f"{n:.1f}" for n in saved), *map(_times, over)])
        rates = [row["cells_per_second"] for row in (gnn, layered, fused, math)]
        shares = [f"{number(100 * row['matmul_share'], '.0f')} %" for row in (gnn, layered, fused, math)]
        cells = [f"{rate:,.1f} ({share})" for rate, share in zip(rates, shares, strict=True)]
        speed.append([setting, *cells, _times(rates[0] / rates[2]), _times(rates[0] / rates[3])])
    first = costs.iloc[0]
    kind = "cpu" if first["device"] == "cpu" else "cuda"
    busy = load is not None and load > (os.cpu_count() or 1) / 2 and BUSY.format(load=load, cores=os.cpu_count())
    return "\n".join(
        [
            "# Table II: costs\n",
            f"One cell, L {first['layers']}, R {first['rank']}, tf with feed-forward of width C; C/G in the first "
            f"column. Measured on {first['device']}, {first['precision']}, {first['batch_size']} cells a step.\n",
            "## Multiply-adds\n",
            markdown_table(
                ["C/G", "gnn", "gnn, adjacency a layer", "gnn, 2·G²·R a layer", "paper's gnn", "tf", "paper's tf",
                 "tf/gnn", "tf/gnn, 2·G²·R a layer", "paper's tf/gnn"],
                adds,
            ),
            "The layers of `gnn` share one adjacency, G²·R multiply-adds a cell. The paper's column comes out with an "
            "adjacency of 2·G²·R in every layer.\n",
            "## Memory, MB a cell\n",
            markdown_table(
                ["C/G", "gnn", "gnn, adjacency a layer", "paper's gnn", "tf, fused", "tf, math", "paper's tf",
                 "tf fused/gnn", "tf math/gnn", "paper's tf/gnn"],
                memory,
            ),
            f"Memory is {MEMORY[kind]}. The paper does not say how it measured. `math` keeps the scores of attention "
            "as a tensor, `fused` is what PyTorch uses by default.\n",
            "## Speed of a training step, cells a second (share of this machine's matmul peak)\n",
            markdown_table(
                ["C/G", "gnn", "gnn, adjacency a layer", "tf, fused", "tf, math", "gnn/tf fused", "gnn/tf math"], speed
            ),
            *([busy] if busy else []),
        ]
    )  # fmt: skip


def _times(value: float) -> str:
    return f"{value:.2f}×"
