"""A run from three files to a folder, and what it refuses."""

from __future__ import annotations

import builtins
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml

from scgraph.cli import main
from scgraph.drugs import run_drugs
from scgraph.drugs.screen import read_drug_screen
from scgraph.errors import DataError, ScgraphError
from tests.drugs.forms import QUICK, SMILES, small_screen, write_screen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("rdkit")
MODELS = [
    "mean (floor)",
    "additive",
    "pair mean + line mean",
    "ridge",
    "boosting",
    "boosting, wrong lines",
    "gnn",
    "gnn, wrong lines",
]


def words(files: dict[str, Path], *more: str) -> list[str]:
    return ["drugs", *(word for name, path in files.items() for word in (f"--{name}", str(path))), *more]


@pytest.mark.parametrize("split", ["pair", "drug", "line"])
def test_the_command_writes_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], split: str) -> None:
    files = write_screen(tmp_path)
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(QUICK))
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(words(files, "--split", split, "--config", str(tmp_path / "quick.yaml"), "--out", str(out)))
    said = capsys.readouterr()
    assert not stop.value.code, said.err
    assert "252 rows: 28 pairs of 8 drugs on 9 lines" in said.err
    assert f"3 folds of unseen {split}s" in said.err
    assert "that of a wrong line does" in said.out.replace("\n", " ")
    assert {path.name for path in out.iterdir()} == {
        *("results.csv", "predictions.csv", "summary.json", "summary.md", "scores.png", "scores.svg"),
        *("config.yaml", "environment.json"),
    }
    results = pd.read_csv(out / "results.csv")
    assert list(dict.fromkeys(results["model"])) == MODELS
    assert results.groupby("model")["fold"].nunique().eq(3).all()
    assert (results.query("model == 'mean (floor)'")[["pearson", "within_pair"]] == 0).all(axis=None)
    predictions = pd.read_csv(out / "predictions.csv")
    if split != "drug":
        assert len(predictions) == 252
    assert predictions["predicted: gnn"].notna().all()
    record = json.loads((out / "summary.json").read_text())
    assert [row["model"] for row in record["models"]] == MODELS
    page = (out / "summary.md").read_text()
    assert "| mean (floor) |" in page
    assert "minus wrong lines" in page
    assert json.loads((out / "environment.json").read_text())["split"] == split


def test_a_run_is_the_same_twice() -> None:
    screen = small_screen()
    settings = {**QUICK, "wrong_lines": False}
    one, other = (run_drugs(*screen, split="line", config=settings) for _ in range(2))
    pd.testing.assert_frame_equal(one.results, other.results)
    assert not any("wrong" in name for name in one.results["model"])


def _drop(column: str) -> Callable[[dict[str, pd.DataFrame]], None]:
    def change(tables: dict[str, pd.DataFrame]) -> None:
        for table in tables.values():
            table.drop(columns=column, errors="ignore", inplace=True)

    return change


def _put(table: str, row: int, column: str, value: Any) -> Callable[[dict[str, pd.DataFrame]], None]:
    def change(tables: dict[str, pd.DataFrame]) -> None:
        tables[table][column] = tables[table][column].astype(object)
        tables[table].loc[row, column] = value

    return change


def _equal(tables: dict[str, pd.DataFrame]) -> None:
    tables["combinations"]["synergy"] = 3.0


def _again(tables: dict[str, pd.DataFrame]) -> None:
    row = tables["combinations"].iloc[:1].copy()
    row[["drug_a", "drug_b"]] = row[["drug_b", "drug_a"]].to_numpy()
    row["synergy"] += 1
    tables["combinations"] = pd.concat([tables["combinations"], row], ignore_index=True)


