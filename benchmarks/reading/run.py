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
from benchmarks.harness.text import markdown_table, number
from benchmarks.reading.point import HOW, Request, run_point
from scgraph.cli.options import Layer, Overwrite
from scgraph.cli.terminal import say, show
from scgraph.errors import ConfigError, OutputError
from scgraph.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from scgraph.data import CellStore

app = command_line()

OWNED = ("reading.csv", "reading.md", "reading.png", "reading.svg", "environment.json")
STORE, PEERS = ("store, random", "store, blocks"), ("h5ad, slices", "h5ad, random", "AnnLoader", "scdataset")
MEASURED = ("cells_per_cpu_second", "rss_mb", "anonymous_mb", "start_mb")
_BLOCK = 5000


@app.command()
def reading(
    data: Annotated[str, typer.Option(help="Real cells that the stores are drawn from, with replacement.")],
    out: Out,
    cells: Annotated[str, typer.Option(help="Cells of the stores; the peers read the first.")] = "100000,1000000",
    genes: Annotated[int, typer.Option(min=1, help="Genes sampled a cell, G.")] = 512,
    batch_size: Annotated[int, typer.Option(min=1, help="Cells a batch.")] = 256,
    workers: Annotated[int, typer.Option(min=0, help="Threads that prepare batches.")] = 2,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long each peer is measured.")] = 4,
    layer: Layer = None,
    scratch: Annotated[Path | None, typer.Option(help="Where stores lie meanwhile.  [default: TMPDIR]")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make stores of real cells, and read them and a file of the same cells in several ways."""
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
            rate = number(found.cells_per_second, ",.0f")
            say(f"{how}, {size:,} cells, {sampled or 'all'} genes: {found.status}, {rate} cells/s")

        for size in sizes:
            start = time.perf_counter()
            store = place / f"store-{size}"
            resample(pool, size, store)
            say(f"{size:,} cells written in {time.perf_counter() - start:.0f} s")
            for how in STORE:
                point(how, store, size, genes, workers, seconds=None)
            if size == sizes[0]:
                file = place / "cells.h5ad"
                write_h5ad(store, file)
                for how in PEERS:
                    for sampled in (0, genes):
                        point(how, file, size, sampled, 0, seconds=seconds)
            if size == sizes[-1]:
                point(STORE[0], store, size, genes, 0, seconds=seconds)
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


def check_space(place: Path, pool: CellStore, sizes: Sequence[int]) -> None:
    """Refuse to begin where the disk cannot hold the largest store beside a file of the smallest.

    Raises:
        OutputError: as said.
    """
    needed = 8 * float(np.diff(pool.indptr).mean()) * (sizes[-1] + 2 * sizes[0])
    if shutil.disk_usage(place).free < 1.1 * needed:
        raise OutputError(f"{place}: {needed / 1e9:.1f} GB are needed. Choose another --scratch, or fewer --cells.")


def resample(pool: CellStore, cells: int, path: Path) -> None:
    """Write a store of cells of the pool, drawn with replacement, in blocks."""
    from scgraph.data.store.writing import StoreWriter, new_store_folder

    random = np.random.default_rng(0)
    with new_store_folder(path, overwrite=False) as folder:
        writer = StoreWriter(folder, pool.vocabulary)
        for start in range(0, cells, _BLOCK):
            rows = random.integers(len(pool), size=min(_BLOCK, cells - start))
            writer.add(*pool.entries(rows), pool.keys[rows], source=0)
        writer.finish([{"source": "resampled", "cells": cells}])


def write_h5ad(store: Path, path: Path) -> None:
    """Write the cells of a store as a file that is not compressed, which peers read fastest."""
    import anndata

    from scgraph.data import CellStore

    anndata.AnnData(CellStore.open(store).matrix()).write_h5ad(path)


def finish(results: Results, rows: list[dict[str, Any]], pool: CellStore, genes: int) -> str:
    """Write table, page and figure; return the page."""
    import pandas as pd

    frame = pd.DataFrame(rows)
    write_atomic(results.folder / "reading.csv", frame.to_csv(index=False))
    page = reading_markdown(frame, float(np.diff(pool.indptr).mean()), genes, load=load_average())
    write_figure(results.folder, draw_reading(frame), "reading")
    return results.finish(page, "reading")


def label(row: Any) -> str:
    """What a row of the table is called."""
    text = f"{row['how']}, {row['workers']} threads" if row["how"] in STORE else f"{row['how']}"
    return text + (", files not in cache" if row["cold"] else "")


def reading_markdown(frame: pd.DataFrame, mean_genes: float, genes: int, *, load: float | None) -> str:
    """The text of `reading.md`."""
    header = ["how", "cells", "genes", "cells/s", "cells a CPU second", "resident MB", "not of files", "at the start"]
    table = [
        [
            label(row),
            f"{row['cells_in_file']:,}",
            str(row["genes"] or "all"),
            number(row["cells_per_second"], ",.0f") if row["status"] == "ok" else row["status"],
            *(number(row[column], ",.0f") for column in MEASURED),
        ]
        for _, row in frame.iterrows()
    ]
    kinds = "\n".join(f"- {how}: {what}." for how, what in HOW.items())
    return (
        f"Cells express {mean_genes:,.0f} genes on average. Each row is a process of its own that has loaded PyTorch; "
        "resident memory is the most that was seen after any batch, with the part that is no pages of files, and "
        "what there was before the first cell. Rows of the store read every cell once (where the files are not in the "
        f"cache: for a few seconds) and yield what training gets: {genes} sampled genes, masked, as tensors. "
        "The peers yield whole rows (all), or rows sampled with the kernel of the store. Load "
        f"average of the machine at the end: {load}; where others worked on it too, the rate by the clock is too low, "
        "and cells a CPU second (of all threads of the process together) say more.\n\n"
        + kinds
        + "\n\n"
        + markdown_table(header, table)
    )


def draw_reading(frame: pd.DataFrame) -> Figure:
    """Cells a second of every way, and resident memory of the store against its cells."""
    from scgraph.reporting.drawing import FAINT, INK, PETROFF, log_axis, new_figure, open_axis

    good = frame[(frame["status"] == "ok") & (frame["genes"] > 0)].sort_values("cells_per_second")
    figure = new_figure(11.4, 1.6 + 0.34 * len(good))
    left, right = figure.subplots(1, 2, width_ratios=[2, 1])
    names = [f"{label(row)}, {row['cells_in_file']:,} cells" for _, row in good.iterrows()]
    colors = [PETROFF[0] if how in STORE else PETROFF[8] for how in good["how"]]
    places = range(len(good))
    left.scatter(good["cells_per_second"], places, color=colors, s=42, label="by the clock", zorder=3)
    hollow: dict[str, Any] = {"facecolors": "none", "edgecolors": colors, "label": "a second of CPU"}
    left.scatter(good["cells_per_cpu_second"], places, s=42, zorder=3, **hollow)
    left.set_yticks(places, names, fontsize=8.5)
    log_axis(left, [*good["cells_per_second"].tolist(), *good["cells_per_cpu_second"].tolist()])
    left.set_title("cells a second, genes sampled", loc="left", fontsize=10.5, color=INK)
    left.legend(frameon=False, fontsize=8.5, loc="lower right")
    for how, color in zip(STORE, PETROFF, strict=False):
        part = frame[(frame["how"] == how) & (frame["status"] == "ok") & ~frame["cold"] & (frame["workers"] > 0)]
        right.plot(part["cells_in_file"], part["rss_mb"], marker="o", color=color, label=how)
    right.axhline(
        float(frame["start_mb"].median()), color=INK, linewidth=0.8, linestyle=":", label="before the first cell"
    )
    log_axis(right, [float(value) for value in frame["cells_in_file"]])
    right.set_ylim(0, 1.25 * float(frame.loc[frame["how"].isin(STORE), "rss_mb"].max()))
    right.set_xlabel("cells of the store")
    right.set_title("resident MB, all cells read", loc="left", fontsize=10.5, color=INK)
    right.legend(frameon=False, fontsize=8.5, loc="lower right")
    for axis in (left, right):
        axis.grid(color=FAINT, linewidth=0.7, axis="x" if axis is left else "y")
        open_axis(axis)
    return figure


main = entry_point(app, "reading")

if __name__ == "__main__":
    main()
