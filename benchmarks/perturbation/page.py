"""The pages of the runs on a real and on simulated screens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.harness.text import as_rows, markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from benchmarks.perturbation.state import Treated
    from scgraph.perturb import PerturbResult

__all__ = ["control_table", "screen_page", "shared_controls", "simulated_page", "state_page"]

SHOWN = ("pearson_top", "mae", "mse", "discrimination", "overlap")
FORMS = {"mae": ".4f", "mse": ".5f"}


def shared_controls(
    data: Path, model: Path, settings: Mapping[str, Any], *, network: Path | None, covariate: Sequence[str] | None
) -> pd.DataFrame:
    """Return Pearson of floor and ceiling with one set of controls for both sides, and with separate ones, by seed."""
    import pandas as pd

    from scgraph.config_files import as_config
    from scgraph.data import read_network
    from scgraph.models import load_model
    from scgraph.perturb.config import PerturbConfig
    from scgraph.perturb.measure import measure
    from scgraph.perturb.scores import score_changes
    from scgraph.perturb.screen import read_screen

    config = as_config(PerturbConfig, dict(settings))
    edges = None if network is None else read_network(network)
    screen = read_screen(data, load_model(model).vocabulary, config, network=edges, covariate=covariate)
    rows = []
    for separate in (True, False):
        for seed in range(config.seeds):
            found = measure(screen, seed=seed, separate_controls=separate)
            means = [np.delete(found.learned, at, axis=0).mean(axis=0) for at in range(len(found.learned))]
            floor = score_changes(np.stack(means), found.truth)["pearson"].mean()
            ceiling = score_changes(found.halves[0], found.halves[1])["pearson"].mean()
            rows.append({"separate_controls": separate, "seed": seed, "floor": floor, "ceiling": ceiling})
    return pd.DataFrame(rows)


def screen_page(
    found: PerturbResult, shared: pd.DataFrame, *, name: str, corpus: Sequence[str], network: Path | None
) -> str:
    """Return the text of `table.md` of a real screen."""
    from scgraph.perturb.tables import verdict

    summary = found.summary
    rows = as_rows(summary[summary["group"] == "all"])
    model = str(rows[-1]["model"])
    notes = [note for note in found.notes if "perturbations of obs" in note or "not measured in the file" in note]
    lines = [f"# {name}", "", ". ".join(note[0].upper() + note[1:] for note in notes) + "."]
    lines += [f"`{model}` pretrained on {' and '.join(corpus)}. Network: {network.stem if network else 'none'}.", ""]
    header = ["model", "Pearson", "minus the mean change [95 %]", *(_TITLES[metric] for metric in SHOWN)]
    lines.append(markdown_table(header, [_cells(row) for row in rows]))
    lines += [f"{verdict(summary, model)} {best(rows)}", ""]
    means = shared.groupby("separate_controls")[["floor", "ceiling"]].mean()
    lines += [
        f"With the same controls on both sides the mean change would have Pearson {means.loc[False, 'floor']:.3f} and "
        f"one half of the cells would predict the other with {means.loc[False, 'ceiling']:.3f}; with separate ones "
        f"{means.loc[True, 'floor']:.3f} and {means.loc[True, 'ceiling']:.3f}.",
        "",
    ]
    lines += ["Pearson with a table of genes minus Pearson with its control, by the same method:", ""]
    lines.append(control_table(found.results, model))
    groups = [str(group) for group in dict.fromkeys(summary["group"]) if group != "all"]
    if groups:
        table = summary.pivot_table("pearson_mean", "model", "group", sort=False)
        counts = summary.groupby("group")["perturbations"].first()
        body = [[str(one), *(number(table.loc[one, group]) for group in groups)] for one in table.index]
        lines.append(markdown_table(["Pearson", *(f"{group} ({counts[group]})" for group in groups)], body))
    return "\n".join(lines)


def state_page(
    results: pd.DataFrame, summary: pd.DataFrame, *, name: str, treated: Treated, corpus: Sequence[str]
) -> str:
    """Return the text of `table.md` of a treatment by held-out patient."""
    from benchmarks.perturbation.state import RATIO
    from scgraph.perturb.tables import verdict

    rows = as_rows(summary)
    model, patients = str(rows[-1]["model"]), treated.patients
    lines = [f"# {name}", ""]
    lines.append(
        f"{treated.treatment} in {len(patients)} patients, {sum(map(len, treated.treated)):,} treated and "
        f"{len(treated.control):,} control cells, {treated.cells.matrix.shape[1]:,} genes; every patient held out "
        f"once, {rows[0]['seeds']} halves of the cells. `{model}` pretrained on {' and '.join(corpus)}."
    )
    header = ["model", "Pearson [95 %]", "minus the mean change [95 %]", *(_TITLES[metric] for metric in SHOWN)]
    lines += ["", markdown_table(header, [_cells(row) for row in rows])]
    said = " ".join(verdict(summary, one) for one in (model, RATIO))
    lines += [f"{said} {best(rows)} Intervals are over {len(patients)} patients.", ""]
    means = results.pivot_table("pearson", "model", "perturbation", sort=False)
    body = [[str(one), *(number(means.loc[one, patient]) for patient in patients)] for one in means.index]
    lines.append(markdown_table(["Pearson", *patients], body))
    return "\n".join(lines)


def control_table(results: pd.DataFrame, model: str) -> str:
    """Return what a table of genes adds to the same method with a table that says nothing, over perturbations."""
    from scgraph.reporting.statistics import paired_difference

    pairs = [
        (model, "random"),
        (model, f"{model} untrained"),
        (f"{model} graph", "random"),
        ("network", "random"),
        ("network", "network shuffled"),
    ]
    kinds = {"all": results["group"] != "", "singles": results["group"] == "single"}
    kinds |= {"doubles": results["group"] != "single"} if (results["group"] != "single").any() else {}
    body = []
    for how in ("ridge", "kernel", "nearest"):
        for one, other in pairs:
            cells = []
            for chosen in kinds.values():
                means = results[chosen].pivot_table("pearson", "perturbation", "model")
                if f"{how}+{one}" not in means or f"{how}+{other}" not in means:
                    break
                found = paired_difference(means[f"{how}+{one}"], means[f"{how}+{other}"])
                cells.append(f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")
            if cells:
                body.append([f"{how}: {one} minus {other}", *cells])
    return markdown_table(["Pearson [95 %]", *kinds], body)


def best(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say which methods have a higher correlation than the mean change, with an interval above nothing."""
    ahead = [row for row in rows if (row["pearson_floor_low"] or 0) > 0 and "ceiling" not in row["model"]]
    if not ahead:
        return "No method is shown to be better than the mean change in Pearson."
    shown = ", ".join(f"{row['model']} ({row['pearson_floor']:+.3f})" for row in ahead)
    return f"Better than the mean change in Pearson, by their interval: {shown}."


