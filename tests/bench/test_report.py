"""The report: one file that opens offline, shows everything, and trusts no label."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from scgraph.bench import figures
from scgraph.bench.across_sets import across_sets
from scgraph.bench.costs import busy_note
from scgraph.bench.report import BenchReport, pictures, render
from scgraph.bench.results import results_frame, summarise
from scgraph.bench.tables import summary_markdown
from scgraph.costs.profiling import Costs
from scgraph.reporting.drawing import model_colors
from scgraph.reporting.wording import interval, records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLASSES = ("B cell", "<b>bold</b>", "T/NK é", "$x_1$")
MODELS = ("majority", "pca+logreg", "gnn untrained", "gnn", "tf untrained", "tf")


def make_report(
    *, seeds: int = 3, models: tuple[str, ...] = MODELS, sets: tuple[str, ...] = ("one", "two")
) -> BenchReport:
    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for dataset in sets:
        for seed in range(seeds):
            for place, model in enumerate(models):
                score = 0.3 + 0.1 * place + 0.01 * rng.normal()
                row = {"dataset": dataset, "split": "random", "seed": seed, "model": model, "accuracy": score}
                row |= {"balanced_accuracy": score, "macro_f1": score, "n_train": 60, "n_validation": 10, "n_test": 30}
                if model not in ("majority", "pca+logreg"):
                    row |= {
                        "parameters": 1000,
                        "multiply_adds": 2.0e6 * place,
                        "saved_mb": 0.4,
                        "cells_per_second": 9.0,
                    }
                if model in ("gnn", "tf"):
                    row |= {"seconds_pretrain": 3.0, "mvp_loss": 0.2, "validation_mvp_loss": 0.25}
                rows.append(row)
    trained = [model for model in models if model in ("gnn", "tf")]
    histories = pd.DataFrame(
        [
            (d, m, s, e, 1 / (e + 1), 1.1 / (e + 1))
            for d in sets
            for m in trained
            for s in range(seeds)
            for e in range(4)
        ],
        columns=["dataset", "model", "seed", "epoch", "train_loss", "validation_loss"],
    )
    truths = {d: rng.integers(0, len(CLASSES), 30) for d in sets}
    featured = [m for m in models if m not in ("majority", "pca+logreg")]
    sizes = {"channels": 8, "genes": 16, "layers": 1, "rank": 4, "parameters": 1000, "block_parameters": 100}
    work = {"multiply_adds": 4_000_000, "counted_multiply_adds": 4_000_000, "adjacency_multiply_adds": 0}
    speed = {"saved_mb": 0.4, "cells_per_second": 9.0, "matmul_share": 0.5, "attention": "fused"}
    where = {"out_of_memory": False, "path": "complete", "device": "cpu", "precision": "32-true", "batch_size": 2}
    costs = [Costs(model=m, **sizes, **work, **speed, **where) for m in trained]
    return BenchReport(
        summary=summarise(results_frame(rows)),
        overall=across_sets(results_frame(rows)),
        histories=histories,
        classes=dict.fromkeys(sets, CLASSES),
        truths=truths,
        features={(d, m): rng.normal(size=(30, 8)).astype(np.float32) for d in sets for m in featured},
        predictions={(d, m): rng.integers(0, len(CLASSES), 30) for d in sets for m in (*featured, "pca+logreg")},
        costs=costs,
        notes=["one: split <at random>"],
        config_yaml="seeds: 3\n",
        environment={
            "command": "scgraph bench --models gnn,tf",
            "date": "2026-01-02T03:04:05",
            "versions": {"torch": "2"},
        },
    )


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        self.addresses += [named[key] or "" for key in ("src", "href") if key in named]
        self.ids += [named["id"] or ""] if "id" in named else []

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page() -> tuple[str, Page]:
    html = render(make_report())
    parsed = Page()
    parsed.feed(html)
    return html, parsed


def test_it_opens_offline(page: tuple[str, Page]) -> None:
    html, parsed = page
    assert all(address.startswith(("data:image/svg+xml;base64,", "#")) for address in parsed.addresses)
    assert not re.search(r"url\(|@import|<script|<link", html)
    assert sum(tag == "img" for tag in parsed.tags) == 2 * 5 + 1
    for address in parsed.addresses:
        if address.startswith("#"):
            assert address[1:] in parsed.ids
        else:
            assert b"</svg>" in base64.b64decode(address.partition(",")[2])


def test_everything_is_shown(page: tuple[str, Page]) -> None:
    text = " ".join(page[1].text)
    for wanted in (
        "one",
        "two",
        *MODELS,
        "macro-F1",
        "accuracy",
        "0.800",
        "4.00 M",
        "seeds: 3",
        "scgraph bench --models gnn,tf",
    ):
        assert wanted in text
    assert "gnn reaches macro-F1" in text


def test_of_many_baselines_the_usual_and_the_best_have_confusions(monkeypatch: pytest.MonkeyPatch) -> None:
    models = ("majority", "pca-sqrt", "pca+logreg", "pca-pearson", "gnn untrained", "gnn", "pca+gnn", "tf")
    report = make_report(models=models, sets=("one",))
    shown: list[str] = []
    real = figures.confusion_matrices

    def watched(confusions: dict[str, Any], *args: Any) -> Figure:
        shown.extend(confusions)
        return real(confusions, *args)

    monkeypatch.setattr(figures, "confusion_matrices", watched)
    predicted = {("one", model): next(iter(report.predictions.values())) for model in models}
    html = render(replace(report, predictions=predicted))
    assert shown == ["pca+logreg", "pca-pearson", "gnn", "tf"]
    assert html.count('<tr class="baseline">') == 4
    assert '<tr class="combined"><td>pca+gnn</td>' in html


def test_what_training_adds_is_a_column_of_the_page_and_the_summary(page: tuple[str, Page]) -> None:
    report = make_report()
    gained = interval(records(report.summary[report.summary["model"] == "gnn"])[0], "over_untrained")
    assert f"<td>{gained}</td>" in page[0]
    text = summary_markdown(report.summary)
    header, row = (
        next(line for line in text.splitlines() if line.startswith(start)) for start in ("| model", "| gnn |")
    )
    place = header.split(" | ").index("macro-F1 minus untrained [95 %]")
    assert row.split(" | ")[place] == gained


def test_labels_are_text_not_markup(page: tuple[str, Page]) -> None:
    html, _ = page
    assert "<b>" not in html
    assert "split &lt;at random&gt;" in html
    text = "".join(page[1].text)
    assert all(name in text for name in CLASSES)  # the classes are listed whole, whatever a font can draw


def test_the_first_lines_compare_with_the_reference(page: tuple[str, Page]) -> None:
    report = make_report()
    gnn = report.summary[report.summary["model"] == "gnn"].set_index("dataset")
    text = "".join(page[1].text)
    for dataset in ("one", "two"):
        assert f"{gnn.loc[dataset, 'macro_f1_difference']:+.3f}macro-F1 of gnn minus tf, {dataset}" in text
    assert "1.00×multiply-adds of tf" in text


def test_all_sets_stand_before_each(page: tuple[str, Page]) -> None:
    html, parsed = page
    assert html.index('<section id="all">') < html.index('<section id="set-1">')
    section = html.split('<section id="all">')[1].split("</section>")[0]
    assert (
        "gnn minus tf, random splits, over 3 seeds (new seeds on these 2 sets): accuracy paired difference" in section
    )
    assert "over 2 sets (new sets)" in section
    assert section.count("<tr ") == 2 * 5  # every model but the reference, over seeds and over sets
    assert "#all" in parsed.addresses
    assert "gnn minus tf: accuracy paired difference" in html.split('<section id="set-1">')[1].split("</section>")[0]


def test_one_set_has_no_section_over_all() -> None:
    report = make_report(sets=("one",))
    assert 'id="all"' not in render(report)
    assert set(pictures(report)) == {"scores-one.png", "features-one.png"}


def test_more_classes_than_a_figure_can_name_have_no_table_of_their_square() -> None:
    report = make_report(sets=("one",))
    many = tuple(f"class {k}" for k in range(100_000))
    html = render(replace(report, classes={"one": many}))
    assert "Left out: they are drawn for up to 200 classes." in html
    assert "Confusion matrices on one" not in html
    assert html.count("<li>class ") == 100_000


def test_one_seed_and_no_reference() -> None:
    html = render(make_report(seeds=1, models=("majority", "pca+logreg", "gnn untrained", "gnn"), sets=("one",)))
    assert "nan" not in html.split("<h2>What was run")[0].split("base64")[0].lower()


def test_the_same_results_give_the_same_page() -> None:
    assert render(make_report(sets=("one",))) == render(make_report(sets=("one",)))


def test_long_names_break_wherever_sentences_stand(page: tuple[str, Page]) -> None:
    style = re.search(r"<style>(.*?)</style>", page[0], re.DOTALL)
    assert style
    rules = re.findall(r"([^{}]+)\{[^{}]*overflow-wrap: anywhere[^{}]*\}", style[1])
    breaking = {name.strip() for rule in rules for name in rule.split(",")}
    assert breaking >= {"h1", "h2", "p", "li", "figcaption", "dd", "nav a", ".tile span"}


def test_a_tile_has_its_interval_and_costs_have_the_pretraining(page: tuple[str, Page]) -> None:
    text = " ".join(" ".join(page[1].text).split())
    assert re.search(r"macro-F1 of gnn minus tf, one; 95 % interval [+-]0\.\d{3} to [+-]0\.\d{3}", text)
    assert re.search(r"pretraining s.* 3 ", text)
    assert "one seed, no interval" in render(make_report(seeds=1, sets=("one",)))


def test_a_busy_machine_is_named_beside_the_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 63.0)
    note = busy_note()
    assert "63%" in note
    report = make_report(sets=("one",))
    html = render(replace(report, notes=[*report.notes, note]))
    assert note in html.split('<section id="costs">')[1].split("</section>")[0]
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 3.0)
    assert busy_note() == ""


def test_more_models_than_colours_differ() -> None:
    names = [f"model{number}" for number in range(16)]
    assert len(set(model_colors(names).values())) == 16
