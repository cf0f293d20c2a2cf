"""A reference, a query and a model that the tests of annotate share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import scgraph
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from pathlib import Path

    import anndata as ad


def reference_cells() -> ad.AnnData:
    """Three classes from four donors."""
    return make_cells(180, seed=1)


def query_cells() -> ad.AnnData:
    """Cells of the same classes, in another order of genes, and one without any count."""
    adata = make_cells(91, seed=2)[:, ::-1].copy()
    adata.X[90] = 0
    return adata


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """reference.h5ad, query.h5ad, a pretrained model, and what the command made of the first two."""
    from scgraph.cli import main

    place = tmp_path_factory.mktemp("annotate")
    reference_cells().write_h5ad(place / "reference.h5ad")
    query_cells().write_h5ad(place / "query.h5ad")
    scgraph.pretrain([reference_cells()], model="gnn", config=QUICK, out=place / "model")
    words = ["annotate", place / "query.h5ad", "--reference", place / "reference.h5ad", "--batch-key", "donor"]
    words += ["--save", place / "classifier", "--out", place / "labelled.h5ad", "--top", 2, "--json", place / "it.json"]
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    assert stop.value.code == 0
    return place
