"""Tables and files of the synthetic example, and the parts of its page in the docs that hold numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.errors import DataError
from scgraph.synthetic.paper import PAPER_E_P, paper_losses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from scgraph.synthetic.config import SyntheticConfig
    from scgraph.synthetic.train import Curves, Setting

__all__ = [
    "fill_page",
    "table1",
    "table1_markdown",
    "variant_table",
    "variants_markdown",
    "write_run",
    "write_variants",
]

SELECTIONS = {"best": "best on test", "selected": "selected on validation"}
CURVE_DIGITS = "%.4g"
LOSS_DIGITS = "%.6g"


def table1(losses: pd.DataFrame) -> pd.DataFrame:
    """Table I from the losses of `run_synthetic`: one row an e_p and sigma, means over seeds.

    Columns: e_p, sigma, seeds; for `best` and `selected` (see `loss_table`) `tf_*`, `gnn_*` and `ratio_*`, the mean
    over seeds of each seed's GNN / TF; `floor`; `paper_tf`, `paper_gnn`, `paper_ratio` (empty where the paper has
    no such cell).
    """
    import pandas as pd

    rows = []
    for key, cell in losses.groupby(["e_p", "sigma"]):
        e_p, sigma = (float(part) for part in np.asarray(key))
        by_model = {name: part.sort_values("seed") for name, part in cell.groupby("model")}
        tf, gnn = by_model["tf"], by_model["gnn"]
        row: dict[str, Any] = {"e_p": e_p, "sigma": sigma, "seeds": len(tf)}
        for selection in SELECTIONS:
            row[f"tf_{selection}"] = tf[selection].mean()
            row[f"gnn_{selection}"] = gnn[selection].mean()
            row[f"ratio_{selection}"] = float(np.mean(gnn[selection].to_numpy() / tf[selection].to_numpy()))
        row["floor"] = tf["floor"].mean()
        theirs = paper_losses(e_p, sigma) or (np.nan, np.nan)
        row |= {"paper_tf": theirs[0], "paper_gnn": theirs[1], "paper_ratio": theirs[1] / theirs[0]}
        rows.append(row)
    return pd.DataFrame(rows)


def variant_table(losses: pd.DataFrame, *, reference: str) -> pd.DataFrame:
    """One row a sign, model and e_p of `run_variants`; ratios to `reference` of the same sign.

    Columns: sign, model, e_p; `loss_*` and `ratio_*`, means over sigma and seeds of the loss and of the ratio;
    `paper_ratio`, the mean of the paper; `paper_gnn_factor`, the geometric mean over sigma of loss / GNN loss of the
    paper (best on test).
    """
    import pandas as pd

    keys = ["sign", "e_p", "sigma", "seed"]
    base = losses[losses["model"] == reference].set_index(keys)[list(SELECTIONS)]
    joined = losses.join(base, on=keys, rsuffix="_reference")
    for selection in SELECTIONS:
        joined[f"ratio_{selection}"] = joined[selection] / joined[f"{selection}_reference"]
    theirs = [
        paper_losses(e_p, sigma) or (np.nan, np.nan) for e_p, sigma in zip(joined["e_p"], joined["sigma"], strict=True)
    ]
    joined["paper_ratio"] = [gnn / tf for tf, gnn in theirs]
    joined["log_factor"] = np.log(joined["best"] / np.array([gnn for _, gnn in theirs]))
    rows = []
    for (sign, model, e_p), part in joined.groupby(["sign", "model", "e_p"], sort=False):
        row: dict[str, Any] = {"sign": sign, "model": model, "e_p": e_p}
        for selection in SELECTIONS:
            row |= {
                f"loss_{selection}": part[selection].mean(),
                f"ratio_{selection}": part[f"ratio_{selection}"].mean(),
            }
        row["floor"] = part["floor"].mean()
        row["paper_ratio"] = part["paper_ratio"].mean()
        row["paper_gnn_factor"] = np.exp(part["log_factor"].mean())
        rows.append(row)
    return pd.DataFrame(rows)


def table1_markdown(table: pd.DataFrame, *, selection: str = "best") -> str:
    """Table I in the paper's form; every cell is ours, and the paper's number in brackets."""
    sigmas = sorted(table["sigma"].unique())
    lines = [
        "| e_p | | " + " | ".join(f"σ {sigma:g}" for sigma in sigmas) + " | Avg |",
        "|---|---|" + "---:|" * (len(sigmas) + 1),
    ]
    for e_p, part in table.groupby("e_p"):
        cells = part.set_index("sigma").loc[sigmas]
        for index, (name, title) in enumerate({"tf": "TF", "gnn": "GNN", "ratio": "r_Δ"}.items()):
            ours, theirs = cells[f"{name}_{selection}"], cells[f"paper_{name}"]
            digits = ".2f" if name == "ratio" else ".3f"
            row = [_beside(a, b, digits) for a, b in zip(ours, theirs, strict=True)]
            row.append(_beside(ours.mean(), theirs.mean(), digits) if name == "ratio" else "-")
            lines.append(f"| {f'{e_p:g}' if index == 0 else ''} | {title} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def ratios_markdown(table: pd.DataFrame) -> str:
    """Mean over sigma of the ratio GNN / TF at every e_p, both ways of choosing the epoch, beside the paper's."""
    lines = [
        "| e_p | " + " | ".join(f"r_Δ, {title}" for title in SELECTIONS.values()) + " | r_Δ, paper "
        "| TF / floor | GNN / floor |",
        "|---|" + "---:|" * 5,
    ]
    for e_p, part in table.groupby("e_p"):
        ours = [f"{part[f'ratio_{selection}'].mean():.2f}" for selection in SELECTIONS]
        theirs = part["paper_ratio"].mean()
        above = [f"{(part[f'{name}_best'] / part['floor']).mean():.2f}" for name in ("tf", "gnn")]
        cells = [f"{e_p:g}", *ours, f"{theirs:.2f}" if np.isfinite(theirs) else "-", *above]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def variants_markdown(table: pd.DataFrame, *, value: str = "ratio_best") -> str:
    """Mean over sigma of `value` for every sign and model (rows) and e_p (columns), the paper's ratio below."""
    e_ps = sorted(table["e_p"].unique())
    lines = ["| sign | model | " + " | ".join(f"e_p {e_p:g}" for e_p in e_ps) + " |", "|---|---|" + "---:|" * len(e_ps)]
    for (sign, model), part in table.groupby(["sign", "model"], sort=False):
        cells = part.set_index("e_p")[value].loc[e_ps]
        lines.append(f"| {sign} | {model} | " + " | ".join(f"{cell:.3g}" for cell in cells) + " |")
    if value.startswith("ratio"):
        theirs = table.groupby("e_p")["paper_ratio"].first().loc[e_ps]
        lines.append("| | paper, Table I | " + " | ".join(f"{cell:.3g}" for cell in theirs) + " |")
    return "\n".join(lines) + "\n"


