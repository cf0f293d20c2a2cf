"""The report of a study: one HTML file that opens offline, in the style of the bench."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

from scgraph.config_files import yaml_text
from scgraph.reporting.drawing import model_colors
from scgraph.reporting.page import fill_template
from scgraph.reporting.tables import environment_lines, quantity
from scgraph.tune.config import DIRECTIONS
from scgraph.tune.figures import study_pictures
from scgraph.tune.results import NAMES, format_values
from scgraph.tune.space import format_distribution, nested

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from optuna import Study

    from scgraph.tune.plan import SearchPlan
    from scgraph.tune.results import BestTrial

__all__ = ["StudyReport", "render"]

MINUS = "-"
HEADER = [
    "model",
    "trials",
    "complete",
    "given up",
    "failed",
    "run again",
    "best",
    "start",
    "gain",
    "multiply-adds",
    "s a trial",
]


@dataclass(frozen=True)
class StudyReport:
    """What the report shows.

    Attributes:
        job: what was searched.
        trials: of `scgraph.tune.results.trials_table`.
        best: the best trials, by model.
        studies: as loaded, by model.
        environment: of `scgraph.reporting.environment.environment`.
    """

    job: SearchPlan
    trials: pd.DataFrame
    best: Mapping[str, tuple[BestTrial, ...]]
    studies: Mapping[str, Study]
    environment: Mapping[str, object]


def render(report: StudyReport) -> str:
    """Return the HTML page; everything it shows is inside it."""
    job = report.job
    config = yaml_text(job.tune)
    spaces = "".join(
        f"# {model}: {path}: {format_distribution(dimension)}\n"
        for model in job.models
        for path, dimension in job.space(model).items()
    )
    return fill_template(
        resources.files("scgraph.tune").joinpath("templates/study.html.j2").read_text(encoding="utf-8"),
        study=job.study,
        budget=job.tune.trials,
        headlines=[_headline(report, model) for model in job.models],
        tiles=[tile for model in job.models for tile in _tile(report, model)],
        legend=_legend(job),
        header=HEADER,
        rows=[_row(report, model) for model in job.models],
        settings_header=["setting", *job.models],
        settings_rows=_settings_rows(report),
        models=[_section(report, model) for model in job.models],
        data=[f"{name}: {text}" for name, text in job.identity.items()],
        config_yaml=config + spaces,
        environment=environment_lines(report.environment),
        command=report.environment.get("command", ""),
        date=str(report.environment.get("date", ""))[:10],
    )


def _legend(job: SearchPlan) -> str:
    kind, several = job.tune.objective, len(DIRECTIONS[job.tune.objective]) > 1
    what = NAMES[kind][0] + (", the mean over the sets," if len(job.data) > 1 else "")
    text = (
        f"Best: the {what} of the best trial, on cells that choices are made on. It is too good by having been chosen: "
    )
    text += "the comparison on the test part, which no trial has seen, stands in the folder bench. "
    text += "Start: the settings the search started from, which the first trial runs where they lie in the space."
    return text + (" With two objectives nothing is given up early." if several else "")


def _counted(report: StudyReport, model: str) -> pd.DataFrame:
    own = report.trials[report.trials["model"] == model]
    return own[own["slot"].notna()]


def _start(report: StudyReport, model: str) -> float | None:
    """Return the value of the settings the search started from, where a trial ran all of them."""
    if set(report.job.first[model]) != set(report.job.space(model)):
        return None
    own = _counted(report, model)
    first = own[(own["slot"] == 0) & (own["state"] == "complete")]
    return None if first.empty else float(first[NAMES[report.job.tune.objective][0]].iloc[0])


def _gain(report: StudyReport, model: str) -> float | None:
    start, best = _start(report, model), report.best.get(model)
    if start is None or not best:
        return None
    gain = best[0].values[0] - start
    return gain if DIRECTIONS[report.job.tune.objective][0] == "maximize" else -gain


def _headline(report: StudyReport, model: str) -> str:
    best, start, gain = report.best.get(model), _start(report, model), _gain(report, model)
    if not best:
        return f"{model}: no trial was completed."
    text = f"{model}: {format_values(report.job.tune.objective, best[0].values)} (trial {best[0].number})"
    if len(best) > 1:
        text += f", the best of {len(best)} on the Pareto front"
    if start is None or gain is None:
        return f"{text}."
    if best[0].number == 0 or gain == 0:
        return f"{text}: no trial is better than the settings the search started from."
    return f"{text}; the settings the search started from: {start:.4f}."


def _tile(report: StudyReport, model: str) -> list[tuple[str, str]]:
    """Number and caption of the best trial of a model; none where no trial was completed."""
    best, gain = report.best.get(model), _gain(report, model)
    if not best:
        return []
    name = NAMES[report.job.tune.objective][0]
    caption = f"{name} of {model}, its best trial"
    if gain is not None:
        caption += f"; {abs(gain):.4f} {'worse' if gain < 0 else 'better'} than the start"
    return [(f"{best[0].values[0]:.4f}", caption)]


def _row(report: StudyReport, model: str) -> list[str]:
    own = _counted(report, model)
    counted, best = own[~own["lost"]], report.best.get(model)
    start, gain = _start(report, model), _gain(report, model)
    number = int(best[0].number) if best else -1
    costs = list(counted.loc[counted["trial"] == number, "multiply_adds"]) if "multiply_adds" in counted else []
    seconds = counted["seconds"].mean() if "seconds" in counted else float("nan")
    return [
        model,
        str(len(counted)),
        *(str(int((counted["state"] == state).sum())) for state in ("complete", "pruned", "failed")),
        str(int(own["lost"].sum())),
        MINUS if not best else f"{best[0].values[0]:.4f}",
        MINUS if start is None else f"{start:.4f}",
        MINUS if gain is None else f"{gain:+.4f}",
        quantity(float(costs[0])) if costs else MINUS,
        MINUS if seconds != seconds else f"{seconds:.1f}",
    ]


def _settings_rows(report: StudyReport) -> list[list[str]]:
    job, rows = report.job, []
    paths = dict.fromkeys(path for model in job.models for path in job.space(model))
    for path in paths:
        row = [path]
        for model in job.models:
            best, start = report.best.get(model), job.first[model].get(path)
            if path not in job.space(model) or not best:
                row.append(MINUS)
                continue
            value = best[0].settings[path]
            same = start is None or value == start
            row.append(_short(value) if same else f"{_short(value)} ({_short(start)})")
        rows.append(row)
    values = [report.best[m][0].values[0] if report.best.get(m) else None for m in job.models]
    rows.append([NAMES[job.tune.objective][0], *(MINUS if v is None else f"{v:.4f}" for v in values)])
    return rows


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _section(report: StudyReport, model: str) -> dict[str, Any]:
    own = _counted(report, model)
    failed = own[(own["state"] == "failed") & ~own["lost"]]
    reasons = failed["reason"].fillna("no reason was kept").value_counts()
    states = own.loc[~own["lost"], "state"].value_counts()
    kind = report.job.tune.objective
    return {
        "name": model,
        "counts": ", ".join(
            f"{count} trial{'s' * (count != 1)} {'given up' if state == 'pruned' else state}"
            for state, count in states.items()
        ),
        "failures": [f"{count} failed: {reason}" for reason, count in reasons.items()],
        "figures": study_pictures(report.studies[model], NAMES[kind], color=model_colors(report.job.models)[model]),
        "best": [
            {
                "title": f"Trial {one.number}: {format_values(kind, one.values)}",
                "yaml": yaml.safe_dump(nested(one.settings), sort_keys=False, allow_unicode=True),
            }
            for one in report.best.get(model, ())
        ],
    }
