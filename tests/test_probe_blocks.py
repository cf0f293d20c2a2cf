"""`probe` reads cells in blocks, from the disk where they are many, and finds what it finds in memory."""

from __future__ import annotations

import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import sparse

from scgraph.api import probe
from scgraph.data import read_cells
from scgraph.data.files.stream import CellStream
from scgraph.data.store.column import DiskColumn
from scgraph.data.store.spool import SpooledCells, lay_aside
from scgraph.errors import DataError, OutputError
from scgraph.memory import status_bytes
from tests.forking import Forked
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anndata import AnnData

    from scgraph.data import Cells


def some_cells() -> AnnData:
    """Cells of four donors, three of them without a count."""
    adata = make_cells(180)
    adata.X[[0, 77, 179]] = 0
    adata.X = sparse.csr_matrix(adata.X)
    return adata


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in a file that is laid on the disk, in blocks of a few cells."""
    for name in ("files.stream._ENTRIES", "store.entries.IN_MEMORY"):
        monkeypatch.setattr(f"scgraph.data.{name}", 100)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    some_cells().write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.mark.parametrize("labels", [{"label": "cell_type", "batch_key": "donor"}, {}])
def test_cells_that_are_laid_aside_are_those_of_the_file(source: Path, labels: dict[str, Any]) -> None:
    whole, aside = read_cells(source, **labels), lay_aside(CellStream(source, **labels))
    assert isinstance(aside.matrix.values, DiskColumn)
    assert list((source.parent / "scratch").iterdir()) == []  # the files have no name any more
    rows = np.random.default_rng(0).permutation(len(whole))[:50]
    for cells, there in ((whole, aside), (whole.subset(rows), aside.subset(rows))):
        blocks = list(there.blocks())
        assert len(blocks) > 5
        matrix = sparse.vstack([block.matrix for block in blocks]).tocsr()
        assert np.array_equal(matrix.indices, cells.matrix.indices)
        assert np.array_equal(matrix.data, cells.matrix.data)
        assert np.array_equal(np.concatenate([block.rows for block in blocks]), cells.rows)
        assert np.array_equal(np.concatenate([block.obs_names for block in blocks]), cells.obs_names)
        assert np.array_equal(there.expressed(), cells.expressed())
        assert np.array_equal(there.sums(), cells.sums())
        assert there.manifest == cells.manifest
        for name in ("labels", "batches"):
            one, other = getattr(cells, name), getattr(there, name)
            assert (one is None and other is None) or one.equals(other)
    assert aside.notes == whole.notes


@pytest.mark.parametrize(
    ("keys", "few", "most"),
    [
        ({}, {}, 20_000),
        ({}, {"n_top_genes": 20}, 30),
        ({"batch_key": "donor", "values": "counts"}, {}, 30),
    ],
)
def test_scores_are_those_of_cells_in_memory(
    source: Path,
    quick_models: Path,
    keys: dict[str, Any],
    few: dict[str, Any],
    most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scgraph.data.components.MOST_CELLS", most)
    config = QUICK | {"seeds": 2, "drop_classes_below": 4} | few
    said: tuple[list[str], list[str]] = ([], [])
    adata = some_cells()
    adata.obs.iloc[:3, 0] = "rare"
    adata.write_h5ad(source)
    model = quick_models / "gnn-linear"
    rows = probe(source, model, config=config, say=said[0].append, **keys)
    assert rows == probe(adata, model, config=config, say=said[1].append, **keys)
    assert said[0] == said[1]
    assert any("classes with fewer than 4 cells are left out" in text for text in said[0])


def test_what_cannot_be_probed_is_refused(source: Path, quick_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = quick_models / "gnn-linear"
    with pytest.raises(DataError, match=r"obs has no column 'cell_typ'\. Did you mean 'cell_type'"):
        probe(source, model, config=QUICK, label="cell_typ")
    adata = some_cells()
    adata.obs["own"] = [f"c{at}" for at in range(180)]
    adata.write_h5ad(source)
    with monkeypatch.context() as patched:
        patched.setattr("scgraph.data.sets.labelled.lay_aside", lambda _: pytest.fail("laid aside for nothing"))
        with pytest.raises(DataError, match="177 of 177 classes in column 'own' have fewer than 3 cells"):
            probe(source, model, config=QUICK, label="own")
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(OutputError, match=f"{source.parent / 'scratch'}: the cells of {source} .* TMPDIR"):
        probe(source, model, config=QUICK)


def test_a_kill_leaves_nothing_on_the_disk(
    source: Path, quick_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = CellStream.blocks

    def slow(stream: CellStream) -> Iterator[Cells]:
        for at, block in enumerate(whole(stream)):
            if at == 5:
                (tmp_path / "in-mid-write").touch()
                time.sleep(60)
            yield block

    monkeypatch.setattr(CellStream, "blocks", slow)
    child = Forked(lambda: probe(source, quick_models / "gnn-linear", config=QUICK), tmp_path / "said")
    until = time.monotonic() + 60
    while not (tmp_path / "in-mid-write").exists():
        assert child.poll() is None, child.said()
        assert time.monotonic() < until
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert list((tmp_path / "scratch").iterdir()) == []


def test_memory_does_not_grow_with_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (
        ("files.stream._ENTRIES", 2**16),
        ("store.entries.IN_MEMORY", 2**20),
    ):
        monkeypatch.setattr(f"scgraph.data.{name}", size)
    entries = 400 * 20_000
    counts = np.random.default_rng(0).integers(1, 9, entries).astype(np.float32)
    genes, starts = np.tile(np.arange(400, dtype=np.int32), 20_000), np.arange(0, entries + 1, 400)
    adata = make_cells(20_000, 400)
    adata.X = sparse.csr_matrix((counts, genes, starts), shape=(20_000, 400))
    source = tmp_path / "cells.h5ad"
    adata.write_h5ad(source)
    del counts, genes, adata

    def measure(in_memory: bool) -> None:
        before = status_bytes("VmRSS") or 0
        cells = SpooledCells.of(read_cells(source)) if in_memory else lay_aside(CellStream(source))
        total = sum(float(block.normalized().data.sum()) for block in cells.blocks())
        assert total > 0
        grown = (status_bytes("VmRSS") or 0) - before
        (tmp_path / f"grown-{in_memory}").write_text(str(grown))

    grown = []
    for in_memory in (True, False):
        assert Forked(partial(measure, in_memory), tmp_path / f"said-{in_memory}").wait() == 0
        grown.append(int((tmp_path / f"grown-{in_memory}").read_text()))
    assert grown[0] > 8 * entries * 0.9  # the values themselves
    assert grown[1] < 8 * entries
