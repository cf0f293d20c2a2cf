"""A small model whose adjacency holds a planted family, and cells of its genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.genes.helpers import planted, small_config

if TYPE_CHECKING:
    from scgraph.models import SavedModel

    pass


@pytest.fixture(scope="module")
def gnn(tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    return planted(tmp_path_factory.mktemp("models") / "gnn", small_config())


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    return planted(tmp_path_factory.mktemp("models") / "layered", small_config(shared_adjacency=False))