def simulated_page(
    found: Mapping[str, PerturbResult], runs: Mapping[str, tuple[str, str]], screen: Mapping[str, Any]
) -> str:
    """Return the text of `perturbation.md` of the simulated screens."""
    from scgraph.perturb.tables import headline, short_rows

    sizes = ", ".join(f"{key} {value}" for key, value in screen.items())
    lines = ["# Perturbations of simulated cells", ""]
    lines += [f"Simulated, no real cells: {sizes}. Perturbed genes themselves are not scored.", ""]
    for name, result in found.items():
        rows = short_rows(result.summary, 20)
        body = [[str(cell) for cell in row.values()] for row in rows]
        lines += [f"## {runs[name][0]}", "", markdown_table(list(rows[0]), body)]
        lines += [headline(result.summary, str(result.summary["model"].iloc[-1]), 20), ""]
    return "\n".join(lines)


_TITLES = {
    "pearson_top": "Pearson, top 20",
    "mae": "MAE",
    "mse": "MSE",
    "discrimination": "discrimination",
    "overlap": "overlap of top 20",
}


def _cells(row: Mapping[str, Any]) -> list[str]:
    ends = [row[f"pearson_{end}"] for end in ("low", "high")]
    above = "floor"
    if row["pearson_floor"] is not None:
        above = f"{row['pearson_floor']:+.3f} [{row['pearson_floor_low']:+.3f}, {row['pearson_floor_high']:+.3f}]"
    own = [f"{row['pearson_mean']:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]", above]
    return [str(row["model"]), *own, *(number(row[f"{metric}_mean"], FORMS.get(metric, ".3f")) for metric in SHOWN)]
