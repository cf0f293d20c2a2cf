"""The card of a saved model: what stands in it, and whose README.md is replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

import scgraph
from scgraph.errors import ConfigError, OutputError
from scgraph.models import load_model, save_model
from scgraph.models.card import is_card, license_of, with_license
from tests.helpers import QUICK, made_once, make_cells

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = "# My folder\n\nlibrary_name: scgraph is what I use.\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cells.h5ad and a model of them with a licence."""

    def make(folder: Path) -> None:
        make_cells(120).write_h5ad(folder / "a|b <i>cells.h5ad")
        scgraph.pretrain([folder / "a|b <i>cells.h5ad"], config=QUICK, out=folder / "model", license="cc-by-4.0")

    return made_once(tmp_path_factory, "card", make)


def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def front(text: str) -> dict[str, Any]:
    return yaml.safe_load(text.split("---\n")[1])


def rows(text: str) -> dict[str, str]:
    """Return the tables of two columns."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: line[1] for line in lines if len(line) == 2}


def test_the_front_matter_is_what_hugging_face_expects(place: Path) -> None:
    found = front(card(place / "model"))
    assert found["library_name"] == "scgraph"
    assert found["license"] == "cc-by-4.0"
    assert found["tags"] == ["single-cell", "transcriptomics", "gene-expression", "gnn"]


def test_it_names_data_settings_losses_costs_and_versions(place: Path) -> None:
    text, saved = card(place / "model"), load_model(place / "model")
    assert str(place) not in text
    assert "| a\\|b &lt;i>cells.h5ad | 120 | 40 | counts |" in text
    table = rows(text)
    assert table["train.epochs"] == "2"
    assert table["model.channels"] == "8"
    assert table["training cells"] == f"{saved.progress['train_loss']:.4f}"
    assert table["held-out cells"] == f"{saved.progress['validation_loss']:.4f}"
    assert table["parameters"] == f"{sum(weight.numel() for weight in saved.model.parameters()):,}"
    assert table["multiply-adds of a cell of 16 genes"] == f"{saved.model.cost(16).multiply_adds:,}"
    assert "seconds of training" in table
    assert "after epoch 2, step 6" in text or "after epoch 2" in text
    assert f"scgraph {saved.versions['scgraph']}, torch {saved.versions['torch']}" in text
    assert "## Use" in text


def test_a_resumed_run_keeps_the_licence_and_newer_weights_renew_the_card(place: Path, tmp_path: Path) -> None:
    saved = load_model(place / "model")
    for epoch, loss in ((0, 0.5), (1, 0.25)):
        save_model(
            tmp_path / "model",
            saved.model,
            saved.vocabulary,
            saved.model_config,
            metadata=saved.metadata,
            progress={"epoch": epoch, "step": 3, "train_loss": loss},
            license=None if epoch else "mit",
        )
    assert "0.2500" in card(tmp_path / "model")
    assert "0.5000" not in card(tmp_path / "model")
    assert license_of(tmp_path / "model") == "mit"


def test_a_readme_of_somebody_else_stays(tmp_path: Path) -> None:
    out = tmp_path / "model"
    out.mkdir()
    (out / "README.md").write_text(FOREIGN)
    assert not is_card(FOREIGN)
    with pytest.raises(OutputError, match="already holds files"):
        scgraph.pretrain([make_cells()], config=QUICK, out=out)
    with pytest.raises(ConfigError, match=r"README.md in .* is no card of scgraph"):
        scgraph.pretrain([make_cells()], config=QUICK, out=out, overwrite=True, license="mit")
    said: list[str] = []
    scgraph.pretrain([make_cells()], config=QUICK, out=out, overwrite=True, say=said.append)
    assert card(out) == FOREIGN
    assert sum("its README.md is none of scgraph's" in line for line in said) == 1
    load_model(out)


def test_a_card_is_replaced_with_the_run_it_belongs_to_even_where_it_was_edited(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    scgraph.pretrain([make_cells()], config=QUICK, out=out, license="mit")
    (out / "README.md").write_text(card(out) + "\nMy words.\n")
    scgraph.pretrain([make_cells()], config=QUICK, out=out, overwrite=True)
    assert "My words" not in card(out)
    assert license_of(out) == "unknown"


def test_a_classifier_has_a_card_and_keeps_its_licence(tmp_path: Path) -> None:
    make_cells(120, seed=1).write_h5ad(tmp_path / "atlas.h5ad")
    for _ in range(2):
        query = make_cells(30, seed=2)
        scgraph.annotate(query, tmp_path / "atlas.h5ad", save=tmp_path / "it", overwrite=True)
        text = card(tmp_path / "it")
        assert "cell-type-annotation" in front(text)["tags"]
        assert "type 0, type 1, type 2" in text
        assert "| atlas.h5ad | 120 | cell_type |" in text
        assert str(tmp_path) not in text
        assert "| pca+logreg |" in text
        (tmp_path / "it" / "README.md").write_text(with_license(text, "cc0-1.0"))
    assert scgraph.annotate(make_cells(10), model=tmp_path / "it")["cells"] == 10
    query = make_cells(30, seed=2)
    scgraph.annotate(query, tmp_path / "atlas.h5ad", save=tmp_path / "it", overwrite=True)
    assert license_of(tmp_path / "it") == "cc0-1.0"


@pytest.mark.parametrize("license", ["MIT", "my licence", "a\nb", "", "../x"])
def test_what_is_no_licence(license: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no name of a licence"):
        scgraph.pretrain([make_cells()], config=QUICK, out=tmp_path / "out", license=license)
    assert not (tmp_path / "out").exists()