def _two_structures(tables: dict[str, pd.DataFrame]) -> None:
    row = pd.DataFrame({"drug": ["ethanol"], "smiles": ["CO"]})
    tables["drugs"] = pd.concat([tables["drugs"], row], ignore_index=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop("drug_b"), "has no column 'drug_b'. Did you mean 'drug_a'?"),
        (_drop("synergy"), "--set score=COLUMN"),
        (_drop("smiles"), "has no column 'smiles'"),
        (_put("combinations", 5, "drug_b", "cafeine"), "1 name not in"),
        (_put("combinations", 5, "drug_b", "cafeine"), "Did you mean 'caffeine'?"),
        (_put("combinations", 5, "cell_line", "LINE99"), "(--lines): 'LINE99'"),
        (_put("combinations", 5, "synergy", "high"), "synergy of row 6 is 'high', not a number"),
        (_put("combinations", 5, "synergy", "nan"), "synergy of row 6 is 'nan', not a number"),
        (_put("combinations", 0, "drug_b", "aspirin"), "aspirin is paired with itself (row 1)"),
        (_equal, "all 252 scores in synergy are 3"),
        (_again, "aspirin and caffeine on LINE0 have several scores that differ"),
        (_two_structures, "ethanol stands twice, with different SMILES"),
        (_put("drugs", 2, "smiles", "CC(O"), "ethanol: its SMILES 'CC(O' cannot be read"),
        (_put("drugs", 2, "smiles", ""), "ethanol: its SMILES '' cannot be read"),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    change: Callable[[dict[str, pd.DataFrame]], None],
    said: str,
) -> None:
    files = write_screen(tmp_path)
    tables = {name: pd.read_csv(files[name]) for name in ("combinations", "drugs")}
    change(tables)
    for name, table in tables.items():
        table.to_csv(files[name], index=False)
    with pytest.raises(SystemExit) as stop:
        main(words(files, "--out", str(tmp_path / "out")))
    message = capfd.readouterr().err
    assert stop.value.code == 2
    assert said in message
    assert "Traceback" not in message
    assert len(message.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--split", "lines"], "Did you mean 'line'?"),
        (["--model", "gnm"], "Did you mean 'gnn'?"),
        (["--model", "asym:gnn"], "Use gnn."),
        (["--set", "antagonistic=20"], "antagonistic must not be above synergistic"),
        (["--set", "folds=1"], "folds"),
        (["--split", "line", "--set", "folds=20"], "9 cell lines cannot be divided into 20 folds"),
        (["--set", "model.conv_options.slop=1"], "slop"),
    ],
)
def test_impossible_settings(tmp_path: Path, capfd: pytest.CaptureFixture[str], more: list[str], said: str) -> None:
    files = write_screen(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(words(files, "--out", str(tmp_path / "out"), *more))
    message = capfd.readouterr().err
    assert stop.value.code == 2
    assert said in message
    assert "Traceback" not in message
    assert not (tmp_path / "out").exists()


def test_a_missing_file_and_a_full_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write_screen(tmp_path)
    for option, said in (("--combinations", "there is no such file"), ("--drugs", "there is no such file")):
        with pytest.raises(SystemExit) as stop:
            main(words(files, option, str(tmp_path / "nowhere.csv"), "--out", str(tmp_path / "out")))
        assert stop.value.code == 2
        assert said in capsys.readouterr().err
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        main(words(files, "--out", str(tmp_path / "kept")))
    assert stop.value.code == 2
    assert "already holds files" in capsys.readouterr().err


def test_without_rdkit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "rdkit":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ScgraphError, match=r"scgraph-zoo\[drugs\]"):
        run_drugs(*small_screen())


def test_rows_that_repeat_with_one_score_and_names_that_are_not_used_are_left_out() -> None:
    table, cells, drugs = small_screen()
    again = pd.concat([table, table.iloc[:3]], ignore_index=True)
    more = pd.concat([drugs, pd.DataFrame({"drug": ["water"], "smiles": ["O"]})], ignore_index=True)
    fewer = again[again["cell_line"] != "LINE0"]
    screen = read_drug_screen(fewer, cells, more)
    assert len(screen) == 252 - 28
    assert screen.drugs == tuple(SMILES)
    said = " ".join(screen.notes)
    assert "2 rows repeat" in said
    assert "1 drugs stand in no combination" in said
    assert "1 lines stand in no combination" in said
    for row in (0, 100):
        named = [*(screen.drugs[at] for at in screen.pairs[row]), screen.lines[screen.line[row]]]
        found = table.loc[(table[["drug_a", "drug_b", "cell_line"]] == named).all(axis=1), "synergy"]
        assert found.to_list() == [screen.score[row]]
    assert np.ptp(screen.expression, axis=0).min() > 0


def test_names_are_text(tmp_path: Path) -> None:
    files = write_screen(tmp_path)
    for name in ("combinations", "drugs"):
        files[name].write_text(files[name].read_text().replace("ethanol", "NA").replace("glycine", "007"))
    screen = read_drug_screen(files["combinations"], files["lines"], files["drugs"])
    assert {"NA", "007"} <= set(screen.drugs)


def test_lines_of_which_nothing_differs() -> None:
    table, cells, drugs = small_screen()
    cells.X[:] = 3.0
    with pytest.raises(DataError, match="0 genes differ between the lines"):
        read_drug_screen(table, cells, drugs)
