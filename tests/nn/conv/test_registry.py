"""Convolutions by name, by import path, and what is said of wrong ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch_geometric.nn
from torch_geometric.inspector import Inspector

from scgraph.errors import ConfigError
from scgraph.nn import GeneConv
from scgraph.nn.conv import GNNConv, registry
from scgraph.nn.conv.registry import conv_class, conv_names, is_import_path, register_conv

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test register names that the next one does not see."""
    conv_names()
    monkeypatch.setattr(registry, "_convs", dict(registry._convs))


def test_names_of_the_zoo() -> None:
    assert set(conv_names()) >= {"gnn", "gnn-linear", "gcn", "gat", "tf", "hybrid", "mean", "none"}
    assert conv_class("gnn") is GNNConv
    assert GNNConv.key == "gnn"


def test_a_taken_name_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"'gnn' is taken by scgraph\.nn\.conv\.gnn\.GNNConv"):
        register_conv("gnn")(type("Other", (GNNConv,), {"__module__": "my_lab"}))
    assert conv_class("gnn") is GNNConv


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'mean'"):
        conv_class("meen")


RAISING = {
    "raises": ("x = 1\nraise ValueError('at\\nimport')\n", "raises.py, line 2: ValueError: at import"),
    "ends": ("\n\nimport sys; sys.exit()\n", "ends.py, line 3: SystemExit"),
    "calls": ("import json\njson.loads('{')\n", "calls.py, line 2: JSONDecodeError"),
    "uses": ("import raises\n", "raises.py, line 2: ValueError"),
    "is_no_python": ("\ndef broken(:\n", "is_no_python.py, line 2: SyntaxError"),
    "imports": ("from scgraph.nn import NoSuchThing\n", "imports.py, line 1: ImportError"),
    "recurses": ("def f(): f()\nf()\n", "recurses.py, line 1: RecursionError"),
}


@pytest.mark.parametrize("name", RAISING)
def test_a_module_of_ones_own_that_raises_is_one_message_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module, (text, _) in RAISING.items():
        (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as error:
        conv_class(f"{name}:MyConv")
    assert str(error.value).startswith(f"Model '{name}:MyConv': {name} cannot be imported: {tmp_path}")
    assert RAISING[name][1] in str(error.value)
    assert "\n" not in str(error.value)


def test_class_of_ones_own_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_lab.py").write_text(
        "from scgraph.nn.conv import NoneConv\nclass MyConv(NoneConv):\n    pass\nnumber = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert conv_class("my_lab:MyConv").__name__ == "MyConv"
    with pytest.raises(ConfigError, match="Did you mean 'MyConv'"):
        conv_class("my_lab:MyKonv")
    with pytest.raises(ConfigError, match="not a subclass"):
        conv_class("my_lab:number")
    with pytest.raises(ConfigError, match="no module 'unknown_lab'"):
        conv_class("unknown_lab:MyConv")
    sys.modules.pop("my_lab")


@pytest.mark.parametrize("path", ["torch_geometric.nn.SAGEConv", "torch_geometric.nn:SAGEConv"])
def test_a_pyg_layer_by_path(path: str) -> None:
    assert is_import_path(path)
    conv = conv_class(path)
    assert issubclass(conv, GeneConv)
    assert conv.__name__ == "SAGEConv"
    assert conv is conv_class("torch_geometric.nn.conv.sage_conv:SAGEConv")
    assert path not in conv_names()


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("torch_geometric.nn.SAGEKonv", "Did you mean 'SAGEConv'"),
        ("torch_geometric.nn.Linear", "is not a subclass of scgraph.nn.GeneConv, nor a layer of torch_geometric"),
        ("torch_geometric.nn.MessagePassing", "is not a subclass"),
        ("scgraph.nn:GeneConv", "is not a subclass"),
        ("torch_geometric.nn:", "package.module:Class"),
        (".gnn", "package.module:Class"),
        ("gnn.", "package.module:Class"),
        ("no.such.place", "no module 'no'"),
    ],
)
def test_a_wrong_path_is_one_clear_error(path: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        conv_class(path)
    assert part in str(caught.value)
    assert path in str(caught.value)


def test_a_module_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_a_lab.py").write_text("def broken(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"half_a_lab cannot be imported: .*half_a_lab\.py"):
        conv_class("half_a_lab:MyConv")


@pytest.mark.usefixtures("_names")
def test_a_pyg_layer_is_registered_under_a_name() -> None:
    assert register_conv("pyg-tag")(torch_geometric.nn.TAGConv) is torch_geometric.nn.TAGConv
    assert conv_class("pyg-tag") is conv_class("torch_geometric.nn.TAGConv")
    assert "pyg-tag" in conv_names()
    with pytest.raises(ConfigError, match=r"'pyg-tag' is taken by torch_geometric\.nn\.conv\.tag_conv\.TAGConv"):
        register_conv("pyg-tag")(torch_geometric.nn.SAGEConv)
    with pytest.raises(ConfigError, match="not a subclass"):
        register_conv("number")(int)  # type: ignore[type-var]


def install(folder: Path, name: str, points: str, code: str) -> None:
    """Build a package without the network and install it into a folder."""
    source = folder / f"source-{name}"
    source.mkdir()
    (source / f"{name}.py").write_text(code)
    (source / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n[project]\nname = "{name}"\n'
        f'version = "1"\n[project.entry-points."scgraph.convs"]\n{points}\n'
        f'[tool.hatch.build.targets.wheel]\nonly-include = ["{name}.py"]\n'
    )
    words = ["install", "--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--no-compile"]
    target = ["--target", str(folder / "site"), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *words, *target], check=True, capture_output=True)


