"""The report of a bench: one HTML file that opens offline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scgraph.bench import figures, tables
from scgraph.bench.across_sets import trained_models
from scgraph.bench.costs import BUSY
from scgraph.bench.forest import difference_forest
from scgraph.bench.results import best_baseline
from scgraph.reporting import drawing
from scgraph.reporting.drawing import png
from scgraph.reporting.page import fill_template
from scgraph.reporting.rows import REGRESSION, row_kind
from scgraph.reporting.tables import environment_lines, number, quantity
from scgraph.reporting.wording import records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from scgraph.bench.uses.page import UsesPage
    from scgraph.costs.profiling import Costs

__all__ = ["BenchReport", "pictures", "render"]

SCORES = {"macro_f1": "macro-F1", "accuracy": "accuracy"}


@dataclass(frozen=True)
class BenchReport:
    """What the report shows.

    Attributes:
        summary: of `scgraph.bench.results.summarise`.
        histories: columns dataset, model, seed, epoch, train_loss, validation_loss.
        classes: names of the classes, by dataset.
        truths: class codes of the test part of the first seed, by dataset, `[n]`.
        features: features of those cells, by dataset and model, `[n, C]`.
        predictions: predicted codes of those cells, by dataset and model, `[n]`.
        costs: one entry a model.
        notes: what must be said aloud.
        config_yaml: the settings.
        environment: of `scgraph.reporting.environment.environment`.
        reference: the model the others are compared with.
        margin: of the test of equivalence.
        projection: "tsne" or "umap".
        overall: of `scgraph.bench.across_sets.across_sets`; None or empty for one set.
        uses: what else was asked; None for nothing.
    """

    summary: pd.DataFrame
    histories: pd.DataFrame
    classes: Mapping[str, Sequence[str]]
    truths: Mapping[str, NDArray[np.int64]]
    features: Mapping[tuple[str, str], NDArray[np.float32]]
    predictions: Mapping[tuple[str, str], NDArray[np.int64]]
    costs: Sequence[Costs]
    notes: Sequence[str]
    config_yaml: str
    environment: Mapping[str, object]
    reference: str = "tf"
    margin: float = 0.01
    projection: Literal["tsne", "umap"] = "tsne"
    overall: pd.DataFrame | None = None
    uses: UsesPage | None = None

    @cached_property
    def places(self) -> dict[tuple[str, str], NDArray[np.float64]]:
        """The cells in two dimensions, by dataset and model; found once for the page and the pictures."""
        return {key: figures.place_cells(x, method=self.projection) for key, x in self.features.items()}


def render(report: BenchReport) -> str:
    """Return the HTML page; everything it shows is inside it."""
    return fill_template(
        resources.files("scgraph.bench").joinpath("templates/report.html.j2").read_text(encoding="utf-8"),
        headlines=tables.headlines(report.summary, report.reference, margin=report.margin),
        findings=tables.findings(report.summary),
        tiles=_tiles(report),
        together=_together(report),
        uses=None if report.uses is None else report.uses.section(),
        kind=row_kind,
        sections=[_section(report, dataset) for dataset in dict.fromkeys(report.summary["dataset"])],
        header=tables.table_header(report.reference),
        legend=tables.legend(report.reference, report.margin),
        cost_header=COST_HEADER,
        cost_rows=[_cost_cells(cost, report.summary) for cost in report.costs],
        notes=list(report.notes),
        busy=[note for note in report.notes if note.startswith(BUSY)],
        config_yaml=report.config_yaml,
        environment=environment_lines(report.environment),
        command=report.environment.get("command", ""),
        date=str(report.environment.get("date", ""))[:10],
        most_classes=drawing.MOST_CLASSES,
        projection={"tsne": "t-SNE", "umap": "UMAP"}[report.projection],
    )


def pictures(report: BenchReport) -> dict[str, bytes]:
    """File name to PNG: scores, uses and features of every set, and the difference over all sets."""
    found: dict[str, bytes] = {}
    for dataset in dict.fromkeys(str(name) for name in report.summary["dataset"]):
        rows = report.summary[report.summary["dataset"] == dataset]
        trained = {m: x for (name, m), x in report.features.items() if name == dataset and row_kind(m) != "untrained"}
        shades = drawing.model_colors(rows["model"])
        found[f"scores-{dataset}.png"] = png(figures.score_bars(rows, metrics=SCORES, colors=shades))
        if trained:
            found[f"features-{dataset}.png"] = png(_maps(report, dataset, trained))
    if report.uses is not None:
        found.update(report.uses.pictures())
    forest = _forest(report)
    if forest is not None:
        found["difference.png"] = png(forest)
    return found


def _maps(report: BenchReport, dataset: str, features: Mapping[str, NDArray[np.float32]]) -> Figure:
    return figures.feature_maps(
        features,
        report.truths[dataset],
        report.classes[dataset],
        method=report.projection,
        columns=_columns(sum(row_kind(model) == "trained" for model in features)),
        places={model: report.places[dataset, model] for model in features},
    )


def _forest(report: BenchReport) -> Figure | None:
    if report.overall is None or not trained_models(report.overall):
        return None
    return difference_forest(report.summary, report.overall, reference=report.reference, margin=report.margin)


def _together(report: BenchReport) -> dict[str, Any] | None:
    """What the section over all sets shows; None where there is one set or no reference."""
    if report.overall is None or report.overall.empty:
        return None
    forest = _forest(report)
    several = report.overall["split"].nunique() > 1
    return {
        "sentences": tables.overall_sentences(report.overall, report.reference, margin=report.margin),
        "header": tables.overall_header(report.reference),
        "rows": [
            {
                "cells": tables.overall_cells(row | ({"model": f"{row['model']}, {row['split']}"} if several else {})),
                "kind": row_kind(str(row["model"])),
            }
            for row in records(report.overall)
        ],
        "legend": tables.overall_legend(report.margin),
        "forest": None if forest is None else drawing.data_uri(forest),
        "margin": f"{report.margin:g}",
    }


def _tiles(report: BenchReport) -> list[tuple[str, str]]:
    """Number and caption of what the headline compares: quality by data set, then costs, as ratios."""
    trained = [str(name) for name in dict.fromkeys(report.summary["model"]) if row_kind(str(name)) == "trained"]
    first = next((name for name in trained if name != report.reference), None)
    if first is None or report.reference not in trained:
        return []
    rows = records(report.summary[report.summary["model"] == first])
    tiles = [
        (
            f"{row['macro_f1_difference']:+.3f}",
            f"macro-F1 of {first} minus {report.reference}, {row['dataset']}{_range(row)}",
        )
        for row in rows
    ]
    costs = {cost.model: cost for cost in report.costs}
    if first in costs and report.reference in costs:
        own, other = costs[first], costs[report.reference]
        tiles += [
            (f"{own.multiply_adds / other.multiply_adds:.2f}×", f"multiply-adds of {report.reference}"),
            (f"{own.saved_mb / other.saved_mb:.2f}×", "memory saved for backward"),
            (f"{own.cells_per_second / other.cells_per_second:.1f}×", "cells a second"),
        ]
    return tiles


def _range(row: Mapping[str, Any]) -> str:
    low, high = row["macro_f1_low"], row["macro_f1_high"]
    return f"; 95 % interval {low:+.3f} to {high:+.3f}" if np.isfinite(low) else "; one seed, no interval"


COST_HEADER = [
    "model",
    "parameters in blocks",
    "multiply-adds",
    "counted",
    "of them adjacency",
    "saved MB",
    "cells/s",
    "of matmul peak",
    "pretraining s",
    "attention",
]


def _cost_cells(cost: Costs, summary: pd.DataFrame) -> list[str]:
    seconds = summary.loc[summary["model"] == cost.model, "seconds_pretrain"].mean()
    return [
        cost.model,
        quantity(cost.block_parameters),
        quantity(cost.multiply_adds),
        quantity(cost.counted_multiply_adds),
        quantity(cost.adjacency_multiply_adds),
        "out of memory" if cost.out_of_memory else f"{cost.saved_mb:.2f}",
        "-" if cost.out_of_memory else f"{cost.cells_per_second:,.0f}",
        "-" if cost.matmul_share is None else f"{cost.matmul_share:.0%}",
        number(seconds, ",.0f"),
        cost.attention if cost.model == "tf" else "-",
    ]


def _section(report: BenchReport, dataset: str) -> dict[str, Any]:
    rows = report.summary[report.summary["dataset"] == dataset]
    colors = drawing.model_colors(rows["model"])
    histories = report.histories[report.histories["dataset"] == dataset]
    features = {model: x for (name, model), x in report.features.items() if name == dataset}
    trained = [model for model in features if row_kind(model) == "trained"]
    ordered = {model: features[model] for model in (*trained, *(m for m in features if m not in trained))}
    classes = report.classes[dataset]
    as_records = records(rows)
    pictures = {
        "scores": figures.score_bars(rows, metrics=SCORES, colors=colors),
        "losses": figures.loss_curves(histories, colors=colors),
        "costs": figures.cost_panels(rows, colors=colors),
        "features": _maps(report, dataset, ordered),
    }
    if len(classes) <= drawing.MOST_CLASSES:  # K classes make a table of K²
        pictures["confusions"] = figures.confusion_matrices(_confusions(report, dataset), classes)
    return {
        "name": dataset,
        "split": ", ".join(dict.fromkeys(rows["split"])),
        "sizes": " / ".join(f"{int(as_records[0][part]):,}" for part in ("n_train", "n_validation", "n_test")),
        "classes": [
            (name, int(count))
            for name, count in zip(classes, np.bincount(report.truths[dataset], minlength=len(classes)), strict=True)
        ],
        "verdicts": tables.verdicts(rows, report.reference, margin=report.margin),
        "rows": [
            {"cells": tables.table_cells(row, report.reference), "kind": row_kind(str(row["model"]))}
            for row in as_records
        ],
        "confusions": None,
        **{name: drawing.data_uri(figure) for name, figure in pictures.items()},
    }


def _confusions(report: BenchReport, dataset: str) -> dict[str, NDArray[np.int64]]:
    """Counts, true class x predicted class, of every trained model, of `REGRESSION` and of the best baseline."""
    shown = {REGRESSION, best_baseline(records(report.summary[report.summary["dataset"] == dataset]))}
    truth, count = report.truths[dataset], len(report.classes[dataset])
    found = {}
    for (name, model), predicted in report.predictions.items():
        if name == dataset and (row_kind(model) == "trained" or model in shown):
            table = np.zeros((count, count), dtype=np.int64)
            np.add.at(table, (truth, predicted), 1)
            found[model] = table
    return found


def _columns(trained: int) -> int:
    """Panels a line, so that an untrained model stands below its trained one."""
    return next((n for n in (4, 3, 2) if trained % n == 0), min(max(trained, 2), 3))
