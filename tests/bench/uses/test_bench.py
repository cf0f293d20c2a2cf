"""A bench that asks uses: which, of what, and where the answers stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import scgraph
from scgraph.bench.uses import USES, chosen_uses
from scgraph.bench.uses.few import DRAWS
from scgraph.cli import main
from scgraph.cli.options import use_names
from scgraph.errors import ConfigError
from scgraph.representations import base as representations
from tests.helpers import ASKED, QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path

ROWS = ["pca+logreg", "gnn untrained", "gnn"]


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[object, str, str]:
    """Return the exit code of a command and what it printed."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return stop.value.code or 0, *capsys.readouterr()


def test_every_representation_is_asked_every_use(cells_file: Path, tmp_path: Path) -> None:
    result = scgraph.bench(
        ["gnn"], [cells_file], batch_key="donor", config=ASKED | {"seeds": 2, "split": "random"}, out=tmp_path / "out"
    )
    uses = pd.read_csv(tmp_path / "out" / "uses.csv", dtype={"level": str, "draw": str}, keep_default_na=False)
    assert len(uses) == len(result.uses)
    counts = uses.groupby(["model", "use", "level", "metric"], sort=False).size().unstack("model")[ROWS]
    per_seed = {("few", "5"): DRAWS, ("few", "10"): DRAWS, ("few", "20"): DRAWS, ("batches", ""): 4}
    for (use, level, _), sizes in counts.iterrows():
        assert sizes.tolist() == [2 * per_seed.get((use, level), 1)] * 3, use
    assert set(uses["use"]) == {use.name for use in USES if use in chosen_uses(None, has_batches=True)}
    assert set(uses["split"]) == {"random"}
    assert uses["value"].astype(float).between(0, 1).all()
    main = result.results.set_index(["model", "seed"])["macro_f1"]
    again = result.uses[result.uses["use"] == "labels"].set_index(["model", "seed"])["value"]
    assert again.to_dict() == {key: main[key] for key in again.index}
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "| held-out batches |" in text.split("## Uses")[1]
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('<section id="uses">') == 1
    assert "<th>5 labels a class</th>" in page
    assert (tmp_path / "out" / "uses-cells.png").read_bytes().startswith(b"\x89PNG")


def test_cells_are_embedded_once_whole_and_once_a_depth(cells_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = representations.embed

    def counted(model: Any, store: Any, **options: Any) -> Any:
        sizes.append(len(store))
        return real(model, store, **options)

    monkeypatch.setattr(representations, "embed", counted)
    result = scgraph.bench(["none"], [cells_file], config=ASKED)
    test = int(result.results["n_test"].iloc[0])
    assert sizes == [90, test, test, test] * 2  # untrained and trained


def test_the_default_asks_what_a_set_can_answer() -> None:
    names = [use.name for use in chosen_uses(None, has_batches=True)]
    assert names == ["labels", "few", "shallow", "batches", "neighbors"]
    assert [use.name for use in chosen_uses(None, has_batches=False)] == [n for n in names if n != "batches"]
    assert [use.name for use in chosen_uses(["neighbors", "few"], has_batches=False)] == ["few", "neighbors"]
    assert chosen_uses([], has_batches=True) == ()


def test_no_use_leaves_no_trace(cells_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(
        capsys,
        *(
            "bench",
            "--models",
            "none",
            "--data",
            cells_file,
            "--out",
            tmp_path / "out",
            "--seeds",
            "1",
            "--epochs",
            "1",
        ),
        *("--channels", "8", "--layers", "1", "--set", "model.rank=4", "--uses", "none", "--set", "components=5"),
        *("--set", "train.batch_size=32"),
    )
    assert code == 0, err
    assert not [path.name for path in (tmp_path / "out").iterdir() if "uses" in path.name]
    assert "## Uses" not in (tmp_path / "out" / "summary.md").read_text()
    assert 'id="uses"' not in (tmp_path / "out" / "report.html").read_text()
    assert "uses" not in out


def test_an_unknown_use_is_refused_before_anything_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "bench", "--uses", "few,shalow", "--data", "missing.h5ad", "--out", tmp_path / "out")
    assert code == 2
    assert "Unknown use 'shalow'. Did you mean 'shallow'?" in " ".join(err.split())
    assert "missing.h5ad" not in err
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="--uses: few is named twice"):
        use_names("few, few")


def test_a_use_that_a_set_cannot_serve_is_a_note(cells_file: Path) -> None:
    said: list[str] = []
    result = scgraph.bench(["none"], [cells_file], config=QUICK, uses=["batches", "labels"], say=said.append)
    assert set(result.uses["use"]) == {"labels"}
    note = "cells: batches is left out: no batch column was named (batch_key)"
    assert note in result.notes
    assert note in said[: [line.startswith("[") for line in said].index(True)]  # before the work


def test_a_batch_column_divides_the_cells_unless_a_random_split_is_asked_for(cells_file: Path) -> None:
    config = QUICK | {"uses": ["labels"]}
    by_batch = scgraph.bench(["none"], [cells_file], batch_key="donor", config=config)
    assert set(by_batch.results["split"]) == {"batch"}
    at_random = scgraph.bench(["none"], [cells_file], batch_key="donor", config=config | {"split": "random"})
    plain = scgraph.bench(["none"], [cells_file], config=config)
    assert set(at_random.results["split"]) == {"random"}
    assert at_random.results["macro_f1"].tolist() == plain.results["macro_f1"].tolist()
    with pytest.raises(ConfigError, match="batch_key"):
        scgraph.bench(["none"], [cells_file], config=config | {"split": "batch"})


def test_the_papers_probe_gets_the_classifier_of_all_uses(cells_file: Path) -> None:
    result = scgraph.bench(["none"], [cells_file], config=ASKED | {"probe": {"kind": "adam", "epochs": 2}})
    assert set(result.uses["model"]) == {"pca+logreg", "none untrained", "none"}


def test_uses_of_the_models_before_outlive_a_failure(tmp_path: Path) -> None:
    config = ASKED | {"train_per_model": {"gnn": {"learning_rate": 1e30}}}
    with pytest.raises(scgraph.errors.ScgraphError):
        scgraph.bench(["none", "gnn"], [make_cells()], config=config, out=tmp_path / "out")
    uses = pd.read_csv(tmp_path / "out" / "uses.csv")
    assert set(uses["model"]) == {"pca+logreg", "none untrained", "none"}


def test_the_help_names_every_use(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "bench", "--help")
    text = " ".join(out.replace("│", " ").split())
    for use in USES:
        assert use.name in text, use.name