def write_run(
    folder: Path,
    config: SyntheticConfig,
    settings: Sequence[Setting],
    curves: Mapping[str, Curves],
    losses: pd.DataFrame,
    table: pd.DataFrame,
    *,
    seconds: float,
    command: Sequence[str] | None,
) -> None:
    """Write all files of `run_synthetic` into a folder that exists."""
    from scgraph.files import write_atomic
    from scgraph.synthetic.figures import figure_bytes, loss_over_e_p, loss_over_epochs

    means = curve_table(settings, curves)
    write_atomic(folder / "curves.csv", means.to_csv(index=False, float_format=CURVE_DIGITS))
    write_atomic(folder / "losses.csv", losses.to_csv(index=False, float_format=LOSS_DIGITS))
    write_atomic(folder / "table1.csv", table.to_csv(index=False, float_format=LOSS_DIGITS))
    write_atomic(folder / "table1.md", _run_page(table))
    for name, figure in {"figure3a": loss_over_e_p(table), "figure3b": loss_over_epochs(means)}.items():
        for form in ("png", "svg"):
            write_atomic(folder / f"{name}.{form}", figure_bytes(figure, form=form))
    _write_origin(folder, config, seconds=seconds, command=command)


def write_variants(
    folder: Path,
    config: SyntheticConfig,
    losses: pd.DataFrame,
    table: pd.DataFrame,
    *,
    seconds: float,
    command: Sequence[str] | None,
) -> None:
    """Write all files of `run_variants` into a folder that exists."""
    from scgraph.files import write_atomic

    write_atomic(folder / "losses.csv", losses.to_csv(index=False, float_format=LOSS_DIGITS))
    write_atomic(folder / "variants.csv", table.to_csv(index=False, float_format=LOSS_DIGITS))
    write_atomic(folder / "variants.md", _variants_page(table))
    _write_origin(folder, config, seconds=seconds, command=command)


