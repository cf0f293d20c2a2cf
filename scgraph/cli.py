"""The command line: one typed function a command, everything else in the packages behind it."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from scgraph.errors import ConfigError, ScgraphError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scgraph.config import BenchConfig

__all__ = ["app", "main"]

app = typer.Typer(
    name="scgraph",
    help="Graph networks in place of Transformers for single-cell transcriptomics.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out_console = Console(highlight=False)
err_console = Console(stderr=True, highlight=False)

Models = Annotated[str, typer.Option(help="Models by name, separated by commas; see `scgraph models`.")]
Layer = Annotated[str | None, typer.Option(help="Layer to read instead of X; raw reads .raw.")]
Label = Annotated[str | None, typer.Option(help="Column of obs with the classes.  [default: cell_type]")]
BatchKey = Annotated[str | None, typer.Option(help="Column of obs with donors or batches; splits keep them whole.")]
Config = Annotated[str | None, typer.Option(help="YAML file, or a name that ships with scgraph such as bench/default.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Any setting, as train.epochs=5; may be repeated.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[str | None, typer.Option(help="32-true, bf16-mixed, 16-mixed or 64-true.")]
Epochs = Annotated[int | None, typer.Option(help="Passes of pretraining over the cells.")]
Channels = Annotated[int | None, typer.Option(help="Width C of the features.")]
Layers = Annotated[int | None, typer.Option(help="Number of blocks L.")]
Genes = Annotated[int | None, typer.Option(help="Expressed genes sampled a cell, G.")]
Seed = Annotated[int | None, typer.Option(help="Seed of weights, order, samples and masks.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON; - is standard output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands in the output folder.")]
AllowConv = Annotated[list[str] | None, typer.Option(help="A conv of your own that the saved model may use.")]


@app.command()
def bench(
    models: Models = "gnn,tf",
    data: Annotated[list[str] | None, typer.Option(help="Labelled sets to probe.  [default: pbmc68k_reduced]")] = None,
    corpus: Annotated[list[str] | None, typer.Option(help="Cells to pretrain on.  [default: train parts]")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results.")] = None,
    label: Label = None,
    layer: Layer = None,
    batch_key: BatchKey = None,
    drop_leaks: Annotated[bool, typer.Option("--drop-leaks", help="Leave test cells out of the corpus.")] = False,
    seeds: Annotated[int | None, typer.Option(help="Repetitions: split, weights, samples and probe.")] = None,
    epochs: Epochs = None,
    channels: Channels = None,
    layers: Layers = None,
    genes: Genes = None,
    config: Config = "bench/default",
    set_: Set = None,
    device: Device = None,
    precision: Precision = None,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Compare models on labelled cells: accuracy, cost, pictures."""
    from scgraph.bench import run_bench, tables

    settings = _bench_config(
        config,
        set_,
        {"seeds": seeds},
        model={"channels": channels, "layers": layers},
        train={"epochs": epochs, "genes": genes, "device": device, "precision": precision},
    )
    folder = out or Path("results") / datetime.now().strftime("bench-%Y%m%d-%H%M%S")
    result = run_bench(
        _names(models),
        data or ["pbmc68k_reduced"],
        corpus=corpus or [],
        config=settings,
        out=folder,
        label=label,
        layer=layer,
        batch_key=batch_key,
        drop_leaks=drop_leaks,
        overwrite=overwrite,
        say=_say,
        show_progress=err_console.is_terminal,
    )
    for note in result.notes:
        err_console.print(f"note: {note}", markup=False, soft_wrap=True)
    out_console.print(tables.rich_tables(result.summary, margin=settings.equivalence_margin))
    out_console.print(f"Report: {folder / 'report.html'}", markup=False, soft_wrap=True)
    _write_json(json_, json.loads(result.summary.to_json(orient="records")))


