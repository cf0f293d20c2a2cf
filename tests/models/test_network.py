"""A gene network becomes a part of the model: saved, loaded, embedded without its file, and asked for in a resume."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from scgraph.data import CellStore, Network, read_network
from scgraph.errors import ConfigError, ModelFileError
from scgraph.models import initial_model, load_model
from scgraph.models.network import saved_parts, with_network
from scgraph.models.tensors import read_tensors, write_tensors
from scgraph.nn import GeneModel
from scgraph.train import embed, pretrain
from tests.train import helpers

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {"channels": 8, "layers": 1, "cell_head": False, "dropout": 0.0}
BOTH = {**SETTINGS, "positional": "random_walk", "positional_dim": 3}


def network_of(folder: Path, store: CellStore, step: int) -> Network:
    path = folder / f"every-{step}.tsv"
    genes = len(store.vocabulary)
    path.write_text("".join(f"G{at}\tG{at + step}\n" for at in range(genes - step)))
    return read_network(path).on(store.vocabulary)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, CellStore, Network]:
    folder = tmp_path_factory.mktemp("network")
    store = helpers.small_store(40)
    network = network_of(folder, store, 2)
    training = helpers.small_training(epochs=1, cell_loss=0.0)
    result = pretrain(
        helpers.small_model(**BOTH), training, store, out=folder / "model", network=network, progress=False
    )
    return folder / "model", result, store, network


def test_the_saved_model_needs_no_file(trained: tuple[Path, Any, CellStore, Network]) -> None:
    folder, result, store, network = trained
    saved = load_model(folder)
    assert saved.model_config.network == network.sha256 == result.model_config.network
    assert saved.metadata["data"]["network"]["source"] == "every-2.tsv"
    assert saved.model.network is not None
    assert torch.equal(
        saved.model.network.edges(torch.tensor([[1, 2, 3]])), torch.tensor([[0, 2, 1, 0, 2], [0, 0, 1, 2, 2]])
    )
    assert np.array_equal(
        embed(saved.model, store, genes=16, device="cpu"), embed(result.model, store, genes=16, device="cpu")
    )
    moved = GeneModel(len(store.vocabulary), **saved.model_config.model_kwargs())
    moved.load_state_dict(saved.model.state_dict(), strict=False)
    assert not np.array_equal(
        embed(moved, store, genes=16, device="cpu"), embed(result.model, store, genes=16, device="cpu")
    )


def test_another_process_builds_it_from_its_tensors(trained: tuple[Path, Any, CellStore, Network]) -> None:
    """As `scgraph.train.distributed.worker` does, which sees no file of edges."""
    folder, result, store, _ = trained
    tensors, _ = read_tensors(folder / "model.safetensors")
    config = result.model_config
    model = GeneModel(len(store.vocabulary), **config.model_kwargs(), **saved_parts(config, tensors))
    model.load_state_dict(tensors)
    assert {key: tensor.tolist() for key, tensor in model.state_dict().items()} == {
        key: tensor.tolist() for key, tensor in tensors.items()
    }


def test_a_run_goes_on_with_its_network_only(trained: tuple[Path, Any, CellStore, Network]) -> None:
    folder, result, store, network = trained
    training = helpers.small_training(epochs=1, cell_loss=0.0)
    again = pretrain(
        helpers.small_model(**BOTH), training, store, out=folder, resume=True, network=network, progress=False
    )
    assert again.model_config == result.model_config
    other = network_of(folder.parent, store, 3)
    for given, said in ((other, "model.network was"), (None, "positional random_walk: needs a gene network")):
        with pytest.raises(ConfigError, match=said):
            pretrain(helpers.small_model(**BOTH), training, store, out=folder, resume=True, network=given)


def test_edges_are_not_compiled(tmp_path: Path) -> None:
    store = helpers.small_store(10)
    model, training = helpers.small_model(**SETTINGS), helpers.small_training(compile=True, cell_loss=0.0)
    network = network_of(tmp_path, store, 1)
    with pytest.raises(ConfigError, match="compile: the edges of a gene network differ from batch to batch"):
        pretrain(model, training, store, network=network)


def test_only_what_is_used_is_named(tmp_path: Path) -> None:
    store = helpers.small_store(10)
    network = network_of(tmp_path, store, 1)
    hinted = helpers.small_model(**BOTH, restricted=False)
    model = initial_model(hinted, helpers.small_training(), store, network=network)
    assert model.network is None
    assert model.positions is not None
    assert with_network(hinted, network).network == network.sha256
    unused = helpers.small_model(**SETTINGS, restricted=False)
    assert with_network(unused, network) == unused
    plain = initial_model(unused, helpers.small_training(), store, network=network)
    assert not [key for key in plain.state_dict() if key.startswith(("network", "positions"))]
    assert len(network.kept) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"network.indptr": None}, "network.indptr is missing"),
        ({"positions.encoding": torch.zeros(41, 4)}, r"positions.encoding is \[41, 4\], with positional_dim 3"),
        ({"positions.encoding": torch.zeros(40, 3)}, "positions: is of 39 genes"),
        ({"network.indices": torch.full((116,), 41, dtype=torch.int32)}, "a sender is none of the 40 genes"),
        ({"network.indices": torch.zeros(3, dtype=torch.int32)}, "indptr does not divide indices"),
    ],
)
def test_damaged_networks_are_refused(
    trained: tuple[Path, Any, CellStore, Network], tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    folder, *_ = trained
    for name in ("config.json", "vocabulary.tsv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    tensors, header = read_tensors(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in (tensors | changed).items() if tensor is not None}
    write_tensors(tmp_path / "model.safetensors", kept, header)
    with pytest.raises(ModelFileError, match=said):
        load_model(tmp_path)


def test_models_saved_before_there_were_networks_load(tmp_path: Path) -> None:
    from scgraph.models import save_model
    from scgraph.models.saved import _identity

    store, config = helpers.small_store(5), helpers.small_model(**SETTINGS)
    model = GeneModel(len(store.vocabulary), **config.model_kwargs())
    save_model(tmp_path, model, store.vocabulary, config, metadata={})
    written = json.loads((tmp_path / "config.json").read_text())
    for key in ("network", "restricted", "positional", "positional_dim"):
        del written["model"][key]
    (tmp_path / "config.json").write_text(json.dumps(written))
    tensors, header = read_tensors(tmp_path / "model.safetensors")
    header["model"] = _identity(written["model"], store.vocabulary)
    write_tensors(tmp_path / "model.safetensors", tensors, header)
    assert load_model(tmp_path).model_config == config