def curve_table(settings: Sequence[Setting], curves: Mapping[str, Curves]) -> pd.DataFrame:
    """Losses after every epoch, means over seeds: columns model, e_p, sigma, epoch, validation, test."""
    import pandas as pd

    parts = []
    for name, curve in curves.items():
        runs, epochs = curve.test.shape
        grid = {
            "model": name,
            "e_p": np.repeat([s.e_p for s in settings], epochs),
            "sigma": np.repeat([s.sigma for s in settings], epochs),
            "epoch": np.tile(np.arange(1, epochs + 1), runs),
            "validation": curve.validation.ravel(),
            "test": curve.test.ravel(),
        }
        parts.append(pd.DataFrame(grid))
    keys = ["model", "e_p", "sigma", "epoch"]
    return pd.concat(parts).groupby(keys, sort=False, as_index=False).mean()


def fill_page(page: str, blocks: Mapping[str, str]) -> str:
    """Return `page` with the text between `<!-- name:start -->` and `<!-- name:end -->` replaced.

    Raises:
        DataError: the page has no such pair of markers.
    """
    for name, text in blocks.items():
        start, end = f"<!-- {name}:start -->\n", f"<!-- {name}:end -->"
        if page.count(start) != 1 or page.count(end) != 1:
            raise DataError(f"The page needs one pair of markers {name}:start and {name}:end, each on its own line.")
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n{text.strip()}\n\n{end}{rest.partition(end)[2]}"
    return page


def _run_page(table: pd.DataFrame) -> str:
    seeds = int(table["seeds"].max())
    count = f"{seeds} seeds" if seeds > 1 else "one seed"
    blocks = ["# Table I\n", f"Test losses, mean of {count}; the paper's numbers in brackets.\n"]
    for selection, title in SELECTIONS.items():
        blocks += [f"## Epoch {title}\n", table1_markdown(table, selection=selection)]
    blocks += ["## Mean ratio over sigma\n", ratios_markdown(table)]
    return "\n".join(blocks)


def _variants_page(table: pd.DataFrame) -> str:
    titles = {
        "ratio_best": "Mean ratio to tf of the same sign, epoch best on test",
        "ratio_selected": "Mean ratio to tf of the same sign, epoch selected on validation",
        "loss_best": "Mean test loss, epoch best on test",
        "paper_gnn_factor": "Test loss over the paper's GNN loss, geometric mean over sigma",
    }
    if not set(table["e_p"]) & set(PAPER_E_P):
        titles.pop("paper_gnn_factor")
    blocks = ["# Readings of the paper\n"]
    for value, title in titles.items():
        blocks += [f"## {title}\n", variants_markdown(table, value=value)]
    return "\n".join(blocks)


def _write_origin(folder: Path, config: SyntheticConfig, *, seconds: float, command: Sequence[str] | None) -> None:
    import yaml

    from scgraph.bench.environment import environment
    from scgraph.files import json_text, write_atomic

    write_atomic(folder / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    origin = environment(command) | {"seconds": round(seconds, 1)}
    write_atomic(folder / "environment.json", json_text(origin))


def _beside(ours: float, theirs: float, digits: str) -> str:
    return f"{ours:{digits}} ({theirs:{digits}})" if np.isfinite(theirs) else f"{ours:{digits}}"
