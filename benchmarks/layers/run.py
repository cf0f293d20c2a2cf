"""Time and memory of each convolution against the genes of a cell, beside what people would use instead.

Usage: python -m benchmarks.layers.run --out FOLDER
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from benchmarks.harness.children import NOT_TRIED, Answer, reported_child
from benchmarks.harness.folder import Results, load_average, read_rows, resumable_folder
from benchmarks.harness.options import BatchSize, Channels, MemoryGb, Out, Rank, check_heads, whole_numbers
from benchmarks.harness.script import command_line, end, entry_point
from scgraph.cli.options import Overwrite
from scgraph.cli.terminal import show
from scgraph.errors import ConfigError
from scgraph.files import json_text, write_atomic

app = command_line()

OWNED = (
    "results.csv", "exponents.csv", "edges.json", "table.md", "figure.png", "figure.svg", "config.yaml",
    "environment.json",
)  # fmt: skip


@app.command()
def layers(
    out: Out,
    genes: Annotated[str, typer.Option(help="Genes of a cell.")] = "512,1024,2048,4096,8192,16384",
    cases: Annotated[str | None, typer.Option(help="Layers, by the names in the table.  [default: all]")] = None,
    channels: Channels = 256,
    rank: Rank = 48,
    batch_size: BatchSize = 1,
    seconds: Annotated[float, typer.Option(min=0, help="How long the steps of a point are timed.")] = 0.5,
    seconds_per_point: Annotated[float, typer.Option(min=1, help="A point that takes longer is ended.")] = 30,
    memory_gb: MemoryGb = None,
    edge_rounds: Annotated[
        int, typer.Option(min=0, help="Rounds of gnn as products against gnn on edges; 0 leaves it out.")
    ] = 3,
    edge_sizes: Annotated[str, typer.Option(help="Cells and genes of that comparison.")] = "4x512",
    overwrite: Overwrite = False,
) -> None:
    """Measure every layer at every size; the same command goes on after an interruption."""
    from benchmarks.layers.cases import Sizes
    from benchmarks.layers.point import measure_against_edges, measure_layer

    check_heads(channels)
    names, numbers = chosen_cases(cases), whole_numbers("--genes", genes)
    cells, edge_genes = pair(edge_sizes)
    limits = {"seconds": seconds, "seconds_per_point": seconds_per_point, "memory_gb": memory_gb}
    described: dict[str, Any] = {"cases": names, "genes": numbers, "channels": channels, "rank": rank}
    described |= {"batch_size": batch_size, **limits, "edge_rounds": edge_rounds, "edge_sizes": edge_sizes}
    results = resumable_folder("layers", out, described, overwrite=overwrite, owned=OWNED)
    edges, rows = results.folder / "edges.json", read_rows(results.folder / "results.csv")
    failures: list[str] = []
    point = partial(reported_child, failures=failures, memory_gb=memory_gb)

    if edge_rounds and not edges.is_file():
        sizes = asdict(Sizes(edge_genes, channels, rank, cells))
        request = {"sizes": sizes, "rounds": edge_rounds}
        answer = point(measure_against_edges, request, f"gnn against edges, {edge_sizes}", seconds=600)
        if answer.status != "failed":
            found = {"status": answer.status, "cells": cells, "genes": edge_genes, "channels": channels}
            write_atomic(edges, json_text(found | answer.found))
    for name in names:
        stopped = ""
        for number in numbers:
            known = next((row for row in rows if (row["case"], row["genes"]) == (name, number)), None)
            if known is None:
                answer = Answer(NOT_TRIED, stopped, 0.0)
                if not stopped:
                    sizes = asdict(Sizes(number, channels, rank, batch_size))
                    request = {"case": name, "sizes": sizes, "seconds": seconds}
                    answer = point(measure_layer, request, f"{name}, {number} genes", seconds=seconds_per_point)
                if answer.status == "failed":
                    continue
                known = _row(name, number, answer)
                rows.append(known)
                results.write_rows(results=rows)
            if known["status"] not in ("ok", NOT_TRIED):
                stopped = f"{known['status']} at {number} genes"
    if rows:
        show(finish(results, described))
    end(failures)


def chosen_cases(text: str | None) -> list[str]:
    """Return the layers named in a list with commas, all of them for None.

    Raises:
        ConfigError: one does not exist.
    """
    from benchmarks.layers.cases import cases, named_case

    if text is None:
        return [case.name for case in cases()]
    return list(dict.fromkeys(named_case(name.strip()).name for name in text.split(",")))


def pair(text: str) -> tuple[int, int]:
    """Return cells and genes of a text like 4x512.

    Raises:
        ConfigError: it is not of this form.
    """
    numbers = whole_numbers("--edge-sizes", text, "x")
    if len(numbers) != 2:
        raise ConfigError(f"--edge-sizes: {text!r} is not cells x genes, as 4x512.")
    return numbers[0], numbers[1]


def _row(name: str, genes: int, answer: Answer) -> dict[str, Any]:
    row: dict[str, Any] = {"case": name, "genes": genes, "status": answer.status, "message": answer.message}
    row |= {key: answer.found.get(key) for key in ("milliseconds", "steps", "saved_mb", "peak_mb")}
    return row | {"load": load_average()}


def finish(results: Results, described: dict[str, Any]) -> str:
    """Write the exponents, the page and the figure from the files of the folder; return the page."""
    import json

    import torch

    from benchmarks.layers.page import draw_layers, exponents, layers_markdown

    rows = read_rows(results.folder / "results.csv")
    path = results.folder / "edges.json"
    edges = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    fitted = exponents(rows)
    notes = results.busy(torch.get_num_threads())
    page = layers_markdown(rows, fitted, edges, described) + "".join(f"\n{note}" for note in notes)
    results.write_rows(exponents=fitted)
    return results.finish(page, figure=draw_layers(rows))


main = entry_point(app, "layers")

if __name__ == "__main__":
    main()
