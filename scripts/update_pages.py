"""Write the tables of README.md and docs/ from the files in benchmarks/results.

A block between ``<!-- KIND:NAMES -->`` and ``<!-- end -->`` is made anew from the results folders (or files)
NAMES; the kinds are the keys of `KINDS`. Run it after a results folder changed; a test fails while a page is
out of date.

Usage: python scripts/update_pages.py
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scgraph.bench.overall import overall
from scgraph.bench.results import summarise
from scgraph.bench.tables import findings, headlines, overall_cells, overall_header, quantity, records, table_cells

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in (
            "reproduction",
            "features",
            "protocol",
            "performance",
            "tuning",
            "attention_is_message_passing",
            "perturbation",
            "gene_graph",
            "asymmetric",
        )
    ),
)
BLOCK = re.compile(r"(<!-- (?P<kind>[a-z]+):(?P<names>[\w. /-]+?) -->\n).*?(<!-- end -->)", re.S)
# Table II of the paper at C 256, G 512: multiply-adds, memory of a cell.
PAPER = {"tf": ("2.01 G", "170.0 MB"), "gnn": ("0.76 G", "27.5 MB")}
ATTENDING = ("tf", "hybrid")


def results_block(name: str) -> str:
    """Return the table of one results folder, and where it comes from."""
    summary = _summary(name)
    lines = ["| model | macro-F1 | accuracy | macro-F1 minus tf [95 %] | multiply-adds | saved MB | cells/s |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for record in records(summary):
        cells = table_cells(record, "tf")
        costs = ["-", "-", "-"]
        if pd.notna(record["seconds_pretrain"]):
            costs = [
                quantity(record["multiply_adds"]),
                f"{record['saved_mb']:.1f}",
                f"{record['cells_per_second']:,.0f}",
            ]
        lines.append("| " + " | ".join([cells[0], cells[1], cells[2], cells[4], *costs]) + " |")
    return "\n".join([*lines, "", " ".join([*headlines(summary), *findings(summary)]), "", source(name)]) + "\n"


def profile_block(*names: str) -> str:
    """Return the costs of profiles at the paper's sizes beside the paper's numbers."""
    lines = ["| model | attention | multiply-adds | paper | saved for backward | paper | cells/s | of matmul peak |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|")
    sources = []
    for name in names:
        found = json.loads((RESULTS / name).read_text(encoding="utf-8"))
        for cost in found["costs"]:
            attends = cost["model"] in ATTENDING
            if not attends and cost["attention"] == "math":
                continue  # it has no attention: the same row again
            adds, memory = PAPER.get(cost["model"], ("-", "-"))
            lines.append(
                f"| `{cost['model']}` | {cost['attention'] if attends else '-'} | {cost['multiply_adds'] / 1e9:.2f} G "
                f"| {adds} | {cost['saved_mb']:.1f} MB | {memory} | {cost['cells_per_second']:.1f} "
                f"| {cost['matmul_share']:.0%} |"
            )
        sources.append(f"{where(found['environment'])}; [{name}](benchmarks/results/{name}).")
    return "\n".join([*lines, "", *sources]) + "\n"


def sets_block(*names: str) -> str:
    """Return a row a set: accuracy and macro-F1 of gnn, tf and the baseline, and the paired differences."""
    lines = [
        "| set | split | gnn accuracy | tf accuracy | gnn minus tf, accuracy | equivalent | gnn macro-F1 | tf macro-F1 "
        "| gnn minus tf, macro-F1 | equivalent | pca+logreg macro-F1 | gnn untrained |",
        "|---|---|" + "---:|" * 10,
    ]
    for name in names:
        for (dataset, split), group in _summary(name).groupby(["dataset", "split"], sort=False):
            row = {str(record["model"]): record for record in records(group)}
            gnn = row["gnn"]
            cells = [str(dataset), str(split)]
            for metric in ("accuracy", "macro_f1"):
                cells += [f"{row[model][f'{metric}_mean']:.3f}" for model in ("gnn", "tf")]
                low, high = gnn[f"{metric}_low"], gnn[f"{metric}_high"]
                cells.append(f"{gnn[f'{metric}_difference']:+.3f} [{low:+.3f}, {high:+.3f}]")
                cells.append("yes" if gnn[f"{metric}_equivalent"] else "no")
            cells += [f"{row[model]['macro_f1_mean']:.3f}" for model in ("pca+logreg", "gnn untrained")]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(source(name) + "\n" for name in names)])


def overall_block(*names: str) -> str:
    """Return what the sets of each folder say together about gnn minus tf."""
    header = ["folder", "split", *overall_header("tf")]
    lines = ["| " + " | ".join(header) + " |", "|---|---|---|" + "---:|" * (len(header) - 3)]
    for name in names:
        found = overall(pd.read_csv(RESULTS / name / "results.csv"))
        for row in records(found[found["model"] == "gnn"]):
            lines.append("| " + " | ".join([name, row["split"], *overall_cells(row)]) + " |")
    return "\n".join(lines) + "\n"


def file_block(name: str) -> str:
    """Return a markdown file of a results folder below its title, its headings a level lower."""
    text = (RESULTS / name).read_text(encoding="utf-8")
    text = re.sub(r"\A# .*\n+", "", text)
    return re.sub(r"^#", "##", text, flags=re.M).rstrip() + f"\n\n{source(Path(name).parts[0])}\n"


def figures_block(*names: str) -> str:
    """Return the features of every set of the folders as pictures."""
    pictures = []
    for name in names:
        for path in sorted((RESULTS / name).glob("features-*.png")):
            title = path.stem.removeprefix("features-")
            pictures.append(f"**{title}**\n\n![t-SNE of {title}](benchmarks/results/{name}/{path.name})\n")
    return "\n".join(pictures)


def ratios_block(name: str) -> str:
    """Return the mean over sigma of the ratio of the losses, GNN over Transformer, ours and the paper's."""
    table = pd.read_csv(RESULTS / name / "table1.csv")
    means = table.groupby("e_p")[["ratio_best", "ratio_selected", "paper_ratio"]].mean()
    lines = ["| e_p | " + " | ".join(f"{e_p:g}" for e_p in means.index) + " |", "|---|" + "---:|" * len(means)]
    titles = {
        "ratio_best": "ours, best on test",
        "ratio_selected": "ours, selected on validation",
        "paper_ratio": "paper",
    }
    for column, title in titles.items():
        lines.append(f"| {title} | " + " | ".join(f"{value:.2f}" for value in means[column]) + " |")
    return "\n".join(lines) + f"\n\n{source(name)}\n"


