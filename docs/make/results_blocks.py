"""Blocks that show results folders: scores, costs, sets, figures, pages as they were written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from docs.make.sources import RESULTS, anchor, source, where
from scgraph.bench.across_sets import across_sets
from scgraph.bench.results import summarise
from scgraph.bench.tables import findings, headlines, overall_cells, overall_header, records, table_cells
from scgraph.reporting.tables import quantity

__all__ = [
    "figures_block",
    "file_block",
    "overall_block",
    "profile_block",
    "ratios_block",
    "results_block",
    "sections_block",
    "sets_block",
]

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
    """Return what the sets of all folders say together, split by split, about gnn minus tf."""
    header = ["split", *overall_header("tf")]
    lines = ["| " + " | ".join(header) + " |", "|---|---|" + "---:|" * (len(header) - 2)]
    found = across_sets(pd.concat([pd.read_csv(RESULTS / name / "results.csv") for name in names]))
    for row in records(found[found["model"] == "gnn"]):
        lines.append("| " + " | ".join([row["split"], *overall_cells(row)]) + " |")
    return "\n".join(lines) + "\n"


def file_block(name: str) -> str:
    """Return a markdown file of a results folder below its title, its headings a level lower."""
    return f"{_below_title((RESULTS / name).read_text(encoding='utf-8'))}\n\n{source(Path(name).parent.as_posix())}\n"


def sections_block(name: str, *anchors: str) -> str:
    """Return a markdown file of a results folder as `file_block` does, with some of its sections.

    Args:
        name: the file.
        anchors: of the sections that are shown, as links name them; the others are named, with a link to the file.

    Raises:
        KeyError: no section has an anchor.
    """
    before, *rest = re.split(r"^(?=## )", (RESULTS / name).read_text(encoding="utf-8"), flags=re.M)
    titles = {anchor(text.splitlines()[0][3:]): text.splitlines()[0][3:] for text in rest}
    sections = dict(zip(titles, rest, strict=True))
    shown = _below_title("".join([before, *(sections[wanted] for wanted in anchors)]))
    left = "; ".join(title for own, title in titles.items() if own not in anchors)
    path = Path(name)
    more = f"Further tables ({left}): [{path.name}](benchmarks/results/{name})."
    return f"{shown}\n\n{more}\n\n{source(path.parent.as_posix())}\n"


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


def _below_title(text: str) -> str:
    """Return a markdown text without its title, its headings a level lower."""
    return re.sub(r"^#", "##", re.sub(r"\A# .*\n+", "", text), flags=re.M).rstrip()


def _summary(name: str) -> pd.DataFrame:
    return summarise(pd.read_csv(RESULTS / name / "results.csv"))