def test_names_of_installed_packages(tmp_path: Path) -> None:
    code = "from scgraph.nn.conv import NoneConv\nclass LabConv(NoneConv):\n    summary = 'of the lab'\n"
    points = (
        'lab = "lab_one:LabConv"\nboth = "lab_one:LabConv"\n"lab.v2" = "lab_one:LabConv"\ngnn = "lab_one:LabConv"\n'
        'sage-pyg = "torch_geometric.nn:SAGEConv"\ngone = "lab_gone:LabConv"'
    )
    install(tmp_path, "lab_one", points, code)
    second = tmp_path / "site" / "lab_two-1.dist-info"
    second.mkdir()
    (second / "METADATA").write_text("Metadata-Version: 2.1\nName: lab_two\nVersion: 1\n")
    (second / "entry_points.txt").write_text("[scgraph.convs]\nboth = lab_two:LabConv\n")
    script = """
import sys
from scgraph.errors import ConfigError
from scgraph.nn.conv import GNNConv
from scgraph.nn.conv.registry import conv_class, conv_names
names = conv_names()
assert names[-5:] == ["both", "gone", "lab", "lab.v2", "sage-pyg"], names
assert names.count("gnn") == 1
assert "lab_one" not in sys.modules, "listing names imports nothing"
assert conv_class("gnn") is GNNConv
assert conv_class("lab").__module__ == "lab_one"
assert conv_class("lab").key == "lab"
assert conv_class("lab.v2") is conv_class("lab")
assert conv_class("sage-pyg") is conv_class("torch_geometric.nn.SAGEConv")
for name, part in {"both": "lab_one:LabConv", "gone": "installed package lab_one (lab_gone:LabConv)"}.items():
    try:
        conv_class(name)
    except ConfigError as error:
        assert part in str(error), error
    else:
        raise AssertionError(name)
from scgraph.cli import main
main(["models"])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path / "site")]), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "of the lab" in done.stdout
    assert "cannot be loaded" in done.stdout, "a broken package hides no other layer"


@pytest.mark.parametrize("name", ["gnn", "gat"])
def test_the_source_of_a_class_is_read_for_its_first_layer_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[type] = []
    source = Inspector.get_source

    def counted(self: Inspector, cls: type | None = None) -> str:
        read.append(self._cls)
        return source(self, cls)

    monkeypatch.setattr(Inspector, "get_source", counted)
    own = type("Own", (conv_class(name),), {"__doc__": "A class of which there is no layer yet."})
    layers = [own(8)]
    assert own in read
    read.clear()
    layers.append(own(8))
    assert not read
    assert layers[0].propagate.__func__ is layers[1].propagate.__func__
