"""The command `scgraph profile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scgraph.cli.options import Device, Json, Models, Network, Precision, ValuesAs, model_names
from scgraph.cli.terminal import say, show, show_rows, write_json
from scgraph.costs.sizes import BATCH_SIZE, VOCABULARY_SIZE
from scgraph.errors import ConfigError
from scgraph.reporting.digits import four_digits

if TYPE_CHECKING:
    from scgraph.costs.profiling import Costs

__all__ = ["profile"]


def profile(
    models: Models = "gnn,tf",
    channels: Annotated[int | None, typer.Option(help="Width C of the features.  [default: the paper's]")] = None,
    genes: Annotated[int | None, typer.Option(help="Genes of a cell, G.  [default: the paper's]")] = None,
    layers: Annotated[int | None, typer.Option(help="Number of blocks L.  [default: the paper's]")] = None,
    rank: Annotated[int | None, typer.Option(help="Rank R of the adjacency.  [default: the paper's]")] = None,
    batch_size: Annotated[int, typer.Option(help="Cells a step.")] = BATCH_SIZE,
    vocabulary: Annotated[int, typer.Option(help="Genes of the vocabulary, V.")] = VOCABULARY_SIZE,
    zero_genes: Annotated[
        str | None, typer.Option(help="Unexpressed genes that a decoder sees, or all.  [default: as many as genes]")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Cells or a store to load from.  [default: random cells]")] = None,
    values: ValuesAs = None,
    network: Network = None,
    attention: Annotated[Literal["fused", "math"], typer.Option(help="Backend of attention.")] = "fused",
    device: Device = "auto",
    precision: Precision = "32-true",
    json_: Json = None,
) -> None:
    """Measure what models cost: multiply-adds, memory, speed."""
    from dataclasses import asdict

    names = model_names(models)
    from scgraph.api import profile as run

    costs = run(
        names,
        channels=channels,
        genes=genes,
        layers=layers,
        rank=rank,
        batch_size=batch_size,
        vocabulary_size=vocabulary,
        zero_genes=_zeros(zero_genes),
        data=data,
        values=values,
        network=network,
        say=say,
        attention=attention,
        device=device or "auto",
        precision=precision or "32-true",
    )
    rows = [{key: None if value != value else value for key, value in asdict(cost).items()} for cost in costs]
    first = costs[0]
    shown = [
        {
            "model": cost.model,
            "path": cost.path,
            **({} if cost.edges is None else {"edges a cell": f"{cost.edges:,.0f}"}),
            "multiply-adds": f"{four_digits(cost.multiply_adds / 1e9)} G",
            "saved MB": "out of memory" if cost.out_of_memory else four_digits(cost.saved_mb),
            "cells/s": "-" if cost.out_of_memory else four_digits(cost.cells_per_second),
            "of peak": "-" if cost.matmul_share is None else f"{cost.matmul_share:.1%}",
            "parameters": f"{cost.block_parameters:,}",
        }
        for cost in costs
    ]
    title = (
        f"One cell at C {first.channels}, G {first.genes}, L {first.layers}, R {first.rank}; training step of "
        f"{batch_size} cells on {first.device}, {first.precision}, {attention} attention"
    )
    show_rows(title, shown, json_)
    waiting = [f"{cost.model} {cost.waiting_share or 0:.2%}" for cost in costs if not cost.out_of_memory]
    if waiting:
        show(f"Share of a step spent waiting for cells, without threads that prepare them: {', '.join(waiting)}", json_)
    panels = [f"{cost.model} {_parts(cost)}" for cost in costs if cost.panel]
    if panels:
        show(f"Encoder and decoder, G multiply-adds: {'; '.join(panels)}", json_)
    if json_ is not None:
        from scgraph.reporting.environment import environment

        write_json(json_, {"costs": rows, "environment": environment()})


def _zeros(text: str | None) -> int | Literal["all"] | None:
    if text is None:
        return None
    if text == "all":
        return "all"
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"--zero-genes: {text!r} is no number of genes; give one, or all.") from error


def _parts(cost: Costs) -> str:
    encoder = cost.multiply_adds - cost.decoder_multiply_adds
    parts = (encoder / 1e9, cost.decoder_multiply_adds / 1e9)
    return f"{' + '.join(map(four_digits, parts))} over {cost.panel:,} genes"
