"""Fixtures shared by all tests."""

from __future__ import annotations

import functools
import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Small tensors on a busy machine: threads that wait for each other cost a hundred times what they give. Child
# processes of the tests read this too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
import typer

from tests.helpers import QUICK, made_once, make_cells
from tests.short_looks import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Start every test with one thread, whatever the one before it left."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _short_looks_at_the_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_command_line() -> Iterator[None]:
    """Build the command line and look through the installed packages once: a process does so for one command alone."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((typer.main, "get_command"), (importlib.metadata, "entry_points")):
            patch.setattr(module, name, functools.cache(getattr(module, name)))
        yield


@pytest.fixture(scope="session")
def quick_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the models gnn and gnn-linear, pretrained once for all test processes; no test writes into it."""

    def pretrain(folder: Path) -> None:
        import scgraph

        for name in ("gnn", "gnn-linear"):
            scgraph.pretrain([make_cells()], model=name, config=QUICK, out=folder / name)

    return made_once(tmp_path_factory, "quick-models", pretrain)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real labelled cells; skips where the checkout stands alone."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the labelled cells of ../shared/data are not on this machine")
    return folder
