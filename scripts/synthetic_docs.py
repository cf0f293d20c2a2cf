"""Fill the numbers of docs/synthetic.md from committed results.

Usage: python scripts/synthetic_docs.py [benchmarks/results/<date>-synthetic] [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from scgraph.synthetic import report, tables

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "synthetic.md"


def blocks(results: Path) -> dict[str, str]:
    """Text of every block of the page, by its marker."""
    table = pd.read_csv(results / "table1" / "table1.csv")
    extended = pd.read_csv(results / "extended" / "table1.csv")
    variants = pd.read_csv(results / "variants" / "variants.csv")
    seeds = int(extended["seeds"].max())
    place = Path("..") / results.relative_to(ROOT)
    return {
        "table1": tables.table1_markdown(table),
        "selected": tables.table1_markdown(table, selection="selected"),
        "ratios": f"Means over σ and {seeds} seeds.\n\n{tables.ratios_markdown(extended)}",
        "matching": tables.matching_markdown(extended),
        "variants": tables.variants_markdown(variants),
        "floors": tables.variants_markdown(variants, value="loss_best", limits=True),
        "figures": "\n\n".join(
            [
                f"![Best test loss against e_p, one panel a sigma]({place}/extended/figure3a.svg)",
                f"![Test loss over epochs without and with relative positions]({place}/table1/figure3b.svg)",
            ]
        ),
        "origin": _origin(results, place),
    }


def _origin(results: Path, place: Path) -> str:
    lines = ["| results | wall time of training, s | command |", "|---|---:|---|"]
    for name in ("table1", "variants", "extended"):
        origin = json.loads((results / name / "environment.json").read_text())
        command = origin["command"].replace("|", "\\|")
        lines.append(f"| [{name}]({place}/{name}/environment.json) | {origin['seconds']:.0f} | `{command}` |")
    machine = f"{origin['cores']} cores of {origin['cpu']}, torch {origin['versions']['torch']}"
    return "\n".join([*lines, "", f"Commit {origin['git']['commit'][:7]}, {machine}, {origin['date'][:10]}."])


def main() -> int:
    """Rewrite the page, or with --check say whether it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, help="folder of results; the newest by default")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the page is stale")
    arguments = parser.parse_args()
    results = arguments.results or max((ROOT / "benchmarks" / "results").glob("*-synthetic"))
    page = PAGE.read_text(encoding="utf-8")
    filled = report.fill_page(page, blocks(results.resolve()))
    if arguments.check:
        return int(filled != page)
    PAGE.write_text(filled, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
