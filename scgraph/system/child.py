"""Starts a module of scgraph in a process of its own that imports what this process imports, and nothing else.

``python -m`` puts the current folder in front of all packages, and what stands in PYTHONPATH is there before the first
import: a ``colorlog.py`` or ``sitecustomize.py`` that happens to lie in the current folder would be run. So a child
starts with Python's own paths, runs this file by its name, takes over the paths of its parent, where the current folder
stands last, and then runs the module. Until then it imports Python's own modules only.
"""

from __future__ import annotations

import json
import os
import runpy
import sys

__all__ = ["child_command", "child_environment"]

_PATHS = "SCGRAPH_PATHS"


def child_command(module: str, *words: str) -> list[str]:
    """Return the command line that runs a module with arguments; it needs `child_environment`.

    What it says is seen by every user of the machine.
    """
    return [sys.executable, "-P", os.path.abspath(__file__), module, *words]  # noqa: PTH100 - text in, text out


def child_environment() -> dict[str, str]:
    """Return the environment of this process, and in it the paths that a child takes over."""
    return os.environ | {_PATHS: json.dumps([os.path.abspath(path) for path in sys.path])}  # noqa: PTH100


if __name__ == "__main__":
    sys.path[:] = json.loads(os.environ.pop(_PATHS))
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
