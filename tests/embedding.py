"""What the tests of `embed` in blocks and in parts share: cells read a few at a time, and a run that is killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from scipy import sparse

from scgraph.api import embed_file
from scgraph.train import partial
from tests.forking import Forked
from tests.helpers import make_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad
    import pytest

__all__ = ["cells_in_blocks", "embed_killed_after"]


def cells_in_blocks(monkeypatch: pytest.MonkeyPatch, empty: Sequence[int]) -> ad.AnnData:
    """Return cells of which some have no count; files are read a few cells at a time, each marked when written."""
    adata = make_cells()
    adata.X[list(empty)] = 0
    adata.X = sparse.csr_matrix(adata.X)
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 100)
    monkeypatch.setattr(partial, "_EVERY", 0.0)
    return adata


def embed_killed_after(cells: int, *arguments: Any, **options: Any) -> Forked:
    """Embed in a process of its own that gets SIGKILL as soon as so many cells are embedded."""

    def run() -> None:
        mark = partial.PartialVectors.mark

        def mark_and_die(self: partial.PartialVectors) -> None:
            mark(self)
            if self.done >= cells:
                os.kill(os.getpid(), signal.SIGKILL)

        partial.PartialVectors.mark = mark_and_die  # type: ignore[method-assign]
        embed_file(*arguments, **options)

    return Forked(run)
