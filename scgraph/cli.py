"""The command line: one typed function a command, everything else in the packages behind it."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scgraph.cli_graph import graph
from scgraph.cli_perturb import perturb
from scgraph.cli_prepare import prepare
from scgraph.cli_profile import profile
from scgraph.cli_tune import tune
from scgraph.errors import ScgraphError
from scgraph.launch import find_world, torchrun_rank
from scgraph.memory import is_out_of_memory
from scgraph.options import (
    AllowConv,
    BatchKey,
    Channels,
    Config,
    Device,
    Devices,
    DropLeaks,
    Epochs,
    Genes,
    Graph,
    Json,
    Label,
    Layer,
    Layers,
    Models,
    Nodes,
    Overwrite,
    Precision,
    Seed,
    Set,
    Strategy,
    assignments,
    bench_settings,
    model_names,
    spread,
)
from scgraph.terminal import complain, is_interactive, say, show, show_rows, speak_as, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

app = typer.Typer(
    name="scgraph",
    help="Graph networks in place of Transformers for single-cell transcriptomics. "
    "With --debug an error shows its traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def bench(
    models: Models = "gnn,tf",
    data: Annotated[list[str] | None, typer.Option(help="Labelled sets to probe.  [default: pbmc68k_reduced]")] = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="Cells or a store to pretrain on.  [default: train parts]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    label: Label = None,
    layer: Layer = None,
    batch_key: BatchKey = None,
    drop_leaks: DropLeaks = True,
    seeds: Annotated[int | None, typer.Option(help="Repetitions: split, weights, samples and probe.")] = None,
    epochs: Epochs = None,
    channels: Channels = None,
    layers: Layers = None,
    genes: Genes = None,
    graph: Graph = None,
    config: Config = "bench/default",
    set_: Set = None,
    device: Device = None,
    devices: Devices = None,
    precision: Precision = None,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Compare models on labelled cells: accuracy, cost, pictures."""
    from scgraph.bench import run_bench, tables

    settings = bench_settings(
        config,
        set_,
        seeds=seeds,
        graph=graph,
        model={"channels": channels, "layers": layers},
        train={"epochs": epochs, "genes": genes, "device": device, "devices": devices, "precision": precision},
    )
    folder = out or Path("results") / datetime.now().strftime("bench-%Y%m%d-%H%M%S")
    result = run_bench(
        model_names(models),
        data or ["pbmc68k_reduced"],
        corpus=corpus or [],
        config=settings,
        out=folder,
        label=label,
        layer=layer,
        batch_key=batch_key,
        drop_leaks=drop_leaks,
        overwrite=overwrite,
        say=say,
        show_progress=is_interactive(),
    )
    for note in result.notes:
        say(f"note: {note}")
    show(tables.rich_tables(result.summary, result.overall, margin=settings.equivalence_margin), json_)
    show(f"Report: {folder / 'report.html'}", json_)
    write_json(json_, json.loads(result.summary.to_json(orient="records")))


app.command()(prepare)


