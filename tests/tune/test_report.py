"""The command from outside: real trials, the files it leaves, the page, and the bench that takes what was found."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import optuna
import pandas as pd
import pytest
import yaml

import scgraph
from scgraph.cli import main
from scgraph.tune.config import as_tune_config
from scgraph.tune.figures import study_pictures
from scgraph.tune.results import best_trials
from scgraph.tune.storage import quiet_optuna
from tests.tune.helpers import TINY

if TYPE_CHECKING:
    from pathlib import Path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.mark.usefixtures("forked_workers")
def test_a_real_search_from_the_command_line(
    capsys: pytest.CaptureFixture[str], tiny_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TINY))
    out = tmp_path / "out"
    words = ["tune", "--models", "mean", "--data", tiny_file, "--config", tmp_path / "mine.yaml", "--out", out]
    words += ["--trials", "2", "--set", "space.train.cell_loss=null", "--json", tmp_path / "trials.json"]
    code, shown, said = run(capsys, *words)
    assert code == 0, said
    assert "mean: searching model.channels (8 or 16); train.learning_rate (0.001 to 0.03, log)" in said
    assert "cell_loss" not in said.split("[1/2]")[0]
    assert "[2/2]" in said
    assert "Report:" in shown
    assert "of mean, its best trial" in (out / "study.html").read_text()
    assert {path.name for path in out.iterdir()} >= {
        *("study.html", "trials.csv", "best.yaml", "best-mean.yaml"),
        *("config.yaml", "environment.json", "journal.log", "bench"),
    }
    trials = pd.read_csv(out / "trials.csv")
    assert trials["state"].tolist() == ["complete"] * 2
    assert trials["validation macro-F1"].between(0, 1).all()
    assert len(json.loads((tmp_path / "trials.json").read_text())) == 2
    # The test part: once, at the end, with the settings that were found.
    settings = yaml.safe_load((out / "bench" / "config.yaml").read_text())
    own = trials[trials["model"] == "mean"]
    best = own.loc[own["validation macro-F1"].idxmax()]  # the first of equals
    assert settings["train_per_model"]["mean"]["learning_rate"] == pytest.approx(best["train.learning_rate"])
    assert settings["split_seed"] == 0
    assert set(pd.read_csv(out / "bench" / "results.csv")["model"]) >= {"mean", "pca+logreg"}

    page = (out / "study.html").read_text()
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)  # nothing is fetched
    assert '<section id="model-1">' in page
    assert "2 trials a model" in page
    assert "2 trials complete" in page
    assert page.count("data:image/svg+xml") >= 3

    # What was found is what the bench takes.
    again = scgraph.bench(["mean"], [tiny_file], config=out / "best-mean.yaml").results.set_index("model")
    whole = pd.read_csv(out / "bench" / "results.csv").set_index("model")
    assert again.loc["mean", "macro_f1"] == pytest.approx(whole.loc["mean", "macro_f1"])

    code, _, said = run(capsys, *words)
    assert code == 0
    assert "2 of 2 trials are finished already." in said
    assert "were compared already" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--objective", "f1"], "'probe-cost'"),
        (["--trials", "0"], "trials"),
        (["--config", "tune/defalt"], "Did you mean 'tune/default'"),
        (["--set", "space.train.learning_rat=[1]"], "Did you mean 'learning_rate'"),
        (["--set", "prunner.kind=none"], "Did you mean 'pruner'"),
        (["--set", "bench.train.epoch=1"], "Did you mean 'epochs'"),
        (["--models", "gnm"], "Did you mean 'gnn'"),
        (["--workers", "0"], "--workers"),
        (["--data", "missing.h5ad"], "missing.h5ad"),
    ],
)
def test_wrong_words_get_one_message_and_code_2(
    capsys: pytest.CaptureFixture[str],
    tiny_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = [] if "--data" in words else ["--data", tiny_file]
    code, out, err = run(capsys, "tune", *data, *words)
    assert code == 2
    assert told in err
    assert "Traceback" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def study(directions: list[str], values: list[Any]) -> optuna.Study:
    with quiet_optuna():
        made = optuna.create_study(directions=directions)
        for number, value in enumerate(values):
            made.add_trial(
                optuna.trial.create_trial(
                    params={"train.learning_rate": 0.01 * (number + 1), "model.channels": 32 * (1 + number % 2)},
                    distributions={
                        "train.learning_rate": optuna.distributions.FloatDistribution(1e-3, 1, log=True),
                        "model.channels": optuna.distributions.CategoricalDistribution([32, 64]),
                    },
                    values=value,
                    intermediate_values={} if len(directions) > 1 else {0: -1.0, 1: -0.5},
                )
            )
        return made


def test_the_best_of_one_objective_and_the_front_of_two() -> None:
    one = study(["maximize"], [[0.5], [0.7], [0.7], [0.6]])
    assert [found.number for found in best_trials("m", one.trials, "probe")] == [1]
    two = study(["maximize", "minimize"], [[0.5, 1.0], [0.7, 3.0], [0.6, 2.0], [0.6, 4.0], [0.7, 3.0]])
    front = best_trials("m", two.trials, "probe-cost")
    assert [found.number for found in front] == [1, 2, 0]
    assert {trial.number for trial in two.best_trials} - {4} == {0, 1, 2}
    assert front[0].values == (0.7, 3.0)


def test_pictures_are_whole_and_the_pareto_front_is_among_them() -> None:
    with quiet_optuna():
        one = study_pictures(study(["maximize"], [[0.5], [0.7], [0.71], [0.6], [0.4]]), ("macro-F1",))
        values = [[0.5, 1e6], [0.7, 3e6], [0.6, 2e6], [0.65, 4e6]]
        two = study_pictures(study(["maximize", "minimize"], values), ("macro-F1", "multiply-adds"))
    assert [picture.id for picture in one] == ["history", "importance", "slice", "parallel", "pruning"]
    assert two[0].id == "pareto"
    for picture in (*one, *two):
        kind, _, content = picture.picture.partition(",")
        assert kind == "data:image/svg+xml;base64"
        drawn = base64.b64decode(content)
        assert drawn.rstrip().endswith(b"</svg>")
        assert b"#e5e5e5" not in drawn  # the gray of ggplot, in which Optuna draws


def test_with_few_trials_less_is_drawn() -> None:
    with quiet_optuna():
        assert study_pictures(study(["minimize"], []), ("loss",)) == []
        ids = [picture.id for picture in study_pictures(study(["minimize"], [[1.0]]), ("loss",))]
    assert "history" in ids
    assert "importance" not in ids


def test_shipped_searches_are_laid_over_the_default() -> None:
    wide = as_tune_config("tune/wide")
    assert wide.trials == 100
    assert wide.space["train"]["learning_rate"] == as_tune_config("tune/default").space["train"]["learning_rate"]
    assert wide.space["model"]["values"] == ["sqrt", "pearson", "sqrt+pearson"]
