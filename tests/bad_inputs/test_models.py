"""Models that are damaged, foreign or hostile: cases 41 to 48 of the bad inputs, through every command that loads one.

What is said of each stands in tests/models/test_saved.py.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.bad_inputs.helpers import Run, put

Damage = Callable[[Path], Any]


def configured(change: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(saved: Path) -> None:
        path = saved / "config.json"
        config = json.loads(path.read_text())
        change(config)
        path.write_text(json.dumps(config))

    return damage


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    def damage(saved: Path) -> None:
        path = saved / "model.safetensors"
        data = path.read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        found = load_file(path)
        change(found)
        save_file(found, path, header)

    return damage


def cut(share: float) -> Damage:
    def damage(saved: Path) -> None:
        whole = (saved / "model.safetensors").read_bytes()
        (saved / "model.safetensors").write_bytes(whole[: int(share * len(whole))])

    return damage


def rewritten(name: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda saved: (saved / name).write_bytes(change((saved / name).read_bytes()))


class Evil:
    """Makes a file where it is unpickled."""

    def __reduce__(self) -> Any:
        return (open, ("RUN", "w"))


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
FIRST = "encoder.gene.weight"
WEIGHTS = "model.safetensors"
CASES: dict[str, tuple[Damage, tuple[str, ...]]] = {
    "41 half": (cut(0.5), (WEIGHTS,)),
    "41 nothing": (cut(0), (WEIGHTS, "empty")),
    "42 a pickle": (rewritten(WEIGHTS, lambda _: pickle.dumps(Evil())), (WEIGHTS,)),
    **{f"43 {name}": (rewritten(name, lambda _: POINTER), (name, "git lfs pull")) for name in (WEIGHTS, "config.json")},
    "44 another vocabulary": (rewritten("vocabulary.tsv", lambda t: t.replace(b"GENE7", b"GENE77")), ("vocabulary",)),
    "44 a shorter one": (rewritten("vocabulary.tsv", lambda t: t[: t.rindex(b"\n", 0, -1) + 1]), ("vocabulary",)),
    "45 missing": (tensors(lambda found: found.pop(FIRST)), (WEIGHTS, "missing")),
    "45 unknown": (tensors(lambda found: found.update(extra=torch.zeros(3))), (WEIGHTS, "unknown")),
    "45 another shape": (tensors(lambda found: found.update({FIRST: torch.zeros(3, 3)})), (WEIGHTS, "should be")),
    "46 newer": (configured(lambda c: c.update(format=99, versions={"scgraph": "9.9.0"})), ("config.json", "9.9.0")),
    "46 a newer option": (configured(lambda c: c["model"].update(of_tomorrow=1)), ("config.json", "of_tomorrow")),
    "47 a class": (configured(lambda c: c["model"].update(conv="evil:Conv")), ("config.json", "evil:Conv")),
    "47 a decoder": (
        configured(lambda c: c["model"].update(asymmetric=True, decoder="evil:Conv")),
        ("config.json", "evil:Conv"),
    ),
    "47 no name": (configured(lambda c: c["model"].update(conv={"a": 1})), ("config.json",)),
    "48 a path": (
        configured(lambda c: c["model"].update(network="../../../etc/passwd")),
        ("config.json", "never built from paths"),
    ),
    "48 a path in an option": (
        configured(lambda c: c["model"].update(conv_options={"f": "../x"})),
        ("config.json", "never built from paths"),
    ),
    "48 a path as checksum": (configured(lambda c: c["vocabulary"].update(sha256="../../x")), ("vocabulary",)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_command_refuses_the_model(case: str, tmp_path: Path, model: Path, refused: Run) -> None:
    damage, names = CASES[case]
    data, saved = put(tmp_path), tmp_path / "model"
    shutil.copytree(model, saved)
    (tmp_path / "evil.py").write_text("open('RUN', 'w').close()\nclass Conv: pass\n")
    damage(saved)
    refused(["embed", saved, data, "--out", "e.h5ad"], *names)
    refused(["denoise", saved, data, "--out", "d.h5ad"], *names)
    refused(["probe", saved, data], *names)
    refused(["graph", saved, "--out", "g.graphml"], *names)
    assert not (tmp_path / "RUN").exists()


def test_42_a_file_and_a_folder_of_another_program(tmp_path: Path, refused: Run) -> None:
    data = put(tmp_path)
    (tmp_path / "foreign").mkdir()
    for name in ("weights.pt", "foreign/pytorch_model.bin"):
        torch.save({"a": Evil()}, tmp_path / name)
    refused(["embed", "weights.pt", data, "--out", "e.h5ad"], "weights.pt", "pickle")
    refused(["embed", "foreign", data, "--out", "e.h5ad"], "pytorch_model.bin", "pickle")
    assert not (tmp_path / "RUN").exists()
