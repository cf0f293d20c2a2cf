"""How fast cells are read for training, and how much memory that takes, against what people use instead.

Usage: python -m benchmarks.reading.run --data POOL.h5ad --cells 100000,1000000 --out FOLDER
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.harness.folder import Results, load_average, new_folder, write_figure
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point
from benchmarks.harness.text import number
from benchmarks.reading.page import draw_reading, reading_markdown
from benchmarks.reading.peers import PEERS
from benchmarks.reading.point import run_point
from benchmarks.reading.request import Request
from benchmarks.reading.sources import SOURCES, check_space, resample, write_source
from benchmarks.reading.ways import OWN, STORE, WAYS
from scgraph.cli.options import Layer, Overwrite
from scgraph.cli.terminal import say, show
from scgraph.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scgraph.data import CellStore

app = command_line()

OWNED = ("reading.csv", "reading.md", "reading.png", "reading.svg", "environment.json")


@app.command()
def reading(
    data: Annotated[str, typer.Option(help="Real cells that the stores are drawn from, with replacement.")],
    out: Out,
    cells: Annotated[str, typer.Option(help="Cells of the stores; the peers read the first.")] = "100000,1000000",
    genes: Annotated[int, typer.Option(min=1, help="Genes sampled a cell, G.")] = 512,
    batch_size: Annotated[int, typer.Option(min=1, help="Cells a batch.")] = 256,
    workers: Annotated[int, typer.Option(min=0, help="Threads that prepare batches.")] = 2,
    seconds: Annotated[
        float,
        typer.Option(min=0.01, help="How long each way but those of a store is measured, if it does not take a pass."),
    ] = 4,
    layer: Layer = None,
    scratch: Annotated[Path | None, typer.Option(help="Where stores lie meanwhile.  [default: TMPDIR]")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make stores of real cells, and read them and files of the same cells in several ways."""
    sizes = cell_numbers(cells)
    pool = read_pool(data, layer)
    results = new_folder("reading", out, overwrite=overwrite, owned=OWNED)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        place = Path(temporary)
        check_space(place, pool, sizes)

        def point(how: str, path: Path, size: int, sampled: int, threads: int, **options: Any) -> None:
            request = Request(how, str(path), sampled, batch_size, threads, **options)
            found = run_point(request)
            said = {"cells_in_file": size, "genes": sampled, "workers": threads, "cold": request.cold}
            rows.append({"how": how, **said, **asdict(found)})
            results.write_rows(reading=rows)
            rate = f", {number(found.cells_per_second, ',.0f')} cells/s" if found.status == "ok" else ""
            say(f"{how}, {size:,} cells, {sampled or 'all'} genes: {found.status}{rate}")

        for size in sizes:
            start = time.perf_counter()
            store = place / f"store-{size}"
            resample(pool, size, store)
            say(f"{size:,} cells written in {time.perf_counter() - start:.0f} s")
            for how in STORE:
                point(how, store, size, genes, workers, seconds=None)
            if size == sizes[0]:
                for how, path in sources(store, place / "sources"):
                    way = WAYS[how]
                    for sampled in (genes,) if way.threads else (0, genes) if way.samples else (0,):
                        point(how, path, size, sampled, workers if way.threads else 0, seconds=seconds)
            if size == sizes[-1]:
                point("store, random", store, size, genes, 0, seconds=seconds)
                for how in STORE:
                    point(how, store, size, genes, workers, seconds=seconds, cold=True)
            shutil.rmtree(store)
    show(finish(results, rows, pool, genes))


def cell_numbers(text: str) -> list[int]:
    """Return the numbers in a list with commas, ascending.

    Raises:
        ConfigError: a word is no number of 1,000 or more.
    """
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not word.isdecimal() or int(word) < 1000:
            raise ConfigError(f"--cells: {word!r} is no number of 1,000 or more; write for example 100000,1000000.")
    return sorted({int(word) for word in words})


def read_pool(data: str, layer: str | None) -> CellStore:
    """Read the real cells on all genes they express."""
    from scgraph.data import CellStore, Vocabulary, read_cells

    cells = read_cells(data, layer=layer)
    return CellStore.from_cells(cells, Vocabulary.from_cells([cells]))


def sources(store: Path, place: Path) -> Iterator[tuple[str, Path]]:
    """Write the cells of a store in every form, and give the ways of reading them, each with its file.

    A form that nothing installed reads is not written; its ways are given all the same, as each says what it lacks.
    """
    place.mkdir()
    for kind in SOURCES:
        ways = [how for how in (*OWN, *PEERS) if WAYS[how].source == kind]
        start = time.perf_counter()
        path = place
        if any(WAYS[how].is_installed() for how in ways):
            path = write_source(kind, store, place)
            say(f"{path.name} written in {time.perf_counter() - start:.0f} s")
        yield from ((how, path) for how in ways)
    shutil.rmtree(place)


def finish(results: Results, rows: list[dict[str, Any]], pool: CellStore, genes: int) -> str:
    """Write page and figure; return the page."""
    import pandas as pd

    frame = pd.DataFrame(rows)
    page = reading_markdown(frame, float(np.diff(pool.indptr).mean()), genes, load=load_average())
    write_figure(results.folder, draw_reading(frame), "reading")
    return results.finish(page, "reading")


main = entry_point(app, "reading")

if __name__ == "__main__":
    main()
