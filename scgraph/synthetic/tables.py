"""Tables of the synthetic example: ours beside the paper's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.synthetic.paper import PAPER_E_P, paper_losses

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SELECTIONS",
    "matching_e_p",
    "matching_markdown",
    "ratios_markdown",
    "seeds_markdown",
    "table1",
    "table1_markdown",
    "variant_table",
    "variants_markdown",
]

LIMITS = {"floor": "floor: order known", "constant": "constant a token"}
SELECTIONS = {"best": "best on test", "selected": "selected on validation"}


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
    `paper_ratio`, the mean of the paper; `floor` and `constant` of `loss_table`; `paper_gnn_factor`, the geometric
    mean over sigma of loss / GNN loss of the paper (best on test).
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
        row |= {limit: part[limit].mean() for limit in LIMITS}
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


def seeds_markdown(losses: pd.DataFrame) -> str:
    """Mean over sigma of the ratio GNN / TF of every seed (columns) at every e_p, beside the paper's.

    A cell is the ratio with the epoch best on test, and behind the slash the one with the epoch selected on
    validation; a dash stands where a seed was not run. The last two columns are means over sigma of best loss /
    floor, seed by seed.
    """
    keys = ["e_p", "seed", "sigma"]
    tf, gnn = (losses[losses["model"] == name].set_index(keys).sort_index() for name in ("tf", "gnn"))
    ratios = {selection: (gnn[selection] / tf[selection]).groupby(["e_p", "seed"]).mean() for selection in SELECTIONS}
    above = [(part["best"] / part["floor"]).groupby(["e_p", "seed"]).mean() for part in (tf, gnn)]
    seeds = sorted(losses["seed"].unique())
    lines = [
        "| e_p | " + " | ".join(f"r_Δ, seed {seed}" for seed in seeds) + " | r_Δ, paper | TF / floor | GNN / floor |",
        "|---|" + "---:|" * (len(seeds) + 3),
    ]
    for e_p in sorted(losses["e_p"].unique()):
        cells = [f"{e_p:g}"]
        for seed in seeds:
            known = (e_p, seed) in ratios["best"].index
            cells.append(" / ".join(f"{ratios[s][e_p, seed]:.2f}" for s in SELECTIONS) if known else "-")
        sigmas = losses.loc[losses["e_p"] == e_p, "sigma"].unique()
        pairs = [pair for pair in (paper_losses(float(e_p), float(sigma)) for sigma in sigmas) if pair is not None]
        cells.append(f"{np.mean([theirs[1] / theirs[0] for theirs in pairs]):.2f}" if pairs else "-")
        cells += [", ".join(f"{ratio:.2f}" for ratio in part.loc[e_p]) for part in above]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def matching_e_p(table: pd.DataFrame) -> pd.DataFrame:
    """Find the e_p of ours at which the GNN losses are the paper's: one row an e_p of Table I.

    Between the e_p of the grid the logarithm of the loss is interpolated; the match is the e_p (in steps of 0.01)
    with the smallest root mean square of log(ours / paper) over sigma.

    Columns: e_p (the paper's), `matching`, `factor` (exp of the remaining root mean square).
    """
    import pandas as pd

    ours = table.pivot(index="e_p", columns="sigma", values="gnn_best").sort_index()
    steps = np.arange(round(100 * ours.index[0]), round(100 * ours.index[-1]) + 1) / 100
    logs = np.array([np.interp(steps, ours.index, np.log(ours[sigma])) for sigma in ours.columns])
    rows = []
    for e_p in PAPER_E_P:
        theirs = [paper_losses(e_p, float(sigma)) for sigma in ours.columns.to_numpy(float)]
        known = [i for i, cell in enumerate(theirs) if cell is not None]
        if not known:
            continue
        target = np.log([cell[1] for cell in theirs if cell is not None])
        distance = np.sqrt(((logs[known] - target[:, None]) ** 2).mean(0))
        nearest = int(distance.argmin())
        rows.append({"e_p": e_p, "matching": steps[nearest], "factor": np.exp(distance[nearest])})
    return pd.DataFrame(rows, columns=["e_p", "matching", "factor"])


def matching_markdown(table: pd.DataFrame) -> str:
    """`matching_e_p` as a table."""
    lines = ["| e_p, paper | e_p, ours | remaining factor |", "|---:|---:|---:|"]
    for row in matching_e_p(table).itertuples():
        lines.append(f"| {row.e_p:g} | {row.matching:.2f} | {row.factor:.2f} |")
    return "\n".join(lines) + "\n"


def variants_markdown(table: pd.DataFrame, *, value: str = "ratio_best", limits: bool = False) -> str:
    """Mean over sigma of `value` for every sign and model (rows) and e_p (columns).

    Below ratios stands the paper's; with `limits`, the floor and the loss of a constant a token.
    """
    e_ps = sorted(table["e_p"].unique())
    titles = " | ".join(f"e_p {e_p:g}" for e_p in e_ps)
    lines = [f"| sign | model | {titles} |", "|---|---|" + "---:|" * len(e_ps)]

    def add(sign: str, name: str, cells: pd.Series[float]) -> None:
        lines.append(f"| {sign} | {name} | " + " | ".join(f"{cell:.3g}" for cell in cells.loc[e_ps]) + " |")

    for sign, rows in table.groupby("sign", sort=False):
        for model, part in rows.groupby("model", sort=False):
            add(str(sign), str(model), part.set_index("e_p")[value])
        for limit, title in LIMITS.items() if limits else ():
            add(str(sign), title, rows.groupby("e_p")[limit].first())
    if value.startswith("ratio"):
        add("", "paper, Table I", table.groupby("e_p")["paper_ratio"].first())
    return "\n".join(lines) + "\n"


def _beside(ours: float, theirs: float, digits: str) -> str:
    return f"{ours:{digits}} ({theirs:{digits}})" if np.isfinite(theirs) else f"{ours:{digits}}"
