"""Time and memory of each convolution against the genes of a cell, beside what people would use instead.

Usage: python -m benchmarks.layers.run --out FOLDER
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.harness.children import NOT_TRIED, Answer, available_memory_gb, run_child
from benchmarks.harness.common import (
    as_rows,
    busy_note,
    csv_text,
    load_average,
    resumable_folder,
    run,
    write_figure,
    write_origin,
)
from scgraph.errors import ConfigError
from scgraph.files import json_text, write_atomic
from scgraph.options import Overwrite
from scgraph.terminal import say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

OWNED = (
    "results.csv", "exponents.csv", "edges.json", "table.md", "figure.png", "figure.svg", "config.yaml",
    "environment.json",
)  # fmt: skip


@app.command()
def layers(
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    genes: Annotated[str, typer.Option(help="Genes of a cell.")] = "512,1024,2048,4096,8192,16384",
    cases: Annotated[str | None, typer.Option(help="Layers, by the names in the table.  [default: all]")] = None,
    channels: Annotated[int, typer.Option(min=8, help="Width C; a multiple of 8.")] = 256,
    rank: Annotated[int, typer.Option(min=1, help="Rank R of the adjacency.")] = 48,
    batch_size: Annotated[int, typer.Option(min=1, help="Cells of a batch.")] = 1,
    seconds: Annotated[float, typer.Option(min=0, help="How long the steps of a point are timed.")] = 0.5,
    seconds_per_point: Annotated[float, typer.Option(min=1, help="A point that takes longer is ended.")] = 30,
    memory_gb: Annotated[
        float | None, typer.Option(min=0.5, help="Limit of each point, 10⁹ bytes.  [default: what is available]")
    ] = None,
    edge_rounds: Annotated[
        int, typer.Option(min=0, help="Rounds of gnn as products against gnn on edges; 0 leaves it out.")
    ] = 3,
    edge_sizes: Annotated[str, typer.Option(help="Cells and genes of that comparison.")] = "4x512",
    overwrite: Overwrite = False,
) -> None:
    """Measure every layer at every size; the same command goes on after an interruption."""
    from benchmarks.layers.cases import Sizes
    from benchmarks.layers.point import measure_against_edges, measure_layer

    if channels % 8:
        raise ConfigError(f"--channels: {channels} is no multiple of 8, the number of heads.")
    names, numbers = chosen_cases(cases), whole_numbers("--genes", genes, ",")
    cells, edge_genes = pair(edge_sizes)
    limits = {"seconds": seconds, "seconds_per_point": seconds_per_point, "memory_gb": memory_gb}
    described: dict[str, Any] = {"cases": names, "genes": numbers, "channels": channels, "rank": rank}
    described |= {"batch_size": batch_size, **limits, "edge_rounds": edge_rounds, "edge_sizes": edge_sizes}
    folder = resumable_folder(out, described, overwrite=overwrite, owned=OWNED)
    start, load = time.perf_counter(), load_average()
    rows = _kept(folder)
    failures = []

    def point(measure: Any, request: dict[str, Any], limit: float, what: str) -> Answer:
        answer = run_child(measure, request, memory_gb=memory_gb or available_memory_gb(), seconds=limit)
        say(f"{what}: {answer.status} after {answer.seconds:.1f} s {answer.message}".rstrip())
        if answer.status == "failed":
            failures.append(f"{what}: {answer.message}")
        return answer

    if edge_rounds and not (folder / "edges.json").is_file():
        sizes = asdict(Sizes(edge_genes, channels, rank, cells))
        answer = point(
            measure_against_edges, {"sizes": sizes, "rounds": edge_rounds}, 600, f"gnn against edges, {edge_sizes}"
        )
        if answer.status != "failed":
            found = {"status": answer.status, "cells": cells, "genes": edge_genes, "channels": channels}
            write_atomic(folder / "edges.json", json_text(found | answer.found))
    for name in names:
        stopped = ""
        for number in numbers:
            known = next((row for row in rows if (row["case"], row["genes"]) == (name, number)), None)
            if known is None:
                answer = Answer(NOT_TRIED, stopped, 0.0)
                if not stopped:
                    sizes = asdict(Sizes(number, channels, rank, batch_size))
                    request = {"case": name, "sizes": sizes, "seconds": seconds}
                    answer = point(measure_layer, request, seconds_per_point, f"{name}, {number} genes")
                if answer.status == "failed":
                    continue
                known = _row(name, number, answer)
                rows.append(known)
                write_atomic(folder / "results.csv", csv_text(rows))
            if known["status"] not in ("ok", NOT_TRIED):
                stopped = f"{known['status']} at {number} genes"
    _finish(folder, described, load, round(time.perf_counter() - start, 1))
    for failure in failures:
        say(f"failed: {failure}")
    if failures:
        raise typer.Exit(1)


def chosen_cases(text: str | None) -> list[str]:
    """Return the layers named in a list with commas, all of them for None.

    Raises:
        ConfigError: one does not exist.
    """
    from benchmarks.layers.cases import cases, named_case

    if text is None:
        return [case.name for case in cases()]
    return list(dict.fromkeys(named_case(name.strip()).name for name in text.split(",")))


def whole_numbers(option: str, text: str, separator: str) -> list[int]:
    """Return the positive numbers in a list, each once, in order of size where commas separate them.

    Raises:
        ConfigError: a word is no positive number.
    """
    numbers: list[int] = []
    for word in (part.strip() for part in text.split(separator)):
        if not word.isdecimal() or int(word) < 1:
            raise ConfigError(f"{option}: {word!r} is no positive number.")
        numbers.append(int(word))
    return sorted(set(numbers)) if separator == "," else numbers


def pair(text: str) -> tuple[int, int]:
    """Return cells and genes of a text like 4x512.

    Raises:
        ConfigError: it is not of this form.
    """
    numbers = whole_numbers("--edge-sizes", text, "x")
    if len(numbers) != 2:
        raise ConfigError(f"--edge-sizes: {text!r} is not cells x genes, as 4x512.")
    return numbers[0], numbers[1]


def _kept(folder: Path) -> list[dict[str, Any]]:
    import pandas as pd

    path = folder / "results.csv"
    return as_rows(pd.read_csv(path, keep_default_na=False, na_values=[""])) if path.is_file() else []


def _row(name: str, genes: int, answer: Answer) -> dict[str, Any]:
    row: dict[str, Any] = {"case": name, "genes": genes, "status": answer.status, "message": answer.message}
    row |= {key: answer.found.get(key) for key in ("milliseconds", "steps", "saved_mb", "peak_mb")}
    return row | {"load": load_average()}


def _finish(folder: Path, described: dict[str, Any], load: float | None, seconds: float) -> None:
    import json

    import torch

    from benchmarks.layers.page import draw_layers, exponents, layers_markdown

    rows = _kept(folder)
    if not rows:
        return
    path = folder / "edges.json"
    edges = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    after, threads = load_average(), torch.get_num_threads()
    fitted = exponents(rows)
    page = layers_markdown(rows, fitted, edges, described) + "".join(
        f"\n{note}" for note in busy_note(load, after, threads)
    )
    write_atomic(folder / "exponents.csv", csv_text(fitted))
    write_atomic(folder / "table.md", page)
    write_figure(folder, draw_layers(rows))
    write_origin(folder, "layers", seconds=seconds, load=load, load_after=after)
    show(page)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run(app, "layers", arguments)


if __name__ == "__main__":
    main()
