"""A saved model: round trip, kills, and every way in which a folder can be no model."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from scgraph.config import ModelConfig
from scgraph.errors import ModelFileError, OutputError
from scgraph.models import load_model, save_model
from scgraph.models.tensors import read_tensors, write_tensors
from scgraph.nn import GeneModel
from tests.train import helpers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    store = helpers.small_store(4)
    torch.manual_seed(0)
    model = GeneModel(len(store.vocabulary), **helpers.small_model().model_kwargs())
    metadata = {"seed": 5, "data": {"source": "/some/where/cells.h5ad"}}
    save_model(folder, model, store.vocabulary, helpers.small_model(), metadata=metadata, progress={"epoch": 2})
    return folder


@pytest.fixture
def saved(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "model")


def change(saved: Path, **changes: Any) -> None:
    """Change keys of config.json, a dot standing between levels."""
    config = json.loads((saved / "config.json").read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = config
        for parent in parents:
            place = place[parent]
        place[last] = value
    (saved / "config.json").write_text(json.dumps(config))


def refused(saved: Path, *parts: str, **options: Any) -> None:
    with pytest.raises(ModelFileError) as caught:
        load_model(saved, **options)
    message = str(caught.value)
    assert all(part in message for part in (*parts, saved.name)), message
    assert "\n" not in message


def test_a_saved_model_comes_back_with_all_that_was_recorded(saved: Path) -> None:
    loaded = load_model(saved)
    weights = load_file(saved / "model.safetensors")
    assert loaded.model.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[key]) for key, value in loaded.model.state_dict().items())
    assert loaded.vocabulary == helpers.small_store(4).vocabulary
    assert loaded.model_config == helpers.small_model()
    assert loaded.metadata == {"seed": 5, "data": {"source": "/some/where/cells.h5ad"}}
    assert loaded.progress == {"epoch": 2}
    assert loaded.versions.keys() == {"scgraph", "torch", "torch_geometric", "python"}
    assert not loaded.model.training


def test_a_model_from_before_a_setting_existed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, store = helpers.small_model(), helpers.small_store(4)
    model = GeneModel(len(store.vocabulary), **config.model_kwargs())
    whole = ModelConfig.model_dump
    with monkeypatch.context() as earlier:
        earlier.setattr(
            ModelConfig,
            "model_dump",
            lambda self, **how: {k: v for k, v in whole(self, **how).items() if k != "recompute"},
        )
        save_model(tmp_path / "old", model, store.vocabulary, config, metadata={})
    assert "recompute" not in (tmp_path / "old" / "config.json").read_text()
    assert load_model(tmp_path / "old").model_config == config


def test_newer_weights_replace_older_ones_and_nothing_else(saved: Path) -> None:
    loaded = load_model(saved)
    before = (saved / "config.json").read_bytes()
    with torch.no_grad():
        next(loaded.model.parameters()).fill_(3.0)
    arguments = loaded.model, loaded.vocabulary, loaded.model_config
    save_model(saved, *arguments, metadata=loaded.metadata, progress={"epoch": 3})
    assert (saved / "config.json").read_bytes() == before
    assert load_model(saved).progress == {"epoch": 3}
    assert next(load_model(saved).model.parameters()).eq(3.0).all()


def test_another_model_is_not_saved_over_it(saved: Path) -> None:
    store, config = helpers.small_store(4), helpers.small_model(channels=8)
    model = GeneModel(len(store.vocabulary), **config.model_kwargs())
    with pytest.raises(OutputError, match=r"another model already \(model, metadata"):
        save_model(saved, model, store.vocabulary, config, metadata={})
    load_model(saved)


def test_a_kill_at_any_moment_of_a_save_leaves_a_model_that_loads(tmp_path: Path) -> None:
    process = helpers.start_child(tmp_path, 24)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert len(output.split()) == 24
    assert max(map(int, output.split())) > 0


@pytest.mark.parametrize("kept", [0, 1, 7, 100, -1, -1000])
def test_cut_weights(saved: Path, kept: int) -> None:
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    refused(saved, "model.safetensors", "is empty" if kept == 0 else "cut or damaged")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocabulary.tsv"])
def test_a_missing_file(saved: Path, name: str) -> None:
    (saved / name).unlink()
    refused(saved, name, "missing")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocabulary.tsv"])
def test_a_git_lfs_pointer(saved: Path, name: str) -> None:
    (saved / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n")
    refused(saved, name, "git-LFS pointer", "git lfs pull")


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("depth", [101, 900, 50_000])
def test_a_config_nested_too_deep(saved: Path, depth: int) -> None:
    text = (
        (saved / "config.json").read_text().replace('"conv_options": {}', f'"conv_options": {{"a": {nested(depth)}}}')
    )
    assert text.count("[[") > 9
    (saved / "config.json").write_text(text)
    refused(saved, "config.json", "nested more than 100 levels deep")


def test_a_header_nested_too_deep(saved: Path) -> None:
    path = saved / "model.safetensors"
    save_file(load_file(path), path, {"model": nested(50_000)})
    refused(saved, "model.safetensors", "nested more than 100 levels deep")


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_is_never_read(saved: Path, tmp_path: Path, protocol: int) -> None:
    for name in ("model.safetensors", "config.json", "vocabulary.tsv"):
        good = (saved / name).read_bytes()
        (saved / name).write_bytes(pickle.dumps(Bomb(tmp_path / "boom"), protocol=protocol))
        refused(saved, name)
        (saved / name).write_bytes(good)
    assert not (tmp_path / "boom").exists()


def test_a_torch_checkpoint_is_never_read(saved: Path, tmp_path: Path) -> None:
    torch.save({"weights": Bomb(tmp_path / "boom")}, saved / "model.safetensors")
    assert zipfile.is_zipfile(saved / "model.safetensors")
    refused(saved, "is a pickle")
    for name in ("epoch=9.ckpt", "pytorch_model.bin", "model.pt"):
        shutil.copy(saved / "model.safetensors", tmp_path / name)
        with pytest.raises(ModelFileError, match="is a pickle"):
            load_model(tmp_path / name)
        folder = tmp_path / f"folder-{name}"
        folder.mkdir()
        shutil.copy(tmp_path / name, folder)
        with pytest.raises(ModelFileError, match="is a pickle"):
            load_model(folder)
    assert not (tmp_path / "boom").exists()


def test_the_vocabulary_of_another_model(saved: Path) -> None:
    text = (saved / "vocabulary.tsv").read_text()
    (saved / "vocabulary.tsv").write_text(text.replace("\tG3\t", "\tACTB\t"))
    refused(saved, "vocabulary.tsv", "not the vocabulary this model was trained with")
    (saved / "vocabulary.tsv").write_text(text[:-5])
    refused(saved, "vocabulary.tsv", "damaged")


def test_weights_of_another_model(saved: Path, tmp_path: Path) -> None:
    store, config = helpers.small_store(4), helpers.small_model(dropout=0.2)
    model = GeneModel(len(store.vocabulary), **config.model_kwargs())
    save_model(tmp_path / "other", model, store.vocabulary, config, metadata={})
    shutil.copy(tmp_path / "other" / "model.safetensors", saved)
    refused(saved, "belongs to another config.json")


def test_tensors_that_do_not_fit_are_named(saved: Path) -> None:
    path = saved / "model.safetensors"
    tensors, header = read_tensors(path)
    first, second, third = "blocks.0.conv.linear.weight", "encoder.gene.weight", "norm.weight"
    tensors["extra.weight"] = tensors.pop(first)
    tensors[second] = tensors[second].flatten()[:3]
    write_tensors(path, tensors, header)
    refused(saved, f"{first} is missing", "extra.weight is unknown", f"{second} is [3] and should be")
    tensors, header = read_tensors(path)
    tensors[first] = tensors.pop("extra.weight")
    del tensors[second]
    tensors[third].flatten()[1] = float("nan")
    write_tensors(path, tensors, header)
    refused(saved, f"{second} is missing", f"{third} holds NaN or Inf")


def test_a_safetensors_file_of_another_program(saved: Path) -> None:
    save_file({"weight": torch.zeros(2)}, saved / "model.safetensors", metadata={"format": "pt"})
    refused(saved, "model.safetensors", "belongs to another")


@pytest.mark.parametrize("length", [640, 896, 1152, 1408])
def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path, length: int) -> None:
    path, weight = tmp_path / "model.safetensors", {"a": torch.ones(3)}
    write_tensors(path, weight, {"said": ""})
    write_tensors(path, weight, {"said": "x" * (length - int.from_bytes(path.read_bytes()[:8], "little"))})
    assert path.read_bytes()[0] == 0x80
    assert torch.equal(read_tensors(path)[0]["a"], weight["a"])


def test_a_file_that_is_replaced_while_it_is_read_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"

    def write(size: int) -> None:
        write_tensors(path, {"a": torch.full((size,), size)}, {"said": "x" * size})

    write(1)
    writer = os.fork()
    if writer == 0:
        for step in range(1500):
            write(1 + step * 7919 % 5000)
        os._exit(0)
    sizes = set()
    while os.waitpid(writer, os.WNOHANG)[0] == 0:
        tensors, header = read_tensors(path)
        sizes.add(len(tensors["a"]))
        assert torch.equal(tensors["a"], torch.full((len(header["said"]),), len(header["said"])))
    assert len(sizes) > 10


def test_a_newer_format_says_what_wrote_it(saved: Path) -> None:
    change(saved, format=99, versions__scgraph="7.0.0")
    refused(saved, "format 99", "scgraph 7.0.0", "Upgrade")


@pytest.mark.parametrize(
    ("changes", "part"),
    [({"channels": 10**7}, "should be [10000000"), ({"layers": 10**9}, "fewer tensors than")],
)
def test_a_config_of_absurd_size_takes_no_memory(
    saved: Path, tmp_path: Path, changes: dict[str, int], part: str
) -> None:
    loaded, config = load_model(saved), helpers.small_model(**changes)
    save_model(tmp_path / "huge", loaded.model, loaded.vocabulary, config, metadata={})
    refused(tmp_path / "huge", part)


@pytest.mark.parametrize(
    "conv", ["evil_module:Evil", "evil_module.Evil", "torch_geometric.nn.SAGEConv", "os:system", "nope", 3, None]
)
def test_a_class_named_in_a_config_is_not_imported(saved: Path, monkeypatch: pytest.MonkeyPatch, conv: str) -> None:
    (saved.parent / "evil_module.py").write_text(f"open({str(saved.parent / 'boom')!r}, 'w')")
    monkeypatch.syspath_prepend(saved.parent)
    change(saved, model__conv=conv)
    refused(saved, "config.json", repr(conv), "never imports")
    assert not (saved.parent / "boom").exists()


def test_a_class_that_the_caller_allows_is_used(tmp_path: Path) -> None:
    name = "scgraph.nn.conv.mean:MeanConv"
    store, config = helpers.small_store(4), helpers.small_model(conv=name)
    model = GeneModel(len(store.vocabulary), **config.model_kwargs())
    save_model(tmp_path / "own", model, store.vocabulary, config, metadata={})
    refused(tmp_path / "own", "never imports", name)
    assert load_model(tmp_path / "own", allow_conv=[name]).model_config.conv == name


@pytest.mark.parametrize("name", ["torch_geometric.nn.SAGEConv", "torch_geometric.nn:PNAConv"])
def test_a_pyg_layer_loads_only_by_leave(tmp_path: Path, name: str) -> None:
    store, config = helpers.small_store(4), helpers.small_model(conv=name, conv_options={"top_k": 3})
    torch.manual_seed(0)
    model = GeneModel(len(store.vocabulary), **config.model_kwargs()).eval()
    save_model(tmp_path / "own", model, store.vocabulary, config, metadata={})
    refused(tmp_path / "own", "never imports", f"allow_conv=[{name!r}]")
    refused(tmp_path / "own", "never imports", allow_conv=["torch_geometric.nn.TAGConv", "gnn"])
    loaded = load_model(tmp_path / "own", allow_conv=[name]).model
    genes, values = torch.tensor([[1, 2, 3, 0]]), torch.rand(1, 4)
    assert torch.equal(loaded(genes, values).values, model(genes, values).values)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model__conv_options", {"weights": "../../etc/passwd"}),
        ("model__conv_options", {"a": [{"/etc/passwd": 1}]}),
        ("model__activation", "..\\x"),
        ("model__value_encoding", "~root"),
    ],
)
def test_a_path_in_a_config_is_refused(saved: Path, key: str, value: Any) -> None:
    change(saved, **{key: value})
    refused(saved, "config.json", "paths")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"weights_file": "../other.safetensors"}, "weights_file"),
        ({"model__unknown": 1}, "unknown"),
        ({"model__channels": -1}, "channels"),
        ({"model": [1]}, "wrong type"),
        ({"format": "1"}, "no format number"),
        ({"vocabulary__sha256": 3}, "not the vocabulary"),
    ],
)
def test_a_config_with_wrong_keys(saved: Path, changes: dict[str, Any], part: str) -> None:
    change(saved, **changes)
    refused(saved, part)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\xff"], ids=range(6))
def test_a_config_that_is_no_json_object(saved: Path, text: str) -> None:
    (saved / "config.json").write_bytes(text.encode("latin-1"))
    refused(saved, "config.json")


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    refused(tmp_path / "none", "no such folder")
    (tmp_path / "notes.txt").write_text("hello")
    refused(tmp_path / "notes.txt", "is a file")
