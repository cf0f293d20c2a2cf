"""Speed and memory of a whole training step: the zoo against the Transformers of PyTorch and Hugging Face.

Usage: python -m benchmarks.training_step.run --out FOLDER
"""

from __future__ import annotations

import time
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
import yaml

from benchmarks.harness.folder import new_folder
from benchmarks.harness.options import Channels, Out, Rank, check_heads
from benchmarks.harness.script import command_line, entry_point
from scgraph.cli.options import Overwrite, model_names
from scgraph.cli.terminal import say, show
from scgraph.errors import ConfigError

app = command_line()

OWNED = (
    "results.csv", "rounds.csv", "profile.csv", "table.md", "figure.png", "figure.svg", "config.yaml",
    "environment.json",
)  # fmt: skip
MODELS = "gnn,gnn-linear,gcn,gat,tf,hybrid,TransformerEncoder,BertModel"


@app.command()
def training_step(
    out: Out,
    models: Annotated[str, typer.Option(help="Models to train in turn.")] = MODELS,
    variant: Annotated[
        list[str] | None, typer.Option(help="A further row, as gnn:shared_adjacency=false; may be repeated.")
    ] = None,
    channels: Channels = 256,
    genes: Annotated[int, typer.Option(min=1, help="Genes of a cell G.")] = 512,
    layers: Annotated[int, typer.Option(min=1, help="Blocks L.")] = 6,
    rank: Rank = 48,
    batch_size: Annotated[int, typer.Option(min=1, help="Cells a step.")] = 8,
    vocabulary: Annotated[int, typer.Option(min=1, help="Genes of the tables V.")] = 20_000,
    adam: Annotated[bool, typer.Option("--adam", help="Count a step of Adam as well.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds at most; six make an interval.")] = 9,
    seconds: Annotated[float, typer.Option(min=0, help="No further round is started after so long.")] = 200,
    cpu_seconds: Annotated[
        bool,
        typer.Option("--cpu-seconds", help="Time steps and peak by CPU seconds of the process: on a shared machine."),
    ] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Say as well where the time of a step goes.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Measure all models in turn, with the machine's matmul peak before and after."""
    import torch

    from benchmarks.training_step.cases import ModelSizes, entries
    from benchmarks.training_step.profile import shares_table
    from benchmarks.training_step.rounds import draw_training, measure_training, training_table, with_shares
    from scgraph.costs.machine import matmul_peak

    check_heads(channels)
    chosen = entries(model_names(models), [parsed_variant(text) for text in variant or []])
    sizes = ModelSizes(genes, channels, layers, rank, cells=batch_size, vocabulary=vocabulary, optimizer=adam)
    request: dict[str, Any] = {"models": [entry.name for entry in chosen], **asdict(sizes)}
    request |= {"rounds": rounds, "seconds": seconds, "cpu_seconds": cpu_seconds}
    results = new_folder("training_step", out, request, overwrite=overwrite, owned=OWNED)
    clock = time.process_time if cpu_seconds else time.perf_counter
    before = matmul_peak(clock=clock)
    say(f"matmul peak {before / 1e9:,.0f} G operations a second; training {len(chosen)} models in turn")
    shares: list[dict[str, Any]] | None = [] if profile else None
    rows, times = measure_training(chosen, sizes, rounds=rounds, seconds=seconds, shares=shares, clock=clock)
    after = matmul_peak(clock=clock)
    rows = with_shares(rows, max(before, after))
    threads = torch.get_num_threads()
    done = max(len(own) for own in times.values()) if times else 0
    page = "\n".join(
        [
            "# A training step\n",
            f"C {channels}, G {genes}, L {layers}, R {rank}, {batch_size} cells a step, float32 on the CPU, {threads} "
            f"thread{'s' if threads > 1 else ''}; forward, loss and backward{', and Adam' if adam else ''}. All models "
            f"in turn in one process, median of {done} round{'s' if done > 1 else ''}; the ratios of cells a second "
            "are medians of the ratios of the rounds."
            + (" A second is a CPU second of the process, of all its threads.\n" if cpu_seconds else "\n"),
            training_table(rows),
            f"The matmul peak is the better of {before / 1e9:,.0f} before and {after / 1e9:,.0f} G operations a second "
            "after; a step counts as 6 operations a multiply-add of its layers. The Transformers of the other "
            "libraries have the same embedding, value head, heads (8) and feed-forward (C) as `tf`; `BertModel` adds "
            "an embedding of positions and normalises behind its layers. `(math)` forms the scores of attention.\n",
            *(
                [
                    "Where the time of a step goes, one step under PyTorch's profiler:\n",
                    shares_table(shares),
                    "Only products of matrices and the products inside attention count as multiply-adds.\n",
                ]
                if shares
                else []
            ),
            *results.busy(threads),
        ]
    )
    measured = [
        {"name": name, "round": number, "seconds": value}
        for name, own in times.items()
        for number, value in enumerate(own)
    ]
    results.write_rows(results=rows, rounds=measured, **({"profile": shares} if shares else {}))
    show(
        results.finish(
            page,
            figure=draw_training(rows, f"A training step, C {channels}, G {genes}, L {layers}"),
            matmul_peak={"before": before, "after": after},
            transformers=installed("transformers"),
        )
    )


def parsed_variant(text: str) -> tuple[str, dict[str, Any]]:
    """Return model and options of a text like ``gnn:shared_adjacency=false,dropout=0.1``.

    Raises:
        ConfigError: it is not of this form.
    """
    model, _, assignments = text.partition(":")
    options = {}
    for word in assignments.split(","):
        key, equals, value = word.partition("=")
        if not (model and key.strip() and equals):
            raise ConfigError(f"--variant: {text!r} is not of the form gnn:shared_adjacency=false.")
        options[key.strip()] = yaml.safe_load(value)
    return model.strip(), options


def installed(distribution: str) -> str | None:
    """Version of a package, None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


main = entry_point(app, "training_step")

if __name__ == "__main__":
    main()
