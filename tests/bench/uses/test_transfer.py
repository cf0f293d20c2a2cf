"""The classifier of one set, asked about another: which cells count, and that nothing is learned from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest

from scgraph.bench.run import run_bench
from scgraph.bench.uses.transfer import read_targets, transfer_use
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.errors import ConfigError, DataError
from tests.bench.uses.helpers import GeneValues, make_context
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData


def other_cells(names: tuple[str, ...] = ("TYPE 0 ", "type 1", "macrophage"), n: int = 150) -> AnnData:
    adata = make_cells(n, seed=7)
    adata.obs["cell_type"] = [names[at % 3] for at in range(n)]
    return adata


def test_macro_f1_is_over_shared_classes_and_their_cells_alone(tmp_path: Path) -> None:
    other_cells().write_h5ad(tmp_path / "other.h5ad")
    context = make_context(make_cells(240))
    targets = read_targets([tmp_path / "other.h5ad"], [context.probe])
    values = GeneValues()
    rows = transfer_use(targets).measure(values, context)
    assert [(row["use"], row["level"], row["metric"]) for row in rows] == [("transfer", "other", "macro_f1")]
    assert rows[0]["value"] > 0.9
    assert len(values.asked[0]) == 100
    assert values.asked[0].vocabulary.sha256 == context.stores.train.vocabulary.sha256
    note = targets["adata"][0].note
    assert "adata to other: 100 of 150 cells are asked about, of 2 shared classes" in note
    assert "50 cells of 1 other classes are left out ('macrophage')" in note
    # A set whose classes were swapped must score low: truth and prediction meet in the shared names.
    other_cells(("type 1", "type 0", "x")).write_h5ad(tmp_path / "swapped.h5ad")
    swapped = read_targets([tmp_path / "swapped.h5ad"], [context.probe])
    assert transfer_use(swapped).measure(values, context)[0]["value"] < 0.1


def test_a_table_of_classes_is_followed(tmp_path: Path) -> None:
    other_cells(("zero", "one", "two")).write_h5ad(tmp_path / "other.h5ad")
    context = make_context(make_cells(240))
    with pytest.raises(DataError, match=r"no class is shared with adata.*'one'.*'type 0'.*, classes"):
        read_targets([tmp_path / "other.h5ad"], [context.probe])
    (tmp_path / "map.tsv").write_text("type 0\tzero\ntype 1\tone\ntype 2\ttwo\n")
    targets = read_targets([tmp_path / "other.h5ad"], [context.probe], classes=tmp_path / "map.tsv")
    assert len(targets["adata"][0].cells) == 150
    assert transfer_use(targets).measure(GeneValues(), context)[0]["value"] > 0.9
    (tmp_path / "map.tsv").write_text("type 0\tzero\n")
    with pytest.raises(DataError, match="only one class"):
        read_targets([tmp_path / "other.h5ad"], [context.probe], classes=tmp_path / "map.tsv")
    (tmp_path / "map.tsv").write_text("type 0\tzero\ntype 9\tone\n")
    with pytest.raises(DataError, match=r"map.tsv: column 1 names 'type 9'"):
        read_targets([tmp_path / "other.h5ad"], [context.probe], classes=tmp_path / "map.tsv")


def test_cells_that_were_learned_from_are_not_asked_about(tmp_path: Path) -> None:
    probe = read_probe_sets([make_cells(240)])[0]
    make_cells(240).write_h5ad(tmp_path / "same.h5ad")
    with pytest.raises(DataError, match=r"240 of 240 cells of .*same.h5ad stand in adata too"):
        read_targets([tmp_path / "same.h5ad"], [probe])
    ad.concat([make_cells(240)[:60], other_cells()]).write_h5ad(tmp_path / "some.h5ad")
    target = read_targets([tmp_path / "some.h5ad"], [probe])["adata"][0]
    assert len(target.cells) == 100
    assert "60 that stand in adata too are left out" in target.note


def test_a_bench_asks_every_row(tmp_path: Path) -> None:
    other_cells().write_h5ad(tmp_path / "other.h5ad")
    result = run_bench(
        ["none"], [make_cells(120)], config=QUICK, uses=[], transfer=[tmp_path / "other.h5ad"], out=tmp_path / "out"
    )
    uses = result.uses[result.uses["use"] == "transfer"]
    assert set(uses["level"]) == {"other"}
    assert {"pca+logreg", "none", "none untrained"} <= set(uses["model"])
    assert np.isfinite(uses["value"]).all()
    assert any("adata to other: 100 of 150 cells" in note for note in result.notes)
    assert "to other" in (tmp_path / "out" / "summary.md").read_text()


def test_what_cannot_be_asked_is_refused_before_a_model_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scgraph.bench.run.measure", lambda *_, **__: pytest.fail("measured first"))
    adata = other_cells()
    adata.var_names = [f"OTHER{at}" for at in range(adata.n_vars)]
    adata.write_h5ad(tmp_path / "other.h5ad")
    with pytest.raises(DataError, match=r"other.h5ad: only 0 of 40 genes"):
        run_bench(["none"], [make_cells(120)], config=QUICK, transfer=[tmp_path / "other.h5ad"])
    with pytest.raises(ConfigError, match="with transfer"):
        run_bench(["none"], [make_cells(120)], config=QUICK, uses=["transfer"])
    with pytest.raises(ConfigError, match="with transfer"):
        run_bench(["none"], [make_cells(120)], config=QUICK, classes=tmp_path / "map.tsv")
