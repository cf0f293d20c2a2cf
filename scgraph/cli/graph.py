"""The command `scgraph graph`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from scgraph.cli.options import AllowConv, Json, Model, ValuesAs
from scgraph.cli.terminal import say, show, show_rows, write_json

__all__ = ["graph"]


NOT_COMPARED = (
    "Not compared with correlation. In docs/gene_graph.md the correlation of the same cells finds families of genes "
    "better than a learned graph; --check CELLS says what holds for this one."
)


def graph(
    model: Model,
    out: Annotated[Path | None, typer.Option(help="The graph: .graphml or .tsv; hubs go beside it.")] = None,
    top_k: Annotated[int, typer.Option(help="Strongest senders of every gene.")] = 20,
    layer: Annotated[
        int | None, typer.Option(help="Layer of the model, from 1, where each has tables of its own.  [default: mean]")
    ] = None,
    weights: Annotated[
        Literal["logit", "softmax", "change"], typer.Option(help="Weight of an edge; change: since the start.")
    ] = "logit",
    genes: Annotated[str | None, typer.Option(help="Genes with commas between, or a file with one a line.")] = None,
    data: Annotated[str | None, typer.Option(help="Only genes that these cells express.")] = None,
    values: ValuesAs = None,
    min_share: Annotated[float, typer.Option(help="Least share of the cells that express a gene.")] = 0.05,
    embeddings: Annotated[Path | None, typer.Option(help="What the model knows of its genes: .h5ad or .tsv.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Picture of the strongest part: .svg or .png.")] = None,
    check: Annotated[str | None, typer.Option(help="Cells to test the sense of the graph with.")] = None,
    families: Annotated[
        Path | None, typer.Option(help="Lines of family<TAB>gene for --check.  [default: by prefix]")
    ] = None,
    known: Annotated[
        list[Path] | None,
        typer.Option(help="Known edges, such as targets of transcription factors, for --check: .tsv, .csv, .graphml."),
    ] = None,
    other: Annotated[str | None, typer.Option(help="A model of another seed, for --check: which edges agree.")] = None,
    permutations: Annotated[int, typer.Option(help="Permutations of each kind for --check.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of modules, layout and permutations.")] = 0,
    allow_conv: AllowConv = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files.")] = False,
    json_: Json = None,
) -> None:
    """Write the learned gene graph: edges, hubs, modules, a picture, embeddings; check its sense."""
    from scgraph.genes.run import write_network

    found = write_network(
        model,
        out=out,
        top_k=top_k,
        layer=layer,
        weights=weights,
        genes=genes,
        data=data,
        values=values,
        min_share=min_share,
        embeddings=embeddings,
        figure=figure,
        check=check,
        families=families,
        known=known or [],
        other=other,
        permutations=permutations,
        seed=seed,
        allow_conv=allow_conv or [],
        overwrite=overwrite,
        say=say,
    )
    if found.hubs is not None:
        shown = found.hubs.head(10)[["gene", "out_strength", "out_degree", "pagerank", "module"]]
        rows = json.loads(shown.to_json(orient="records"))
        show_rows(
            f"{found.genes:,} genes, {found.edges:,} edges, {found.modules:,} modules; strongest hubs", rows, json_
        )
        if found.enrichment is None:
            show(NOT_COMPARED, json_)
    if found.enrichment is not None:
        from scgraph.genes.enrichment.report import overall_rows, verdicts

        show_rows("Edges within families of genes", overall_rows(found.enrichment), json_)
        for sentence in verdicts(found.enrichment):
            show(sentence, json_)
    if found.recovery is not None:
        from scgraph.genes.known.report import file_rows, recovery_verdicts

        for file, rows in file_rows(found.recovery).items():
            show_rows(f"Edges of {file}", rows, json_)
        for sentence in recovery_verdicts(found.recovery):
            show(sentence, json_)
    if found.agreement is not None:
        from scgraph.genes.known.report import agreement_rows, agreement_verdict

        show_rows("Edges that the two models share", agreement_rows(found.agreement), json_)
        show(agreement_verdict(found.agreement), json_)
    for path in found.files:
        show(f"Written: {path}", json_)
    write_json(json_, found.summary())
