"""How fast cells become vectors, and in how much memory, against PCA, scvi-tools and a plain Transformer encoder.

Usage: python -m benchmarks.embed.run --data POOL.h5ad --cells 10000,100000 --out FOLDER
With --label COLUMN of labelled cells: what commands that need labels take, in place of all that.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.embed.cells import pool_vocabulary, write_cells, write_model
from benchmarks.embed.labelled import LABELLED
from benchmarks.embed.page import draw_embed, embed_markdown
from benchmarks.embed.peers import is_installed
from benchmarks.embed.point import COMMANDS, IN_MEMORY, measure
from benchmarks.harness.children import NOT_INSTALLED, reported_child
from benchmarks.harness.folder import Results, new_folder
from benchmarks.harness.options import Out, whole_numbers
from benchmarks.harness.script import command_line, end, entry_point
from scgraph.cli.options import Layer, Overwrite
from scgraph.cli.terminal import say, show
from scgraph.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

app = command_line()

OWNED = ("embed.csv", "embed.md", "figure.png", "figure.svg", "environment.json")
_BYTES = 10
"""Bytes on the disk for each value of a cell, with what is written beside."""


@app.command()
def embed(
    data: Annotated[str, typer.Option(help="Real cells, counts, that the files are drawn from, with replacement.")],
    out: Out,
    cells: Annotated[str, typer.Option(help="Cells of the files.")] = "10000,100000",
    sparse_cells: Annotated[str, typer.Option(help="Cells of files of few genes a cell.")] = "10000,100000,1000000",
    sparse_genes: Annotated[int, typer.Option(min=1, help="Genes of a cell of those files.")] = 60,
    gnn_cells: Annotated[int, typer.Option(min=1, help="Largest file that gnn, the slowest, embeds.")] = 100_000,
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds over all that is measured in memory, in turn.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="After which a measurement is ended.")] = 3600,
    layer: Layer = None,
    label: Annotated[
        str | None,
        typer.Option(
            help="Column of classes: measure the commands that need labels, and nothing else.  [default: none]"
        ),
    ] = None,
    only: Annotated[str, typer.Option(help="Measure the rows whose names contain this.  [default: all]")] = "",
    scratch: Annotated[Path | None, typer.Option(help="Where files lie meanwhile.  [default: TMPDIR]")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write files of many cells, and turn them into vectors in several ways."""
    from scgraph.data import read_cells

    sizes, sparse = whole_numbers("--cells", cells), whole_numbers("--sparse-cells", sparse_cells)
    known = (COMMANDS, IN_MEMORY) if label is None else (LABELLED, ())
    commands, in_memory = ([how for how in names if only in how] for names in known)
    if not commands and not in_memory:
        raise ConfigError(f"--only: no row is called {only!r}. There are: {', '.join([*known[0], *known[1]])}.")
    pool = read_cells(data, layer=layer, values="counts", label=label)
    results = new_folder("embed", out, overwrite=overwrite, owned=OWNED)
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        place = Path(temporary)
        # The file, its values and those on the genes of a model, which `bench` lays aside.
        copies = 1 if label is None else 3
        check_space(place, copies * pool.matrix.nnz / len(pool), sizes, copies * max(sparse) * sparse_genes)
        for name in ("gnn-linear", "gnn"):
            write_model(place / "models" / name, name, pool_vocabulary(pool))

        def point(how: str, path: Path, size: int, genes: float, number: int = 0) -> None:
            request = {"how": how, "path": str(path), "models": str(place / "models"), "threads": threads}
            request["reference"] = (data, layer, label)
            said = f"{how}, {size:,} cells"
            told = {"how": how, "cells": size, "genes": round(genes), "threads": threads, "round": number}
            if is_installed(how):
                answer = reported_child(measure, request, said, failures, memory_gb=None, seconds=seconds)
                rows.append({**told, "status": answer.status, **answer.found})
            else:
                rows.append({**told, "status": NOT_INSTALLED})
                say(f"{said}: {NOT_INSTALLED}")
            results.write_rows(embed=rows)

        files = [*((size, 0) for size in sizes), *((size, sparse_genes) for size in sparse)]
        try:
            for size, most in files:
                path = place / "cells.h5ad"
                genes = write_cells(pool, size, most, path)
                say(f"{size:,} cells of {genes:,.0f} genes are written")
                if size == sizes[0] and not most:
                    for number in range(rounds):
                        for how in in_memory:
                            point(how, path, size, genes, number)
                for how in commands:
                    if size <= gnn_cells or not how.endswith(" gnn"):
                        point(how, path, size, genes)
                path.unlink()
        except KeyboardInterrupt:
            failures.append("stopped before the end; the page has what was measured until then")
    show(finish(results, rows, threads))
    end(failures)


def check_space(place: Path, genes: float, sizes: Sequence[int], sparse: int) -> None:
    """Refuse to begin where the disk cannot hold the largest file.

    Raises:
        OutputError: as said.
    """
    needed = _BYTES * max(genes * max(sizes), sparse)
    if shutil.disk_usage(place).free < 1.1 * needed:
        raise OutputError(f"{place}: {needed / 1e9:.1f} GB are needed. Choose another --scratch, or fewer --cells.")


def finish(results: Results, rows: list[dict[str, Any]], threads: int) -> str:
    """Write table, page and figure; return the page."""
    page = embed_markdown(rows, threads, results.busy(threads))
    return results.finish(page, "embed", figure=draw_embed(rows))


main = entry_point(app, "embed")

if __name__ == "__main__":
    main()
