"""What predicted scores of drug combinations are worth, by what is unseen: pairs, drugs or cell lines.

Usage: python -m benchmarks.drugs.run --combinations combinations.csv --lines cell_lines.h5ad --drugs drugs.csv
       --split pair|drug|line --out FOLDER
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.drugs.page import drugs_page
from benchmarks.harness.folder import new_folder
from benchmarks.harness.options import Out
from benchmarks.harness.script import command_line, entry_point
from scgraph.cli.options import Overwrite, Set, assignments
from scgraph.cli.terminal import say, show

app = command_line("Predicted scores of drug combinations.")


@app.command()
def run(
    combinations: Annotated[Path, typer.Option(help="Scores (.csv).")],
    lines: Annotated[Path, typer.Option(help="Expression, a row a cell line (.h5ad).")],
    drugs: Annotated[Path, typer.Option(help="Structures (.csv).")],
    split: Annotated[str, typer.Option(help="What is unseen: pair, drug or line.")],
    out: Out,
    model: Annotated[str, typer.Option(help="Convolution that embeds a cell line.")] = "gnn",
    values: Annotated[str, typer.Option(help="What the values of the lines are.")] = "linear",
    set_: Set = None,
    overwrite: Overwrite = False,
) -> None:
    """Score every method in folds, beside the replicates of the screen."""
    from scgraph.drugs import run_drugs
    from scgraph.drugs.figures import scores

    owned = ["results.csv", "summary.csv", "figure.png", "figure.svg", "table.md", "environment.json"]
    results = new_folder("drugs", out, overwrite=overwrite, owned=owned)
    settings = assignments(set_)
    found = run_drugs(
        combinations, lines, drugs, split=split, model=model, values=values, config=settings, device="cpu", say=say
    )
    found.results.to_csv(results.folder / "results.csv", index=False, float_format="%.6g")
    found.summary.to_csv(results.folder / "summary.csv", index=False, float_format="%.6g")
    page, figure = drugs_page(found, split), scores(found.summary)
    show(results.finish(page, "table", figure=figure, notes=list(found.notes), split=split))


main = entry_point(app, "drugs")

if __name__ == "__main__":
    main()
