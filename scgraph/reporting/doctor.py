"""What an issue needs to know of a machine: versions, devices, and the extras with the error of their import."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import warnings
from typing import Any

from scgraph.reporting.environment import environment

__all__ = ["diagnose"]

DISTRIBUTION = "scgraph-zoo"
FOR_DEVELOPERS = ("dev", "docs")


def diagnose() -> list[dict[str, str]]:
    """Return rows of what was looked at and what it is; whatever fails is a row and no error."""
    rows: list[tuple[str, str]] = []
    try:
        known = environment([])
    except Exception as error:  # noqa: BLE001  a broken torch is what this command is asked about
        rows.append(("torch", f"cannot be imported: {_one_line(error)}"))
    else:
        versions: Any = known.pop("versions")
        rows += [(name, str(version or "not installed")) for name, version in versions.items()]
        rows += [(name, str(known[name])) for name in ("platform", "cpu", "cores", "threads", "memory_gb")]
        rows += _devices()
    rows += [(f"[{extra}] {name}", _import_state(name)) for extra, name in _extras()]
    return [{"what": what, "state": state} for what, state in rows]


def _devices() -> list[tuple[str, str]]:
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda
        return [("cuda", f"no device; torch is built for CUDA {built}" if built else "torch is built without CUDA")]
    rows = []
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        rows.append((f"cuda:{number}", f"{device.name}, {device.total_memory / 1e9:.0f} GB, CUDA {torch.version.cuda}"))
    return rows


def _extras() -> list[tuple[str, str]]:
    """Extra and distribution, as the metadata of the installed scgraph name them."""
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    pairs = []
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", requirement)
        if name and extra and extra[1] not in FOR_DEVELOPERS:
            pairs.append((extra[1], name[0]))
    return sorted(pairs)


def _import_state(distribution: str) -> str:
    """Say the version of a package that can be imported, or why it cannot."""
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    provided = importlib.metadata.packages_distributions()
    modules = [module for module, owners in provided.items() if distribution in owners and not module.startswith("_")]
    module = min(modules, key=len, default=distribution.replace("-", "_"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(module)
    except Exception as error:  # noqa: BLE001  whatever a broken build raises
        if not version and isinstance(error, ModuleNotFoundError) and error.name == module:
            return "not installed"
        return f"{version or 'installed'}, but cannot be imported: {_one_line(error)}"
    return version or "importable"


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