@app.command()
def pretrain(
    data: Annotated[list[str], typer.Argument(help="Cells to pretrain on: .h5ad files, or one store.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    model: Annotated[str, typer.Option(help="Model by name; see `scgraph models`.")] = "gnn",
    layer: Layer = None,
    epochs: Epochs = None,
    channels: Channels = None,
    layers: Layers = None,
    genes: Genes = None,
    seed: Seed = None,
    graph: Graph = None,
    config: Config = "bench/default",
    set_: Set = None,
    device: Device = None,
    devices: Devices = None,
    nodes: Nodes = None,
    strategy: Strategy = None,
    precision: Precision = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Pretrain a model by masked value prediction and save it."""
    from scgraph.api import pretrain as run

    settings = bench_settings(
        config,
        set_,
        graph=graph,
        model={"channels": channels, "layers": layers},
        train={
            "epochs": epochs,
            "genes": genes,
            "seed": seed,
            "device": device,
            "devices": devices,
            "nodes": nodes,
            "strategy": strategy,
            "precision": precision,
        },
    )
    speak_as(find_world(settings.train.devices, settings.train.nodes).rank)
    trained = run(
        data,
        model=model,
        config=settings,
        out=out,
        layer=layer,
        resume=resume,
        overwrite=overwrite,
        show_progress=is_interactive(),
        say=say,
    )
    last = trained.history.iloc[-1]
    show(
        f"{model}: {len(trained.history)} epochs, validation loss {last['validation_loss']:.4f}, in {out}",
        json_,
    )
    write_json(json_, json.loads(trained.history.to_json(orient="records")))


@app.command()
def probe(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    data: Annotated[str, typer.Argument(help="A labelled .h5ad file.")],
    label: Label = None,
    layer: Layer = None,
    batch_key: BatchKey = None,
    seeds: Annotated[int | None, typer.Option(help="Repetitions: split and probe.")] = None,
    config: Config = "bench/default",
    set_: Set = None,
    device: Device = "auto",
    allow_conv: AllowConv = None,
    json_: Json = None,
) -> None:
    """Train a linear probe on the frozen features of a saved model."""
    from scgraph.api import probe as run

    settings = bench_settings(config, set_, seeds=seeds, model={}, train={})
    rows = run(
        model,
        data,
        config=settings,
        label=label,
        layer=layer,
        batch_key=batch_key,
        device=device or "auto",
        allow_conv=allow_conv or [],
        say=say,
    )
    show_rows(f"{model} on {data}", rows, json_)
    write_json(json_, rows)


@app.command()
def embed(
    model: Annotated[Path, typer.Argument(help="Folder of a saved model.")],
    data: Annotated[str, typer.Argument(help="An .h5ad file.")],
    out: Annotated[Path, typer.Option(help="The .h5ad file to write, with obsm['X_scgraph'].")],
    layer: Layer = None,
    min_matched: Annotated[float, typer.Option(help="Share of the model's genes the file must hold.")] = 0.3,
    device: Device = "auto",
    allow_conv: AllowConv = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    json_: Json = None,
) -> None:
    """Write the vectors of the cells into obsm["X_scgraph"] of a copy of the file."""
    from scgraph.api import embed_file

    record = embed_file(
        model,
        data,
        out=out,
        layer=layer,
        min_matched=min_matched,
        device=device or "auto",
        allow_conv=allow_conv or [],
        overwrite=overwrite,
        say=say,
    )
    show(
        f"{record['cells']:,} cells, {record['channels']} numbers each, in {out}",
        json_,
    )
    write_json(json_, record)


app.command()(graph)
app.command()(perturb)


app.command()(profile)


@app.command()
def synthetic(
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    config: Annotated[
        str, typer.Option(help="synthetic/paper, synthetic/extended, or a YAML file.")
    ] = "synthetic/paper",
    set_: Set = None,
    variants: Annotated[bool, typer.Option("--variants", help="Every reading of the paper instead of one.")] = False,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Reproduce the paper's synthetic example: Table I and Figure 3."""
    from scgraph.config import load_yaml, merged, parse_config
    from scgraph.synthetic import SyntheticConfig, run_synthetic, run_variants

    settings = parse_config(SyntheticConfig, merged(load_yaml(config), assignments(set_)), source=config)
    folder = out or Path("results") / datetime.now().strftime("synthetic-%Y%m%d-%H%M%S")
    run = run_variants if variants else run_synthetic
    result = run(out=folder, config=settings, overwrite=overwrite, say=say)
    rows = json.loads(result.table.to_json(orient="records"))
    # A terminal has room for means over sigma; the files hold every setting.
    columns = ["tf_best", "gnn_best", "ratio_best"]
    shown = result.table if variants else result.table.groupby("e_p", as_index=False)[columns].mean()
    show_rows("Test losses", json.loads(shown.to_json(orient="records")), json_)
    show(f"{result.seconds:.0f} s of training. Tables and figures: {folder}", json_)
    write_json(json_, rows)


app.command()(tune)


@app.command()
def models(
    check: Annotated[str | None, typer.Option(help="Check package.module:Class against the contract.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="An option of the layer checked: heads=4.")] = None,
    json_: Json = None,
) -> None:
    """List the models of the zoo and what each costs."""
    from scgraph.registry import ASYMMETRIC, PRESETS, conv_class, conv_names

    if check is not None:
        from scgraph.testing import SENTENCES, check_conv

        notes = check_conv(conv_class(check), assignments(set_))
        for note in notes:
            say(f"note: sentence {note}")
        show(f"{check} keeps all {len(SENTENCES)} sentences of the contract.", json_)
        write_json(json_, {"model": check, "sentences": len(SENTENCES), "notes": notes})
        return
    rows = []
    for name in conv_names():
        try:
            what, cost = conv_class(name).summary, conv_class(name).cost
        except ScgraphError as error:  # a broken package hides no other layer
            what, cost = str(error), "-"
        rows.append({"model": name, "what": what, "multiply-adds a layer and cell": cost})
    what = "an encoder of any of these on expressed genes, and a light decoder of all genes"
    arranged = [(f"{ASYMMETRIC}NAME", what), *((name, preset.summary) for name, preset in PRESETS.items())]
    rows += [{"model": name, "what": what, "multiply-adds a layer and cell": "see profile"} for name, what in arranged]
    show_rows("Models", rows, json_)
    write_json(json_, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit 2 with one message for what a user can mend, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    speak_as(torchrun_rank() or 0)
    words = spread([word for word in words if word != "--debug"])
    # A layer of one's own may stand in the current folder; last, so that it hides no package.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        code = app(words, prog_name="scgraph", standalone_mode=True)
    except ScgraphError as error:
        if debug:
            raise
        complain(str(error))
        code = 2
    except KeyboardInterrupt:
        say("scgraph: stopped.")
        code = 130
    except (MemoryError, RuntimeError) as error:
        if debug or not is_out_of_memory(error):
            raise
        complain(
            f"out of memory ({str(error).splitlines()[0]}). Use a smaller train.batch_size, fewer genes or "
            "channels, or model.recompute=true."
        )
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
