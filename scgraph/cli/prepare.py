"""The command `scgraph prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scgraph.cli.options import CELLS, Json, Layer, ObsValueFilter, Overwrite, ValuesAs
from scgraph.cli.terminal import is_interactive, say, show, write_json
from scgraph.errors import ConfigError

__all__ = ["prepare"]


def prepare(
    data: Annotated[list[str] | None, typer.Argument(help=CELLS)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the store.")] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(help="Genes: a model (or hf://ORG/NAME), a store or a .tsv file.  [default: of the files]"),
    ] = None,
    n_top_genes: Annotated[int | None, typer.Option(help="Keep so many highly variable genes.")] = None,
    min_cells: Annotated[int, typer.Option(help="Keep a gene that so many cells express.")] = 1,
    min_matched: Annotated[
        float, typer.Option(help="Share of the store's genes, or of each file's, that must match.")
    ] = 0.3,
    layer: Layer = None,
    values: ValuesAs = None,
    obs_value_filter: ObsValueFilter = None,
    shard_cells: Annotated[int | None, typer.Option(help="Cells of a file of the store.")] = None,
    check: Annotated[Path | None, typer.Option(help="Compare the checksums of a store instead.")] = None,
    overwrite: Overwrite = False,
    json_: Json = None,
) -> None:
    """Write cells into a store that pretraining reads from disk; files may be larger than memory."""
    from scgraph.data import check_store
    from scgraph.data import prepare as run
    from scgraph.data.store.writing import SHARD_CELLS

    if check is not None:
        if data or out:
            raise ConfigError("--check STORE stands alone: leave the files and --out out.")
        manifest, where = check_store(check), f"all checksums fit, in {check}"
    elif not data or out is None:
        raise ConfigError("prepare needs files and a folder: scgraph prepare FILES --out STORE.")
    else:
        if vocabulary is not None and vocabulary.startswith("hf:"):
            from scgraph.models.hub import local_folder

            vocabulary = str(local_folder(vocabulary))
        manifest = run(
            data,
            out=out,
            vocabulary=vocabulary,
            n_top_genes=n_top_genes,
            min_cells=min_cells,
            min_matched=min_matched,
            layer=layer,
            values=values,
            obs_value_filter=obs_value_filter,
            shard_cells=SHARD_CELLS if shard_cells is None else shard_cells,
            overwrite=overwrite,
            show_progress=is_interactive(),
            say=say,
        )
        where = f"in {out}"
    counts = f"{manifest['cells']:,} cells, {manifest['genes']:,} genes, {manifest['entries']:,} values"
    show(f"{counts}, {where}", json_)
    write_json(json_, manifest)
