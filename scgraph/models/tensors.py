"""Tensors and plain values to and from safetensors files; nothing here can run code from a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from scgraph.errors import ModelFileError
from scgraph.files import write_atomic
from scgraph.parsing import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["pack", "read_tensors", "unpack", "write_tensors"]

_LFS = b"version https://git-lfs"
_PICKLE_STARTS = {bytes([0x80, protocol]) for protocol in range(2, 6)}
_PICKLE_SUFFIXES = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle"}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write named tensors and a header of JSON values as one safetensors file, atomically.

    Raises:
        OutputError: the file cannot be written; an older one is untouched.
    """
    # safetensors refuses tensors that share storage, as tied weights do; a copy of each is always right.
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    write_atomic(path, save(copies, {key: json.dumps(value) for key, value in header.items()}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a safetensors file: its tensors by name and the JSON values of its header.

    Raises:
        ModelFileError: missing, cut, a pickle, a git-LFS pointer, or no safetensors file at all.
    """
    refuse_foreign(path)
    try:
        # In one read: safetensors' own reader opens a file twice, and a run may replace it in between.
        data = path.read_bytes()
        tensors = load(data)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror}).") from error
    except SafetensorError as error:
        raise ModelFileError(f"{path}: is cut or damaged ({len(data):,} bytes; {error}). Copy it again.") from error
    raw = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    try:
        return tensors, {key: parse_json(text) for key, text in raw.items()}
    except json.JSONDecodeError:
        # Other programs put plain text there ({"format": "pt"}); it is a foreign file, not a damaged one.
        return tensors, dict(raw)
    except ValueError as error:
        raise ModelFileError(f"{path}: its header is {error}: scgraph did not write it. Copy it again.") from error


def refuse_foreign(path: Path) -> None:
    """Raise ModelFileError where `path` is missing, a folder, a pickle or a git-LFS pointer."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror}).") from error
    if not start:
        raise ModelFileError(f"{path}: is empty. Copy it again or save it anew.")
    if start.startswith(_LFS):
        raise ModelFileError(
            f"{path}: is a git-LFS pointer, not the file itself. Run `git lfs pull` in its repository."
        )
    # A zip archive is how torch.save packs its pickle; a bare pickle starts with its protocol number. So may a
    # safetensors file, with the length of its header (640 bytes are 80 02); its ninth byte opens that header.
    pickled = start.startswith(b"PK\x03\x04") or (start[:2] in _PICKLE_STARTS and start[8:9] != b"{")
    if pickled or path.suffix in _PICKLE_SUFFIXES:
        raise ModelFileError(
            f"{path}: is a pickle (torch.save, .ckpt), which can run any code when it is read, so scgraph "
            "never reads one. Give a folder that scgraph saved, with model.safetensors in it."
        )


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Turn nested dicts, lists and tuples into JSON values, moving every tensor into `tensors`.

    Raises:
        TypeError: a value that is no plain number, text, container or tensor.

    >>> pack({"a": (1, 2), 3: None}, {})
    {'items': [['a', {'tuple': [1, 2]}], [3, None]]}
    """
    import torch

    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        name = f"{len(tensors):06d}"
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {"items": [[key, pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [pack(item, tensors) for item in value]}
    if isinstance(value, list):
        return [pack(item, tensors) for item in value]
    raise TypeError(f"a training state cannot hold a {type(value).__name__}")


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `pack`."""
    if isinstance(value, list):
        return [unpack(item, tensors) for item in value]
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        if "tuple" in value:
            return tuple(unpack(item, tensors) for item in value["tuple"])
        return {key: unpack(item, tensors) for key, item in value["items"]}
    return value
