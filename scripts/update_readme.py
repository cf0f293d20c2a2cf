"""Write the tables and the picture of README.md from the files in benchmarks/results.

A block of a page between ``<!-- results:NAME -->`` and ``<!-- end -->`` is replaced by what the results
folder NAME says, one between ``<!-- profile:NAME NAME -->`` and ``<!-- end -->`` by the costs in the files of
these names. Run it after a results folder changed; a test fails while a page is out of date.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from scgraph.bench.results import summarise
from scgraph.bench.tables import findings, headlines, quantity, table_cells

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md",)
BLOCK = re.compile(r"(<!-- (?P<kind>results|profile):(?P<names>[\w. -]+?) -->\n).*?(<!-- end -->)", re.S)
# Table II of the paper at C 256, G 512: multiply-adds in billions, MB of memory a cell.
PAPER = {"tf": (2.01, 169.96), "gnn": (0.76, 27.50)}


def block(name: str) -> str:
    """Return the table of one results folder, and where it comes from."""
    folder = RESULTS / name
    summary = summarise(pd.read_csv(folder / "results.csv"))
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    lines = ["| model | macro-F1 | accuracy | macro-F1 minus tf [95 %] | multiply-adds | saved MB | cells/s |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for row in summary.to_dict("records"):
        record = {str(key): value for key, value in row.items()}
        cells = table_cells(record, "tf")
        costs = ["-", "-", "-"]
        if pd.notna(record["seconds_pretrain"]):
            costs = [
                quantity(record["multiply_adds"]),
                f"{record['saved_mb']:.1f}",
                f"{record['cells_per_second']:,.0f}",
            ]
        lines.append("| " + " | ".join([cells[0], cells[1], cells[2], cells[4], *costs]) + " |")
    source = f"{_where(environment)}; files in [benchmarks/results/{name}](benchmarks/results/{name})."
    return "\n".join([*lines, "", " ".join([*headlines(summary), *findings(summary)]), "", source]) + "\n"


def profile_block(names: list[str]) -> str:
    """Return the costs of profiles at the paper's sizes beside the paper's numbers."""
    lines = ["| model | attention | multiply-adds | paper | saved for backward | paper | cells/s | of matmul peak |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|")
    sources = []
    for name in names:
        found = json.loads((RESULTS / name).read_text(encoding="utf-8"))
        for cost in found["costs"]:
            adds, memory = PAPER[cost["model"]]
            if cost["model"] == "gnn" and cost["attention"] == "math":
                continue  # it has no attention: the same row again
            lines.append(
                f"| `{cost['model']}` | {cost['attention'] if cost['model'] == 'tf' else '-'} "
                f"| {cost['multiply_adds'] / 1e9:.2f} G | {adds:.2f} G | {cost['saved_mb']:.1f} MB | {memory:.1f} MB "
                f"| {cost['cells_per_second']:.1f} | {cost['matmul_share']:.0%} |"
            )
        sources.append(f"{_where(found['environment'])}; [{name}](benchmarks/results/{name}).")
    return "\n".join([*lines, "", *sources]) + "\n"


def _where(environment: dict[str, Any]) -> str:
    threads = environment["threads"]
    return (
        f"`{environment['command']}` at commit {environment['git']['commit'][:10]}, {environment['date'][:10]}, "
        f"{environment['cpu']}, {threads} thread{'s' if threads > 1 else ''}, torch {environment['versions']['torch']}"
    )


def updated(text: str) -> str:
    """Return the page with every block made anew."""

    def fill(match: re.Match[str]) -> str:
        names = match["names"].split()
        body = block(names[0]) if match["kind"] == "results" else profile_block(names)
        return match[1] + body + match[4]

    return BLOCK.sub(fill, text)


def picture(name: str) -> None:
    """Draw the scores of a results folder beside its table."""
    from scgraph.bench.figures import model_colors, score_bars

    summary = summarise(pd.read_csv(RESULTS / name / "results.csv"))
    figure = score_bars(
        summary,
        metrics={"macro_f1": "macro-F1", "accuracy": "accuracy"},
        colors=model_colors(summary["model"]),
    )
    figure.savefig(RESULTS / name / "scores.png", dpi=110, facecolor="white")


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(updated(page.read_text(encoding="utf-8")), encoding="utf-8")
    for page in PAGES:
        for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
            if match["kind"] == "results":
                picture(match["names"].strip())
