"""Figures: what is drawn is what was measured."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from scgraph.bench import figures
from scgraph.bench.results import results_frame, summarise
from scgraph.reporting.drawing import model_colors, png
from tests.bench.test_results import rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def test_bars_have_the_length_of_the_means() -> None:
    summary = summarise(results_frame(rows({"majority": [0.1, 0.3], "tf": [0.8, 0.9]})))
    figure = figures.score_bars(summary, metrics={"macro_f1": "macro-F1"})
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert widths == pytest.approx([0.2, 0.85])


def test_curves_show_the_mean_of_the_seeds() -> None:
    history = pd.DataFrame(
        {"model": "gnn", "seed": [0, 0, 1, 1], "epoch": [0, 1, 0, 1], "train_loss": [4.0, 2.0, 2.0, 1.0],
         "validation_loss": [5.0, 3.0, 3.0, 2.0]}
    )  # fmt: skip
    train, validation = figures.loss_curves(history).axes
    assert train.lines[0].get_ydata() == pytest.approx([3.0, 1.5])
    assert validation.lines[0].get_ydata() == pytest.approx([4.0, 2.5])


def test_confusions_are_shares_of_the_true_class() -> None:
    figure = figures.confusion_matrices({"gnn": [[3, 1], [0, 0]]}, ["a", "b"])
    image = np.asarray(figure.axes[0].images[0].get_array().filled(np.nan))
    assert image[0].tolist() == [0.75, 0.25]
    assert np.isnan(image[1]).all()


@pytest.mark.parametrize("panels", [1, 2, 4, 12])
def test_every_model_gets_a_map_in_the_same_colours(panels: int) -> None:
    rng = np.random.default_rng(0)
    features = {f"model {k}": rng.normal(size=(40, 6)) for k in range(panels)}
    figure = figures.feature_maps(features, np.arange(40) % 12, [f"class {k}" for k in range(12)])
    shown = [axis for axis in figure.axes if axis.collections]
    assert [axis.get_title(loc="left") for axis in shown] == list(features)

    def cells_by_look(axis: Axes) -> list[dict[tuple[float, ...], int]]:
        return [Counter(map(tuple, marker.get_facecolor().tolist())) for marker in axis.collections]

    looks = [cells_by_look(axis) for axis in shown]
    assert all(look == looks[0] for look in looks)
    # Twelve classes of ten colours: the last two are told from the first two by their marker.
    assert [len(marker) for marker in looks[0]] == [10, 2]
    numbers = [[text.get_text() for text in axis.texts] for axis in shown]
    assert numbers == [[str(k + 1) for k in range(12)]] * panels


def test_places_found_before_are_drawn() -> None:
    x = np.random.default_rng(0).normal(size=(2100, 3))
    assert figures.shown_cells(2100).shape == (2000,)
    places = np.arange(4000.0).reshape(2000, 2)
    axis = figures.feature_maps({"gnn": x}, np.zeros(2100), ["a"], places={"gnn": places}).axes[0]
    assert sorted(axis.collections[0].get_offsets()[:, 0].tolist()) == places[:, 0].tolist()
    small = x[:30]
    found = figures.place_cells(small)
    axis = figures.feature_maps({"gnn": small}, np.zeros(30), ["a"]).axes[0]
    assert sorted(axis.collections[0].get_offsets()[:, 0].tolist()) == pytest.approx(sorted(found[:, 0].tolist()))


def test_a_png_of_few_colours_keeps_those_of_the_models() -> None:
    summary = summarise(results_frame(rows({"gnn": [0.6, 0.7], "tf": [0.8, 0.9]})))
    figure = figures.score_bars(summary, metrics={"macro_f1": "macro-F1"})
    data = png(figure)
    assert data == png(figure)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "P"
        assert image.width == 1056
        shown = {color for _, color in image.convert("RGB").getcolors(10**7) or []}
    for color in model_colors(["gnn", "tf"]).values():
        wanted = tuple(int(color[k : k + 2], 16) for k in (1, 3, 5))
        assert min(max(abs(a - b) for a, b in zip(wanted, found, strict=True)) for found in shown) <= 4


def test_numbers_of_classes_at_one_place_do_not_lie_on_each_other() -> None:
    rng = np.random.default_rng(0)
    figure = figures.feature_maps({"mixed": rng.normal(size=(300, 4))}, np.arange(300) % 30, ["x"] * 30)
    places = np.array([text.xy for text in figure.axes[0].texts])
    places = places / np.ptp(places, axis=0)
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    assert apart[~np.eye(30, dtype=bool)].min() > 0.03


def test_costs_are_drawn_beside_the_usual_and_the_best_baseline_alone() -> None:
    scores = {"majority": [0.1], "pca+logreg": [0.7], "pca-sqrt": [0.6], "pca-pearson": [0.75], "gnn": [0.8]}
    summary = summarise(results_frame(rows({**scores, "pca+gnn": [0.9]})))
    figure = figures.cost_panels(summary)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["gnn", "pca+logreg", "pca-pearson"]
    heights = [line.get_ydata()[0] for line in figure.axes[0].lines if len(set(line.get_xdata())) == 2]
    assert sorted(heights) == [0.7, 0.75]


def test_costs_leave_out_what_was_not_measured() -> None:
    found = rows({"majority": [0.1], "pca+logreg": [0.7], "tf": [0.8]})
    found[-1]["multiply_adds"] = 2e9
    summary = summarise(results_frame(found))
    work, memory, _ = figures.cost_panels(summary).axes
    assert [list(line[0].get_xdata()) for line in work.containers] == [[2e9]]
    assert [text.get_text() for text in memory.texts] == ["not measured"]
    assert work.get_ylim()[0] > 0.5
