"""The edge path with torch-scatter and without, on the graphs of each gene's strongest senders.

Usage: PYTHONPATH=.venv/torch-scatter python -m benchmarks.scatter.run --out FOLDER
       (scripts/ci-scatter.sh puts torch-scatter there)
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

import typer

from benchmarks.harness.folder import new_folder
from benchmarks.harness.options import BatchSize, Channels, Out, Rank, check_heads
from benchmarks.harness.script import command_line, entry_point
from scgraph.cli.options import Overwrite
from scgraph.cli.terminal import show

app = command_line()

OWNED = ("results.csv", "table.md", "figure.png", "figure.svg", "config.yaml", "environment.json")


@app.command()
def scatter(
    out: Out,
    genes: Annotated[int, typer.Option(min=2, help="Genes of a cell G.")] = 512,
    top_k: Annotated[int, typer.Option(min=1, help="Senders of a gene k.")] = 16,
    channels: Channels = 256,
    rank: Rank = 48,
    batch_size: BatchSize = 8,
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

    check_heads(channels)
    sizes = ScatterSizes(genes, top_k, channels, rank, batch_size)
    request = asdict(sizes) | {"rounds": rounds, "seconds": seconds}
    results = new_folder("scatter", out, request, overwrite=overwrite, owned=OWNED)
    with_scatter = bool(torch_geometric.typing.WITH_TORCH_SCATTER)
    rows = measure_scatter(sizes, rounds=rounds, seconds=seconds, with_scatter=with_scatter)
    threads = torch.get_num_threads()
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
            *results.busy(threads),
        ]
    )
    results.write_rows(results=rows)
    show(
        results.finish(
            page,
            figure=draw_scatter(rows),
            torch_scatter=installed("torch-scatter"),
            pyg_uses_torch_scatter=with_scatter,
        )
    )


main = entry_point(app, "scatter")

if __name__ == "__main__":
    main()
