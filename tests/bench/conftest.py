"""Small labelled cells and quick settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers import make_cells

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cells_file(tmp_path: Path) -> Path:
    path = tmp_path / "cells.h5ad"
    make_cells().write_h5ad(path)
    return path