@app.command()
def pretrain(
    data: Annotated[list[str], typer.Argument(help="Cells to pretrain on: .h5ad files.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    model: Annotated[str, typer.Option(help="Model by name; see `scgraph models`.")] = "gnn",
    layer: Layer = None,
    epochs: Epochs = None,
    channels: Channels = None,
    layers: Layers = None,
    genes: Genes = None,
    seed: Seed = None,
    config: Config = "bench/default",
    set_: Set = None,
    device: Device = None,
    precision: Precision = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Pretrain a model by masked value prediction and save it."""
    from scgraph.api import pretrain as run

    settings = _bench_config(
        config,
        set_,
        {},
        model={"channels": channels, "layers": layers},
        train={"epochs": epochs, "genes": genes, "seed": seed, "device": device, "precision": precision},
    )
    trained = run(
        data,
        model=model,
        config=settings,
        out=out,
        layer=layer,
        resume=resume,
        overwrite=overwrite,
        show_progress=err_console.is_terminal,
        say=_say,
    )
    last = trained.history.iloc[-1]
    out_console.print(
        f"{model}: {len(trained.history)} epochs, validation loss {last['validation_loss']:.4f}, in {out}",
        markup=False,
        soft_wrap=True,
    )
    _write_json(json_, json.loads(trained.history.to_json(orient="records")))


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

    settings = _bench_config(config, set_, {"seeds": seeds}, model={}, train={})
    rows = run(
        model,
        data,
        config=settings,
        label=label,
        layer=layer,
        batch_key=batch_key,
        device=device or "auto",
        allow_conv=allow_conv or [],
        say=_say,
    )
    _table(f"{model} on {data}", rows)
    _write_json(json_, rows)


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
        say=_say,
    )
    out_console.print(
        f"{record['cells']:,} cells, {record['channels']} numbers each, in {out}",
        markup=False,
        soft_wrap=True,
    )
    _write_json(json_, record)


@app.command()
def profile(
    models: Models = "gnn,tf",
    channels: Annotated[int, typer.Option(help="Width C of the features.")] = 256,
    genes: Annotated[int, typer.Option(help="Genes of a cell, G.")] = 512,
    layers: Annotated[int, typer.Option(help="Number of blocks L.")] = 6,
    rank: Annotated[int, typer.Option(help="Rank R of the adjacency.")] = 48,
    batch_size: Annotated[int, typer.Option(help="Cells a step.")] = 8,
    vocabulary: Annotated[int, typer.Option(help="Genes of the vocabulary, V.")] = 20_000,
    attention: Annotated[Literal["fused", "math"], typer.Option(help="Backend of attention.")] = "fused",
    device: Device = "auto",
    precision: Precision = "32-true",
    json_: Json = None,
) -> None:
    """Measure what models cost: multiply-adds, memory, speed."""
    from dataclasses import asdict

    from scgraph.api import profile as run

    costs = run(
        _names(models),
        channels=channels,
        genes=genes,
        layers=layers,
        rank=rank,
        batch_size=batch_size,
        vocabulary_size=vocabulary,
        attention=attention,
        device=device or "auto",
        precision=precision or "32-true",
    )
    rows = [asdict(cost) for cost in costs]
    first = costs[0]
    shown = [
        {
            "model": cost.model,
            "multiply-adds": f"{cost.multiply_adds / 1e9:.2f} G",
            "of them adjacency": f"{cost.adjacency_multiply_adds / 1e9:.2f} G",
            "counted": f"{cost.counted_multiply_adds / 1e9:.2f} G",
            "saved for backward": f"{cost.saved_mb:.1f} MB",
            "cells/s": f"{cost.cells_per_second:.1f}",
            "of matmul peak": "-" if cost.matmul_share is None else f"{cost.matmul_share:.0%}",
            "block parameters": f"{cost.block_parameters:,}",
        }
        for cost in costs
    ]
    title = (
        f"One cell at C {channels}, G {genes}, L {layers}, R {rank}; training step of {batch_size} cells on "
        f"{first.device}, {first.precision}, {attention} attention"
    )
    _table(title, shown)
    if json_ is not None:
        from scgraph.bench.environment import environment

        _write_json(json_, {"costs": rows, "environment": environment()})


@app.command()
def models(
    check: Annotated[str | None, typer.Option(help="Check package.module:Class against the contract.")] = None,
    json_: Json = None,
) -> None:
    """List the models of the zoo and what each costs."""
    from scgraph.registry import conv_class, conv_names

    if check is not None:
        from scgraph.testing import SENTENCES, check_conv

        check_conv(conv_class(check))
        out_console.print(f"{check} keeps all {len(SENTENCES)} sentences of the contract.", markup=False)
        return
    rows = [
        {"model": name, "what": cls.summary, "multiply-adds a layer and cell": cls.cost}
        for name, cls in ((name, conv_class(name)) for name in conv_names())
    ]
    _table("Models", rows)
    _write_json(json_, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit 2 with one message for what a user can mend, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = _spread([word for word in words if word != "--debug"])
    try:
        code = app(words, prog_name="scgraph", standalone_mode=True)
    except ScgraphError as error:
        if debug:
            raise
        err_console.print(f"scgraph: {error}", markup=False, soft_wrap=True)
        code = 2
    except KeyboardInterrupt:
        err_console.print("scgraph: stopped.", markup=False)
        code = 130
    sys.exit(code)


def _spread(words: list[str]) -> list[str]:
    """Let ``--data A B`` stand for ``--data A --data B``."""
    spread: list[str] = []
    option = ""
    for word in words:
        if word in ("--data", "--corpus"):
            option, first = word, True
            spread.append(word)
        elif option and not word.startswith("-"):
            spread += [word] if first else [option, word]
            first = False
        else:
            option = ""
            spread.append(word)
    return spread


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError("--models: name at least one model, for example gnn,tf.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"--models: {', '.join(twice)} is named twice.")
    return names


def _bench_config(
    name: str | None,
    assignments: list[str] | None,
    top: dict[str, Any],
    *,
    model: dict[str, Any],
    train: dict[str, Any],
) -> BenchConfig:
    import yaml

    from scgraph.bench.run import as_bench_config
    from scgraph.config import BenchConfig, merged, parse_config

    given: dict[str, Any] = {key: value for key, value in top.items() if value is not None}
    for part, values in {"model": model, "train": train}.items():
        given[part] = {key: value for key, value in values.items() if value is not None}
    written: dict[str, Any] = {}
    for assignment in assignments or []:
        path, sign, text = assignment.partition("=")
        if not sign:
            raise ConfigError(f"--set {assignment}: write it as key=value, for example train.epochs=5.")
        try:
            value: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {assignment}: the value is not YAML.") from error
        for key in reversed(path.split(".")):
            value = {key: value}
        written = merged(written, value)
    base = as_bench_config(name or {}).model_dump()
    if "epochs" in given["train"] or "epochs" in written.get("train", {}):
        base["max_steps"] = None  # epochs that are asked for by hand are not cut
    return parse_config(BenchConfig, merged(base, written, given), source="options")


def _say(text: str) -> None:
    err_console.print(text, markup=False, soft_wrap=True)


def _table(title: str, rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left")
    for number, name in enumerate(rows[0]):
        text = all(isinstance(row[name], str) and not row[name][:1].isdigit() for row in rows)
        table.add_column(name, justify="left" if number == 0 or text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(f"{value:.4f}" if isinstance(value, float) else str(value)) for value in row.values()))
    out_console.print(table)


def _write_json(path: Path | None, value: object) -> None:
    if path is None:
        return
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if str(path) == "-":
        sys.stdout.write(text + "\n")
        return
    from scgraph.files import write_atomic

    write_atomic(path, text + "\n")


if __name__ == "__main__":
    main()
