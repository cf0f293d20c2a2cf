"""The edge path with torch-scatter and without, on the graphs of each gene's strongest senders.

Usage: PYTHONPATH=.venv/torch-scatter python -m benchmarks.scatter.run --out FOLDER
       (scripts/ci-scatter.sh puts torch-scatter there)
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from benchmarks.harness.common import busy_note, csv_text, load_average, run, write_figure, write_origin
from scgraph.errors import ConfigError
from scgraph.files import prepare_output_folder, write_atomic
from scgraph.options import Overwrite
from scgraph.terminal import show

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

OWNED = ("results.csv", "table.md", "figure.png", "figure.svg", "config.yaml", "environment.json")


@app.command()
def scatter(
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    genes: Annotated[int, typer.Option(min=2, help="Genes of a cell G.")] = 512,
    top_k: Annotated[int, typer.Option(min=1, help="Senders of a gene k.")] = 16,
    channels: Annotated[int, typer.Option(min=8, help="Width C.")] = 256,
    rank: Annotated[int, typer.Option(min=1, help="Rank R of the adjacency.")] = 48,
    batch_size: Annotated[int, typer.Option(min=1, help="Cells of a batch.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds at most; six make an interval.")] = 15,
    seconds: Annotated[float, typer.Option(min=0, help="No further round is started after so long.")] = 120,
    overwrite: Overwrite = False,
) -> None:
    """Measure every layer on the same edges, with torch-scatter and without in turn."""
    # The profiler that tells whether torch-scatter is called talks on standard error unless told before it loads.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    import torch
    import torch_geometric

    from benchmarks.scatter.cases import ScatterSizes, draw_scatter, measure_scatter, scatter_table
    from benchmarks.training_step.run import installed

    if channels % 8:
        raise ConfigError(f"--channels: {channels} is no multiple of 8, the number of heads.")
    sizes = ScatterSizes(genes, top_k, channels, rank, batch_size)
    folder = prepare_output_folder(out, overwrite=overwrite, owned=OWNED)
    described = asdict(sizes) | {"rounds": rounds, "seconds": seconds}
    write_atomic(folder / "config.yaml", yaml.safe_dump(described, sort_keys=False))
    start, load = time.perf_counter(), load_average()
    with_scatter = bool(torch_geometric.typing.WITH_TORCH_SCATTER)
    rows = measure_scatter(sizes, rounds=rounds, seconds=seconds, with_scatter=with_scatter)
    threads, load_after = torch.get_num_threads(), load_average()
    page = "\n".join(
        [
            "# The edge path with torch-scatter and without\n",
            f"Forward and backward of one layer, C {channels}, {batch_size} cells of {genes} genes, each gene with the "
            f"{sizes.senders} strongest senders of a random adjacency of rank {rank}: {rows[0]['edges']:,} edges; "
            f"float32 on the CPU, {threads} thread{'s' if threads > 1 else ''}. Every layer with torch-scatter and "
            f"without in turn in one process, median of {rows[0]['rounds']} rounds.\n",
            scatter_table(rows),
            "PyG chooses between torch-scatter and the operations of PyTorch itself; where no kernel of torch-scatter "
            "runs, both sides are the same work. The last rows are sums of messages of width C: `sum by index` calls "
            "torch-scatter itself, `sum by pointer` is PyG's sum over sorted edges.\n",
            *busy_note(load, load_after, threads),
        ]
    )
    write_atomic(folder / "results.csv", csv_text(rows))
    write_atomic(folder / "table.md", page)
    write_figure(folder, draw_scatter(rows))
    write_origin(
        folder,
        "scatter",
        seconds=round(time.perf_counter() - start, 1),
        load=load,
        load_after=load_after,
        torch_scatter=installed("torch-scatter"),
        pyg_uses_torch_scatter=with_scatter,
    )
    show(page)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run(app, "scatter", arguments)


if __name__ == "__main__":
    main()
