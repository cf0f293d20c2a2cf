"""Fill the numbers of docs/synthetic.md from committed results.

Usage: python scripts/synthetic_docs.py [--date 2026-11-21] [--check]

Reads the folders DATE-synthetic (Table I), DATE-synthetic-extended (more seeds, on to e_p 0.9),
DATE-synthetic-variants and DATE-synthetic-relu of benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from scgraph.config import load_yaml, parse_config
from scgraph.synthetic import SyntheticConfig, report, tables

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "synthetic.md"
RESULTS = ROOT / "benchmarks" / "results"
PARTS = ("", "-extended", "-variants", "-relu")


def blocks(name: str) -> dict[str, str]:
    """Text of every block of the page by its marker; `name` is the folder of Table I in benchmarks/results."""
    grid = RESULTS / name
    table = pd.read_csv(grid / "table1.csv")
    variants = pd.read_csv(RESULTS / f"{name}-variants" / "variants.csv")
    plain = pd.concat([pd.read_csv(RESULTS / folder / "losses.csv") for folder in (name, f"{name}-extended")])
    relu = pd.read_csv(RESULTS / f"{name}-relu" / "losses.csv")
    return {
        "origin": _origin(name),
        "table1": tables.table1_markdown(table),
        "selected": f"{_selection(grid)}\n\n{tables.table1_markdown(table, selection='selected')}",
        "ratios": tables.seeds_markdown(plain),
        "figures": _figures(name),
        "variants": tables.variants_markdown(variants),
        "losses": tables.variants_markdown(variants, value="loss_best", limits=True),
        "matching": tables.matching_markdown(tables.table1(plain)),
        "relu": f"{tables.seeds_markdown(relu)}\n{_relu_figure(name)}",
    }


def _origin(name: str) -> str:
    lines = ["| results | command | training, s | cores | commit |", "|---|---|---:|---:|---|"]
    machines = set()
    for folder in (f"{name}{part}" for part in PARTS):
        origin = json.loads((RESULTS / folder / "environment.json").read_text(encoding="utf-8"))
        command = origin["command"].replace("|", "\\|")
        place = f"[{folder}](../benchmarks/results/{folder}/environment.json)"
        revision = origin["git"]["commit"][:10] + (" and changes" if origin["git"]["dirty"] else "")
        lines.append(f"| {place} | `{command}` | {origin['seconds']:.0f} | {origin['cores']} | {revision} |")
        machines.add(f"{origin['cpu']}, torch {origin['versions']['torch']}, {origin['date'][:10]}")
    return "\n".join([*lines, "", f"{'; '.join(sorted(machines))}."])


def _selection(grid: Path) -> str:
    config = parse_config(SyntheticConfig, load_yaml(grid / "config.yaml"), source=str(grid / "config.yaml"))
    kept = config.samples - round(config.test_share * config.samples)
    return (
        f"The same runs with the epoch chosen on {config.validation_samples:,} further samples of the setting, which "
        f"neither part holds; so the train part keeps the paper's {kept:,} samples."
    )


def _figures(name: str) -> str:
    place = "../benchmarks/results"
    return "\n\n".join(
        [
            f"![Best test loss against e_p to 0.5, one panel a sigma]({place}/{name}/figure3a.png)",
            f"Figure 3a: {_seeds(name)}; the paper's losses dashed.",
            f"![Test loss over epochs without and with relative positions]({place}/{name}/figure3b.png)",
            f"Figure 3b: {_seeds(name)}; one line a σ.",
            f"![Best test loss against e_p to 0.9, one panel a sigma]({place}/{name}-extended/figure3a.png)",
            f"The grid to e_p 0.9: {_seeds(f'{name}-extended')}.",
        ]
    )


def _relu_figure(name: str) -> str:
    figure = f"../benchmarks/results/{name}-relu/figure3a.png"
    title = "Best test loss against e_p with ReLU behind Softmax(A)e, one panel a sigma"
    return f"![{title}]({figure})\n\nThe GNN with ReLU, the paper's without it: {_seeds(f'{name}-relu')}."


def _seeds(folder: str) -> str:
    seeds = [str(seed) for seed in sorted(pd.read_csv(RESULTS / folder / "losses.csv")["seed"].unique())]
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of seeds {', '.join(seeds)}"


def main() -> int:
    """Rewrite the page, or with --check say whether it is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--date", help="of the results folders; the newest by default")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the page is out of date")
    arguments = parser.parse_args()
    name = f"{arguments.date}-synthetic" if arguments.date else max(RESULTS.glob("*-synthetic")).name
    page = PAGE.read_text(encoding="utf-8")
    filled = report.fill_page(page, blocks(name))
    if arguments.check:
        if filled != page:
            sys.stderr.write(f"{PAGE.relative_to(ROOT)} is out of date: run python scripts/synthetic_docs.py\n")
        return int(filled != page)
    PAGE.write_text(filled, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
