"""Blocks of docs/synthetic.md, from the four runs of the synthetic example of one date.

DATE-table1 is Table I, DATE-extended has more seeds and goes on to e_p 0.9, DATE-variants has other readings of the
paper, and DATE-relu the layer with ReLU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from docs.make.sources import RESULTS, environment
from scgraph.config_files import load_yaml, parse_config
from scgraph.synthetic import SyntheticConfig, tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["PARTS", "synthetic_block"]

PARTS = ("table1", "extended", "variants", "relu")


def synthetic_block(date: str, part: str) -> str:
    """Return one of the parts of the page that hold numbers.

    Args:
        date: of the results folders.
        part: key of `BLOCKS`.
    """
    return BLOCKS[part](date).strip() + "\n"


def _run(date: str, part: str) -> str:
    return f"synthetic/{date}-{part}"


def _table1(date: str) -> str:
    return tables.table1_markdown(pd.read_csv(RESULTS / _run(date, "table1") / "table1.csv"))


def _selected(date: str) -> str:
    table = pd.read_csv(RESULTS / _run(date, "table1") / "table1.csv")
    return f"{_selection(RESULTS / _run(date, 'table1'))}\n\n{tables.table1_markdown(table, selection='selected')}"


def _ratios(date: str) -> str:
    return tables.seeds_markdown(_plain(date))


def _variants(date: str) -> str:
    return tables.variants_markdown(pd.read_csv(RESULTS / _run(date, "variants") / "variants.csv"))


def _losses(date: str) -> str:
    variants = pd.read_csv(RESULTS / _run(date, "variants") / "variants.csv")
    return tables.variants_markdown(variants, value="loss_best", limits=True)


def _matching(date: str) -> str:
    return tables.matching_markdown(tables.table1(_plain(date)))


def _relu(date: str) -> str:
    losses = pd.read_csv(RESULTS / _run(date, "relu") / "losses.csv")
    return f"{tables.seeds_markdown(losses)}\n{_relu_figure(date)}"


def _plain(date: str) -> pd.DataFrame:
    return pd.concat(
        [pd.read_csv(RESULTS / folder / "losses.csv") for folder in (_run(date, "table1"), _run(date, "extended"))]
    )


def _origin(date: str) -> str:
    lines = ["| results | command | training, s | cores | commit |", "|---|---|---:|---:|---|"]
    machines = set()
    for folder in (_run(date, part) for part in PARTS):
        origin = environment(folder)
        command = origin["command"].replace("|", "\\|")
        place = f"[{folder}](benchmarks/results/{folder}/environment.json)"
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


def _figures(date: str) -> str:
    grid, extended = _run(date, "table1"), _run(date, "extended")
    place = "benchmarks/results"
    return "\n\n".join(
        [
            f"![Best test loss against e_p to 0.5, one panel a sigma]({place}/{grid}/figure3a.png)",
            f"Figure 3a: {_seeds(grid)}; the paper's losses dashed.",
            f"![Test loss over epochs without and with relative positions]({place}/{grid}/figure3b.png)",
            f"Figure 3b: {_seeds(grid)}; one line a σ.",
            f"![Best test loss against e_p to 0.9, one panel a sigma]({place}/{extended}/figure3a.png)",
            f"The grid to e_p 0.9: {_seeds(extended)}.",
        ]
    )


def _relu_figure(date: str) -> str:
    figure = f"benchmarks/results/{_run(date, 'relu')}/figure3a.png"
    title = "Best test loss against e_p with ReLU behind Softmax(A)e, one panel a sigma"
    return f"![{title}]({figure})\n\nThe GNN with ReLU, the paper's without it: {_seeds(_run(date, 'relu'))}."


def _seeds(folder: str) -> str:
    seeds = [str(seed) for seed in sorted(pd.read_csv(RESULTS / folder / "losses.csv")["seed"].unique())]
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of seeds {', '.join(seeds)}"


BLOCKS: dict[str, Callable[[str], str]] = {
    "origin": _origin,
    "table1": _table1,
    "selected": _selected,
    "ratios": _ratios,
    "figures": _figures,
    "variants": _variants,
    "losses": _losses,
    "matching": _matching,
    "relu": _relu,
}
