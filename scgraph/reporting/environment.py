"""Where a result was measured: versions, machine, revision, command line."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scgraph.reporting.redact import command_line

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["environment"]

# The name people know a package by, and the name of its distribution.
PACKAGES = {
    "scgraph": "scgraph-zoo",
    "torch": "torch",
    "torch-geometric": "torch-geometric",
    "lightning": "lightning",
    "anndata": "anndata",
    "scanpy": "scanpy",
    "scikit-learn": "scikit-learn",
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
    "numba": "numba",
}


def environment(command: Sequence[str] | None = None) -> dict[str, object]:
    """What `environment.json` of a result folder holds.

    Args:
        command: words of the command line; by default those of this process.

    Returns:
        Plain data: `versions`, `cpu`, `cores`, `threads` (of PyTorch), `memory_gb`, `gpu`, `platform`, `git` (None
        outside a checkout), `command` (without passwords), `date` (UTC). A package that is not installed is None.
    """
    words = list(command) if command is not None else ["scgraph", *sys.argv[1:]]
    versions: dict[str, str | None] = {"python": platform.python_version()}
    versions |= {name: _version(distribution) for name, distribution in PACKAGES.items()}
    return {
        "versions": versions,
        "cpu": _cpu(),
        "cores": _cores(),
        "threads": _threads(),
        "memory_gb": _memory_gb(),
        "gpu": _gpu(),
        "platform": platform.platform(),
        "git": _git(),
        "command": command_line(words),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(distribution: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _git() -> dict[str, object] | None:
    """Revision of the checkout this package is tracked in; None for an installed package."""
    git = shutil.which("git")
    package = Path(__file__).resolve().parents[1]
    # An environment inside somebody else's repository is not a checkout of ours: ask for the tracked file.
    if git is None or _ask(git, package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _ask(git, package, "rev-parse", "HEAD")
    changes = _ask(git, package, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None else {"commit": commit, "dirty": bool(changes)}


def _ask(git: str, folder: Path, *words: str) -> str | None:
    try:
        answer = subprocess.run(
            [git, "-C", str(folder), *words], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
