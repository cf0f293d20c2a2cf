"""The command `scgraph example`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scgraph.cli.terminal import show
from scgraph.errors import OutputError
from scgraph.files import check_new_file, file_atomic

__all__ = ["example"]

NEXT = {
    "pbmc": "scgraph bench --data {out}",
    "batches": "scgraph bench --data {out} --batch-key batch",
    "screen": "scgraph pretrain {out} --out model, then scgraph perturb {out} --model model",
}


def example(
    name: Annotated[
        Literal["pbmc", "batches", "screen"],
        typer.Argument(
            help="pbmc: 700 labelled blood cells, as scanpy carries them. batches: simulated counts of two batches. "
            "screen: a simulated screen of perturbed genes."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The .h5ad file to write.")],
    seed: Annotated[int, typer.Option(help="Seed of what is simulated.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write a small set of cells to try the other commands with."""
    if out.suffix != ".h5ad":
        raise OutputError(f"{out}: give a file name that ends in .h5ad.")
    check_new_file(out, overwrite=overwrite)
    from scgraph.data.sets.examples import labelled_example, two_batches

    if name == "screen":
        from scgraph.perturb.simulate import simulate_screen

        adata = simulate_screen(seed=seed).adata
    else:
        adata = labelled_example() if name == "pbmc" else two_batches(seed=seed)
    with file_atomic(out) as path:
        adata.write_h5ad(path)
    columns = ", ".join(map(str, adata.obs.columns))
    show(f"{adata.n_obs:,} cells, {adata.n_vars:,} genes, obs with {columns}, in {out}")
    show(f"Try: {NEXT[name].format(out=out)}")
