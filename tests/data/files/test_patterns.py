"""Corpora named by a pattern, of .h5ad and .zarr alike, for prepare and pretrain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scgraph.cli import main
from scgraph.data import CellStore, check_store, prepare
from scgraph.data.files.patterns import expand_patterns
from scgraph.data.sets.corpus import read_corpus
from scgraph.errors import DataError
from tests.forms import write_zarr

if TYPE_CHECKING:
    from collections.abc import Callable

    import anndata

    Make = Callable[..., anndata.AnnData]


@pytest.fixture
def atlas(tmp_path: Path, make_adata: Make) -> Path:
    """Two .h5ad files and two .zarr, and a file of something else."""
    folder = tmp_path / "atlas"
    folder.mkdir()
    for seed, name in enumerate(("b", "a")):
        make_adata(seed=seed).write_h5ad(folder / f"{name}.h5ad")
        write_zarr(folder / f"{name}.zarr", make_adata(seed=10 + seed))
    (folder / "notes.txt").write_text("nothing")
    return folder


def test_a_pattern_is_its_files_by_name(atlas: Path) -> None:
    files = [str(atlas / name) for name in ("a.h5ad", "b.h5ad")]
    assert expand_patterns([f"{atlas}/*.h5ad"]) == files
    assert expand_patterns([f"{atlas.parent}/**/[ab].h5ad"]) == files
    assert expand_patterns([f"{atlas}/*.h5ad", f"{atlas}/a.*", Path("x*.h5ad")]) == [
        *files, str(atlas / "a.zarr"), Path("x*.h5ad")
    ]  # fmt: skip
    assert expand_patterns([files[1], f"{atlas}/*.h5ad"]) == files[::-1]
    (atlas / "[1].h5ad").write_bytes((atlas / "a.h5ad").read_bytes())
    assert expand_patterns([f"{atlas}/[1].h5ad"]) == [f"{atlas}/[1].h5ad"]


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_prepare_and_pretrain_read_what_a_pattern_names(atlas: Path, ending: str) -> None:
    files = [atlas / f"{name}.{ending}" for name in ("a", "b")]
    prepare([f"{atlas}/*.{ending}"], out=atlas / "one")
    prepare(files, out=atlas / "two")
    shards = [check_store(atlas / name)["shards"] for name in ("one", "two")]
    assert shards[0] == shards[1]
    corpus = read_corpus([f"{atlas}/*.{ending}"])
    assert corpus.names == ("a", "b")
    assert len(corpus.whole()) == len(CellStore.open(atlas / "one")) == 80


def test_a_pattern_that_nothing_matches_is_one_message(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match=r"\*\.h5: no file matches"):
        read_corpus([f"{atlas}/*.h5"])
    with pytest.raises(SystemExit) as stop:
        main(["prepare", f"{atlas}/*.h5", "--out", str(atlas / "store")])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("no file matches") == 1
    assert not (atlas / "store").exists()
