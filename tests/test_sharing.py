"""Models by name: pushed to a server on the loopback address and used from there, by huggingface_hub itself."""

from __future__ import annotations

import builtins
import json
import socket
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pytest
from huggingface_hub import ModelCard, constants

import scgraph
from scgraph.annotate.saved import load_classifier
from scgraph.cli import main
from scgraph.errors import ConfigError, ModelFileError
from scgraph.models.hub import local_folder
from tests.helpers import QUICK, made_once, make_cells
from tests.hub_server import TOKEN, Repository, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hub_server import Hub

# Of huggingface_hub, on how it uses its library of HTTP.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

MODEL = {"model.safetensors", "config.json", "vocabulary.tsv"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cells.h5ad, a model of them, a classifier that reads the model, and one that reads components."""

    def make(place: Path) -> None:
        make_cells(180, seed=1).write_h5ad(place / "cells.h5ad")
        scgraph.pretrain([place / "cells.h5ad"], config=QUICK, out=place / "model")
        for name, candidates in (("classifier", ("gnn",)), ("components", ("pca+logreg",))):
            scgraph.annotate(
                make_cells(30, seed=2),
                place / "cells.h5ad",
                model=place / "model",
                candidates=candidates,
                save=place / name,
            )

    return made_once(tmp_path_factory, "sharing", make)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A server that is asked in place of the real one, a cache of its own, and somebody who is logged in."""
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


def files(hub: Hub, name: str) -> dict[str, bytes]:
    return hub.repositories[name].commits[-1][1]


def vectors(model: Any) -> np.ndarray:
    adata = make_cells(20, seed=3)
    scgraph.embed(adata, model, device="cpu")
    return np.asarray(adata.obsm["X_scgraph"])


def test_a_pushed_model_gives_the_same_vectors_by_its_name(hub: Hub, folder: Path) -> None:
    said: list[str] = []
    page = scgraph.push(folder / "model", "lab/blood", private=True, license="mit", say=said.append)
    assert page == f"{hub.address}/lab/blood"
    assert said == [
        "pushing to lab/blood, which is made, private: model.safetensors, config.json, vocabulary.tsv, README.md"
    ]
    assert hub.repositories["lab/blood"].private
    assert set(files(hub, "lab/blood")) == {*MODEL, "README.md", ".gitattributes"}
    assert files(hub, "lab/blood")["model.safetensors"] == (folder / "model" / "model.safetensors").read_bytes()
    np.testing.assert_array_equal(vectors("hf://lab/blood"), vectors(folder / "model"))
    assert hub.fetched() == {*MODEL, "README.md"}  # not .gitattributes


def test_the_card_that_is_pushed_is_one_that_hugging_face_reads(hub: Hub, folder: Path) -> None:
    scgraph.push(folder / "model", "lab/blood", license="cc-by-4.0")
    card = ModelCard(files(hub, "lab/blood")["README.md"].decode())
    assert card.data.library_name == "scgraph"
    assert card.data.license == "cc-by-4.0"
    assert 'scgraph.embed(adata, "hf://lab/blood")' in card.text
    own = (folder / "model" / "README.md").read_text()
    assert "hf://ORG/NAME" in own
    assert "license: unknown" in own


def test_no_place_on_this_machine_and_no_token_is_pushed(hub: Hub, folder: Path) -> None:
    for name in ("model", "classifier"):
        scgraph.push(folder / name, f"lab/{name}")
        sent = files(hub, f"lab/{name}")
        assert str(folder) in (folder / name / "config.json").read_text()
        for file, data in sent.items():
            assert str(folder).encode() not in data, file
            assert TOKEN.encode() not in data, file
        assert json.loads(sent["config.json"])["metadata"]["data"]["sources"][0]["source"] == "cells.h5ad"


@pytest.mark.parametrize("name", ["classifier", "components"])
def test_a_pushed_classifier_says_the_same_by_its_name(hub: Hub, folder: Path, name: str) -> None:
    scgraph.push(folder / name, f"lab/{name}")
    labelled = []
    for model in (folder / name, f"hf://lab/{name}"):
        adata = make_cells(30, seed=4)
        scgraph.annotate(adata, model=model, device="cpu")
        labelled.append(adata.obs[["scgraph_label", "scgraph_probability"]])
    assert labelled[0].equals(labelled[1])
    assert load_classifier(f"hf://lab/{name}").classes == ("type 0", "type 1", "type 2")


def test_a_model_in_place_of_a_classifier_takes_its_other_files_away(hub: Hub, folder: Path) -> None:
    scgraph.push(folder / "classifier", "lab/blood")
    scgraph.push(folder / "model", "lab/blood")
    assert set(files(hub, "lab/blood")) == {*MODEL, "README.md", ".gitattributes"}
    assert len(hub.repositories["lab/blood"].commits) == 3


def test_a_revision_is_the_model_of_that_time(hub: Hub, folder: Path) -> None:
    scgraph.push(folder / "model", "lab/blood")
    first = hub.repositories["lab/blood"].commits[-1][0]
    scgraph.push(folder / "classifier", "lab/blood")
    assert not (local_folder(f"hf://lab/blood@{first}") / "classifier.json").exists()
    assert (local_folder("hf://lab/blood") / "classifier.json").exists()
    with pytest.raises(ModelFileError, match="hf://lab/blood@v2: has no such revision"):
        local_folder("hf://lab/blood@v2")


def test_without_a_connection_the_cache_is_taken(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scgraph.push(folder / "model", "lab/blood")
    before = vectors("hf://lab/blood")
    monkeypatch.setenv("HF_ENDPOINT", unused_address())
    np.testing.assert_array_equal(vectors("hf://lab/blood"), before)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    np.testing.assert_array_equal(vectors("hf://lab/blood"), before)
    with pytest.raises(ModelFileError, match="hf://lab/skin: cannot be reached, and is not whole in the cache"):
        local_folder("hf://lab/skin")


def unused_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_what_cannot_be_had_is_said_in_one_line(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    foreign = Repository()
    foreign.commit({"config.json": b'{"model_type": "bert"}', "model.safetensors": b"0" * 1000})
    gated = Repository(gated=True)
    gated.commit({"config.json": b"{}", "vocabulary.tsv": b""})
    hub.repositories |= {"lab/bert": foreign, "lab/gated": gated}
    for name, said in (
        ("lab/none", "there is no such model, or it is private and you may not see it: log in"),
        ("lab/gated", "is gated: accept its terms on its page, then log in"),
        ("lab/bert", "is no saved model of scgraph, vocabulary.tsv missing"),
    ):
        with pytest.raises(ModelFileError, match=f"^hf://{name}: {said}") as caught:
            scgraph.load_model(f"hf://{name}")
        assert "\n" not in str(caught.value)
    assert "model.safetensors" not in hub.fetched()
    hub.broken = True
    with pytest.raises(ModelFileError, match=r"^hf://lab/other: cannot be reached"):
        scgraph.load_model("hf://lab/other")


@pytest.mark.parametrize("name", ["hf://blood", "hf://lab/blood/more", "hf://../blood", "hf://lab/blood@", "hf://"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ConfigError, match=r"hf://"):
        scgraph.load_model(name)


def test_pushing_is_refused_before_anything_is_sent(
    hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    hub.repositories["lab/public"] = Repository()
    hub.repositories["lab/public"].commit({})
    wrong = (
        (tmp_path / "empty", "lab/blood", {}, ModelFileError, "is no saved model"),
        (folder / "model", "blood", {}, ConfigError, "is no name of a model"),
        (folder / "model", "lab/blood", {"license": "My Own"}, ConfigError, "is no name of a licence"),
        (folder / "model", "lab/public", {"private": True}, ConfigError, "is there and is public"),
        ("hf://lab/public", "lab/blood", {}, ConfigError, "is on a server already"),
    )
    for model, name, options, kind, said in wrong:
        with pytest.raises(kind, match=said):
            scgraph.push(model, name, **options)
    for token, said in ((None, "nobody is logged in|you may not do this"), ("hf_wrong", "you may not do this")):
        monkeypatch.delenv("HF_TOKEN", raising=False)
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(ConfigError, match=said):
            scgraph.push(folder / "model", "lab/blood")
    assert set(hub.repositories) == {"lab/public"}
    assert not any(line.startswith("POST /api/models") for line in hub.asked)


def test_a_model_that_was_saved_without_a_card_is_pushed_with_one(hub: Hub, folder: Path, tmp_path: Path) -> None:
    import shutil

    old = shutil.copytree(folder / "model", tmp_path / "old")
    (old / "README.md").unlink()
    scgraph.push(old, "lab/old", license="mit")
    assert b"license: mit" in files(hub, "lab/old")["README.md"]
    (old / "README.md").write_text("My words.\n")
    scgraph.push(old, "lab/old")
    assert files(hub, "lab/old")["README.md"] == b"My words.\n"
    with pytest.raises(ConfigError, match="no card of scgraph"):
        scgraph.push(old, "lab/old", license="mit")


def test_without_huggingface_hub_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("huggingface_hub"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    for call in (lambda: scgraph.load_model("hf://lab/blood"), lambda: scgraph.push(folder / "model", "lab/blood")):
        with pytest.raises(ConfigError, match=r'pip install "scgraph-zoo\[hub\]"'):
            call()


@pytest.mark.parametrize(
    "words",
    [
        ["embed", "hf://lab/none", "{cells}", "--out", "x.h5ad"],
        ["denoise", "hf://lab/none", "{cells}", "--out", "x.h5ad"],
        ["probe", "hf://lab/none", "{cells}"],
        ["graph", "hf://lab/none", "--out", "x.tsv"],
        ["perturb", "{cells}", "--model", "hf://lab/none"],
        ["annotate", "{cells}", "--model", "hf://lab/none"],
        ["annotate", "{cells}", "--reference", "{cells}", "--model", "hf://lab/none"],
        ["prepare", "{cells}", "--out", "store", "--vocabulary", "hf://lab/none"],
    ],
    ids=lambda words: words[0],
)
def test_every_command_that_takes_a_folder_takes_a_name(
    hub: Hub,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([word.format(cells=folder / "cells.h5ad") for word in words])
    assert stop.value.code == 2
    assert "hf://lab/none: there is no such model" in capsys.readouterr().err


def test_the_commands_from_end_to_end(
    hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def scgraph_command(*words: object) -> str:
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        said = capsys.readouterr()
        assert not stop.value.code, said.err
        return said.out

    monkeypatch.chdir(tmp_path)
    said = scgraph_command("push", folder / "model", "lab/blood", "--public", "--license", "mit")
    assert f"{hub.address}/lab/blood: use it as hf://lab/blood" in said
    assert not hub.repositories["lab/blood"].private
    for out, model in (("named.h5ad", "hf://lab/blood"), ("plain.h5ad", folder / "model")):
        said = scgraph_command("embed", model, folder / "cells.h5ad", "--out", out, "--device", "cpu")
        assert "180 cells, 16 numbers each" in said
    named, plain = (ad.read_h5ad(tmp_path / name).obsm["X_scgraph"] for name in ("named.h5ad", "plain.h5ad"))
    np.testing.assert_array_equal(named, plain)
    scgraph_command("prepare", folder / "cells.h5ad", "--out", "store", "--vocabulary", "hf://lab/blood")
