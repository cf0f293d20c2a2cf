"""What a pass over 10⁸ cells on 64 devices would need: time, bytes read, gradients sent and price.

The rates are given: of the training step and of reading from the results of this project, of links and prices as one
pays them. What is measured here is the number of weights and the bytes of a cell in a store.

Usage: python -m benchmarks.scale.run --data POOL.h5ad --rates 24.4,1000,10000,100000 --out FOLDER
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.harness.folder import new_folder
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point
from benchmarks.harness.text import markdown_table
from benchmarks.scale.steps import Cluster, Load, simulate
from scgraph.cli.options import Overwrite
from scgraph.cli.terminal import show
from scgraph.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

OWNED = ("scale.csv", "scale.md", "environment.json", "config.yaml")
_FLOAT = 4
app = command_line()


@app.command()
def scale(
    data: Annotated[str, typer.Option(help="Real cells, for the bytes of a cell in a store.")],
    out: Out,
    rates: Annotated[str, typer.Option(help="Cells a second that one device learns from, with commas.")],
    devices: Annotated[str, typer.Option(help="Numbers of devices, with commas.")] = "1,8,64",
    cells: Annotated[float, typer.Option(min=1, help="Cells of a pass.")] = 1e8,
    genes: Annotated[int, typer.Option(min=1, help="Genes of the vocabulary.")] = 20_000,
    batch: Annotated[int, typer.Option(min=1, help="Cells of a step on one device.")] = 128,
    spread: Annotated[float, typer.Option(min=0, help="Spread of the time of a step, of its logarithm.")] = 0.05,
    per_node: Annotated[int, typer.Option(min=1, help="Devices of a node.")] = 8,
    gigabits: Annotated[float, typer.Option(min=0.001, help="10⁹ bits a second between two nodes.")] = 100.0,
    latency: Annotated[float, typer.Option(min=0, help="Seconds of a message on its way.")] = 2e-5,
    hour: Annotated[float, typer.Option(min=0, help="Price of a device for an hour.")] = 3.0,
    overwrite: Overwrite = False,
) -> None:
    """Compute and simulate a pass for each rate and number of devices."""
    speeds, counts = _numbers("--rates", rates), [int(number) for number in _numbers("--devices", devices)]
    cell_bytes = bytes_of_a_cell(data)
    weights = weights_of("gnn", genes)
    request = {"rates": speeds, "devices": counts, "cells": cells, "genes": genes, "batch": batch, "spread": spread}
    request |= {"per_node": per_node, "gigabits": gigabits, "latency": latency, "hour": hour}
    results = new_folder("scale", out, request, overwrite=overwrite, owned=OWNED)
    rows = [
        simulate(
            Load(cells, batch, cell_bytes, weights * _FLOAT, speed, spread),
            Cluster(count, per_node, gigabits * 1e9 / 8, latency, hour),
        )
        for speed in speeds
        for count in counts
    ]
    results.write_rows(scale=rows)
    show(results.finish(scale_markdown(rows, weights), "scale"))


def _numbers(option: str, text: str) -> list[float]:
    try:
        found = [float(word) for word in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{option}: {text!r} is no list of numbers with commas.") from error
    if min(found) <= 0:
        raise ConfigError(f"{option}: every number must be above 0.")
    return found


def bytes_of_a_cell(data: str) -> float:
    """Bytes on the disk of a cell of a file in a store, names and all."""
    from scgraph.data import CellStore, prepare

    with tempfile.TemporaryDirectory() as place:
        prepare([data], out=Path(place) / "store")
        store = CellStore.open(Path(place) / "store")
        return sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file()) / len(store)


def weights_of(conv: str, genes: int) -> int:
    """Number of weights at the paper's width, rank and layers."""
    from scgraph.nn import GeneModel

    return sum(weight.numel() for weight in GeneModel(genes, conv=conv, channels=256, layers=6, rank=48).parameters())


def scale_markdown(rows: Sequence[dict[str, Any]], weights: int) -> str:
    """Return the table and what it rests on."""
    first = rows[0]
    header = [
        "cells/s a device", "devices", "time of a pass", "price", "computing", "waiting for the slowest",
        "exchanging gradients", "a node reads, cells/s", "MB/s",
    ]  # fmt: skip
    lines = [
        [f"{row['cells_per_second']:,.4g}", str(row["devices"]), _time(row["hours"]), f"{row['price']:,.0f}",
         *(f"{abs(row[f'share_{part}']):.0%}" for part in ("computing", "waiting", "exchange")),
         f"{row['node_cells_per_second']:,.0f}", f"{row['read'] / 1e6:,.1f}"]
        for row in rows
    ]  # fmt: skip
    return "\n".join(
        [
            f"A pass over {first['cells']:.0e} cells, {first['batch']} of them a step and device; `gnn` at C 256, 6 "
            f"layers, rank 48: {weights / 1e6:.2f} M weights, {first['gradient_bytes'] / 1e6:.1f} MB of gradients, of "
            f"which a device sends {rows[-1]['sent'] / 1e6:.1f} MB a step at {rows[-1]['devices']} devices. A cell is "
            f"{first['cell_bytes']:,.0f} bytes in a store. {first['per_node']} devices a node, "
            f"{first['link_bytes'] * 8 / 1e9:g} Gbit/s between nodes, {first['hour']:g} a device and hour.\n",
            markdown_table(header, lines),
        ]
    )


def _time(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:,.1f} min"
    return f"{hours:,.1f} h" if hours < 72 else f"{hours / 24:,.0f} days"


main = entry_point(app, "scale")

if __name__ == "__main__":
    main()
