"""Silhouette and mixing by scib-metrics, and what is said where it is not installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from scgraph.bench.uses import chosen_uses
from scgraph.bench.uses.scib import SCIB
from scgraph.errors import ConfigError
from tests.bench.uses.helpers import GeneValues, make_context, with_features
from tests.helpers import make_cells


def test_a_missing_package_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert SCIB not in chosen_uses(None, has_batches=True)
    with pytest.raises(ConfigError, match=r"scgraph-zoo\[metrics\]"):
        chosen_uses(["scib"], has_batches=False)


def test_classes_that_lie_apart_and_batches_that_mix_score_high() -> None:
    pytest.importorskip("scib_metrics", reason="scib-metrics is optional")
    context = make_context(make_cells(200), batch_key="donor", split="random")
    rng = np.random.default_rng(0)
    donors = np.unique(np.asarray(context.batches).astype(str), return_inverse=True)[1]
    apart = rng.normal(size=(200, 4)) + 20 * np.eye(3, 4)[context.codes]
    by_batch = rng.normal(size=(200, 4)) + 20 * np.eye(4)[donors]
    good, bad = (
        {row["metric"]: row["value"] for row in SCIB.measure(GeneValues(), with_features(context, x))}
        for x in (apart, by_batch)
    )
    assert good["silhouette"] > 0.85
    assert bad["silhouette"] < 0.6
    assert good["ilisi"] > 0.5
    assert bad["ilisi"] < 0.1
    alone = SCIB.measure(GeneValues(), with_features(make_context(make_cells(200)), apart))
    assert [row["metric"] for row in alone] == ["silhouette"]