def claims_block(date: str) -> str:
    """Return the claims of the paper beside what the results files of a date say; see `reproduction_claims`."""
    from reproduction_claims import claims

    lines = ["| the paper | measured here | |", "|---|---|---|"]
    lines += ["| " + " | ".join(claim) + " |" for claim in claims(RESULTS, date)]
    return "\n".join(lines) + "\n"


def study_block(name: str) -> str:
    """Return what a search found; see `study_tables`."""
    from study_block import study_tables

    return f"{study_tables(RESULTS / name)}\n{source(name)}\n"


KINDS: dict[str, Callable[..., str]] = {
    "results": results_block,
    "profile": profile_block,
    "sets": sets_block,
    "overall": overall_block,
    "figures": figures_block,
    "file": file_block,
    "ratios": ratios_block,
    "claims": claims_block,
    "study": study_block,
}


def source(name: str) -> str:
    """Return the command, commit and machine of a results folder."""
    environment = json.loads((RESULTS / name / "environment.json").read_text(encoding="utf-8"))
    return f"{where(environment)}; files in [benchmarks/results/{name}](benchmarks/results/{name})."


def where(environment: dict[str, Any]) -> str:
    """Return the command, commit, date, machine and PyTorch of a run in one line."""
    threads = environment["threads"]
    return (
        f"`{environment['command']}` at commit {environment['git']['commit'][:10]}, {environment['date'][:10]}, "
        f"{environment['cpu']}, {threads} thread{'s' if threads > 1 else ''}, torch {environment['versions']['torch']}"
    )


def updated(text: str, page: Path = ROOT / "README.md") -> str:
    """Return the text of a page with every block made anew."""

    def fill(match: re.Match[str]) -> str:
        body = KINDS[match["kind"]](*match["names"].split())
        if page.parent != ROOT:
            body = body.replace("](benchmarks/", "](../benchmarks/").replace("](docs/", "](")
        return match[1] + body + match[4]

    return BLOCK.sub(fill, text)


def _summary(name: str) -> pd.DataFrame:
    return summarise(pd.read_csv(RESULTS / name / "results.csv"))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    for path in PAGES:
        path.write_text(updated(path.read_text(encoding="utf-8"), path), encoding="utf-8")
