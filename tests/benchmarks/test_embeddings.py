"""What several benches say over sets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from benchmarks.embeddings.page import differences, embeddings_markdown, one_value_a_seed

if TYPE_CHECKING:
    from pathlib import Path

MODELS = {"pca+logreg": 0.5, "gnn untrained": 0.6, "gnn": 0.7}


def _results(sets: dict[str, float]) -> pd.DataFrame:
    """Macro-F1 of every set: that of the model, a gain of the set for the trained one, and a shift of the seed."""
    rows = [
        {"dataset": name, "seed": seed, "model": model, "macro_f1": base + (gain if model == "gnn" else 0) + seed / 100}
        for name, gain in sets.items()
        for seed in range(2)
        for model, base in MODELS.items()
    ]
    return pd.DataFrame(rows)


def _uses(sets: dict[str, float]) -> pd.DataFrame:
    rows = []
    for row in _results(sets).to_dict("records"):
        here = {key: row[key] for key in ("dataset", "seed", "model")} | {"metric": "macro_f1"}
        rows += [here | {"use": "few", "level": "5", "value": row["macro_f1"] + shift} for shift in (-0.1, 0.1)]
        rows.append(here | {"use": "batches", "level": None, "value": row["macro_f1"]})
    return pd.DataFrame(rows)


def test_differences_are_paired_by_seed_and_draws_are_averaged_first() -> None:
    sets = {"a": 0.0, "b": 0.02}
    values = one_value_a_seed(_results(sets), _uses(sets))
    frame = differences(values, "gnn", "pca+logreg").set_index(["dataset", "use"])["difference"]
    for use in ("labels", "few", "batches"):
        assert frame["a", use] == pytest.approx(20)
        assert frame["b", use] == pytest.approx(22)


def test_the_page_has_an_interval_over_sets_and_sets_apart_that_were_chosen_on() -> None:
    sets = {"a": -0.2, "b": 0.0, "c": 0.04}
    page = embeddings_markdown(one_value_a_seed(_results(sets), _uses(sets)), ["gnn"], ["a"])
    assert "chosen on a; the others, b, c, were not" in page
    everything, kept = page.split("## gnn, the 2 sets")
    # 0, 20 and 24 points over logistic regression: mean 14.7, t interval of three.
    assert "| all labels | +4.7 [-27.3, +36.6], 2 of 3 | +14.7 [-17.3, +46.6], 2 of 3 |" in everything
    assert "| 5 labels a class | +12.0 [-13.4, +37.4], 2 of 2 | +22.0 [-3.4, +47.4], 2 of 2 |" in kept
    assert "| `gnn` | 50.5 |" in page


def test_uses_that_were_asked_with_fewer_seeds_are_named() -> None:
    sets = {"a": 0.0, "b": 0.02}
    results, uses = _results(sets), _uses(sets)
    assert ". 2 seeds a set, each" in embeddings_markdown(one_value_a_seed(results, uses), ["gnn"], [])
    later = results[results["dataset"] == "a"].assign(seed=2)
    fewer = uses[(uses["use"] == "few") | (uses["seed"] == 0)]
    values = one_value_a_seed(pd.concat([results, later]), fewer)
    assert ". 2 to 3 seeds a set (few: 2, batches: 1), each" in embeddings_markdown(values, ["gnn"], [])


def test_models_are_compared_with_each_other_on_the_sets_that_have_both() -> None:
    values = one_value_a_seed(*(read({"a": -0.2, "b": 0.0, "c": 0.04}) for read in (_results, _uses)))
    # tf is 10 and 6 points below gnn on b and c, and was not run on a.
    of_gnn = values[(values["model"] == "gnn") & (values["dataset"] != "a")]
    behind = of_gnn["dataset"].map({"b": 10.0, "c": 6.0})
    other = of_gnn.assign(model="tf", value=of_gnn["value"] - behind)
    page = embeddings_markdown(pd.concat([values, other]), ["gnn", "tf"], ["a"])
    between = page.split("## The models against each other")[1].split("## Every set")[0]
    assert between.count("| all labels | +8.0 [-17.4, +33.4], 2 of 2 |") == 2


def test_components_beside_the_first_model_are_compared_with_it() -> None:
    values = one_value_a_seed(*(read({"a": -0.2, "b": 0.0, "c": 0.04}) for read in (_results, _uses)))
    of_gnn = values[values["model"] == "gnn"]
    beside = of_gnn.assign(model="pca+gnn", value=of_gnn["value"] + of_gnn["dataset"].map({"a": 1.0, "b": 2.0, "c": 3}))
    page = embeddings_markdown(pd.concat([values, beside]), ["gnn"], [])
    table = page.split("## pca+gnn, all 3 sets")[1].split("##")[0]
    assert "|  | minus gnn | minus gnn untrained | minus pca+logreg |" in table
    assert "| all labels | +2.0 [-0.5, +4.5], 3 of 3 |" in table


def test_benches_without_uses_and_unknown_sets_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.embeddings import run

    sets = {"a": 0.0, "b": 0.0}
    bench = tmp_path / "bench"
    bench.mkdir()
    _results(sets).to_csv(bench / "results.csv", index=False)
    (bench / "environment.json").write_text(json.dumps({"command": "scgraph bench"}))

    def asked(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            run.main(["--benches", str(bench), "--out", str(tmp_path / "out"), *words])
        streams = capsys.readouterr()
        return f"{ended.value.code}: {streams.out}{streams.err}"

    assert "2: embeddings:" in asked().replace("\n", " ")
    _uses(sets).to_csv(bench / "uses.csv", index=False)
    assert "no bench has the set c" in asked("--chosen", "c")
    assert asked("--chosen", "a").startswith("0: ")
    page = (tmp_path / "out" / "embeddings.md").read_text()
    assert "# Are the embeddings worth taking?" in page
    assert "| 5 labels a class |" in page  # a level that is a number in a file of numbers
