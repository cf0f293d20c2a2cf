"""The output folder, the tables and the shipped configurations."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch

from scgraph.config_files import load_yaml, parse_config
from scgraph.errors import ConfigError, OutputError
from scgraph.synthetic import SyntheticConfig, run_synthetic, run_variants
from scgraph.synthetic.paper import PAPER_E_P, PAPER_SIGMA, paper_losses
from scgraph.synthetic.run import loss_table
from scgraph.synthetic.tables import matching_e_p, table1
from scgraph.synthetic.train import Curves, Setting

if TYPE_CHECKING:
    from pathlib import Path

TINY = SyntheticConfig(e_p=(0.0, 0.5, 0.9), sigma=(0.1, 0.5), samples=200, validation_samples=50, epochs=2, seeds=2)
FILES = {
    "table1.csv", "table1.md", "losses.csv", "curves.csv", "config.yaml", "environment.json",
    "figure3a.png", "figure3a.svg", "figure3b.png", "figure3b.svg",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic") / "run"
    run_synthetic(out=out, config=TINY, command=["scgraph", "synthetic"])
    return out


def test_all_files_are_written_and_agree(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    losses = pd.read_csv(folder / "losses.csv")
    assert len(losses) == 2 * 3 * 2 * 2
    table = pd.read_csv(folder / "table1.csv")
    cell = losses[(losses["e_p"] == 0.5) & (losses["sigma"] == 0.1)].set_index(["model", "seed"])["best"]
    row = table[(table["e_p"] == 0.5) & (table["sigma"] == 0.1)].iloc[0]
    assert row["gnn_best"] == pytest.approx(cell["gnn"].mean(), rel=1e-5)
    assert row["ratio_best"] == pytest.approx((cell["gnn"] / cell["tf"]).mean(), rel=1e-4)
    assert row["paper_gnn"] == 0.163
    curves = pd.read_csv(folder / "curves.csv")
    assert len(curves) == 2 * 3 * 2 * TINY.epochs
    text = (folder / "table1.md").read_text()
    assert f"| 0.5 | TF | {row['tf_best']:.3f} (0.010) |" in text
    assert "| 0.9 | TF | " in text
    assert (folder / "figure3a.png").read_bytes().startswith(b"\x89PNG")
    origin = json.loads((folder / "environment.json").read_text())
    assert origin["command"] == "scgraph synthetic"
    assert 0 <= origin["seconds"] < 100


def test_the_configuration_written_is_the_one_that_ran(folder: Path) -> None:
    assert parse_config(SyntheticConfig, load_yaml(folder / "config.yaml"), source="config.yaml") == TINY


def test_selection_looks_at_the_validation_part_alone() -> None:
    test = np.array([[3.0, 1.0, 2.0, 4.0]])
    curves = Curves(train=test, validation=np.array([[3.0, 2.0, 1.0, 4.0]]), test=test, seconds=0)
    row = loss_table(TINY, [Setting(0.5, 0.1, 0)], {"tf": curves}).iloc[0]
    assert (row["best"], row["best_epoch"], row["last"]) == (1, 2, 4)
    assert (row["selected"], row["selected_epoch"]) == (2, 3)


def test_a_second_run_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    run_synthetic(out=tmp_path, config=TINY, command=["scgraph", "synthetic"])
    assert torch.get_num_threads() == threads
    for name in FILES - {"environment.json"}:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_folder_in_use_is_refused_before_training(folder: Path) -> None:
    epochs: list[int] = []
    with pytest.raises(OutputError, match="already holds files"):
        run_synthetic(out=folder, config=TINY, on_epoch=lambda _, done, __: epochs.append(done))
    assert not epochs


def test_variants_cover_both_signs_and_every_layer(tmp_path: Path) -> None:
    config = TINY.model_copy(update={"e_p": (0.0, 0.5), "seeds": 1, "epochs": 1})
    result = run_variants(out=tmp_path, config=config)
    assert set(result.table["sign"]) == {"paper", "reversed"}
    assert {f"gnn {layer}" for layer in ("plain", "linear", "relu", "residual")} <= set(result.table["model"])
    reference = result.table[result.table["model"] == "tf"]
    np.testing.assert_allclose(reference["ratio_best"], 1)
    # Without relative positions the sign has nothing to act on.
    still = result.losses[result.losses["e_p"] == 0].pivot(index=["model", "sigma"], columns="sign", values="best")
    np.testing.assert_array_equal(still["paper"], still["reversed"])
    assert "| reversed | gnn plain |" in (tmp_path / "variants.md").read_text()


@pytest.mark.parametrize("name", ["synthetic/paper", "synthetic/extended"])
def test_shipped_configurations(name: str) -> None:
    config = parse_config(SyntheticConfig, load_yaml(name), source=name)
    default = SyntheticConfig().model_dump()
    differing = {key for key, value in config.model_dump().items() if value != default[key]}
    assert differing == (set() if name.endswith("paper") else {"e_p"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"sgn": "paper"}, "there is no key 'sgn'. Did you mean 'sign'"),
        ({"sign": "revers"}, "sign: Input should be 'paper' or 'reversed', not 'revers'"),
        ({"e_p": [0.1, 0.1]}, "e_p: names a value twice"),
        ({"sigma": [0.0]}, "sigma"),
        ({"e_p": []}, "e_p"),
    ],
)
def test_a_wrong_option_is_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(SyntheticConfig, data, source="mine.yaml")


def test_an_impossible_combination_is_refused_before_the_folder_is_made(tmp_path: Path) -> None:
    config = SyntheticConfig(adjacency="position", positions="none")
    with pytest.raises(ConfigError, match="needs models with positions"):
        run_synthetic(out=tmp_path / "new", config=config)
    assert not (tmp_path / "new").exists()


def test_numbers_of_the_paper(shared_data: Path) -> None:
    with (shared_data.parent / "paper" / "table1.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert len(rows) == len(PAPER_E_P) * len(PAPER_SIGMA)
    for row in rows:
        assert paper_losses(row["e_p"], row["sigma"]) == (row["tf_loss"], row["gnn_loss"])
    assert paper_losses(0.6, 0.1) is None


def test_mean_ratio_of_the_paper() -> None:
    losses = pd.DataFrame(
        [
            {"model": m, "e_p": e_p, "sigma": s, "seed": 0, "best": 1.0, "selected": 1.0, "floor": 1.0}
            for m in ("gnn", "tf")
            for e_p in PAPER_E_P
            for s in PAPER_SIGMA
        ]
    )
    means = table1(losses).groupby("e_p")["paper_ratio"].mean()
    np.testing.assert_allclose(means, [1.186, 1.674, 2.326, 3.372, 4.828, 7.906], atol=2e-3)


def test_matching_e_p_finds_a_shift_put_in() -> None:
    # Losses of "ours" are the paper's at 0.1 more, so the paper's e_p 0.3 is ours at 0.2.
    rows = []
    for e_p in PAPER_E_P[:-1]:
        for sigma in PAPER_SIGMA:
            cell = paper_losses(round(e_p + 0.1, 1), sigma)
            assert cell is not None
            rows.append({"e_p": e_p, "sigma": sigma, "gnn_best": cell[1]})
    match = matching_e_p(pd.DataFrame(rows)).set_index("e_p")
    assert match.loc[0.3, "matching"] == pytest.approx(0.2)
    assert match.loc[0.3, "factor"] == pytest.approx(1)
    assert match.loc[0.0, "factor"] > 1.1
