"""A disk that fills up in mid-run: one line, exit 2, and the last whole state is there to go on from.

The processes are real; what fills up is the most that a file may hold (RLIMIT_FSIZE), which fails as a disk does.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import scgraph
from scgraph.api import embed_file
from scgraph.cli import main
from scgraph.config_files import merged
from scgraph.data import check_store, prepare
from scgraph.models import load_model, tensors
from scgraph.train import partial
from tests.forking import Forked
from tests.forms import write_market, write_tenx, write_zarr
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cells in a file that is read a few at a time."""
    monkeypatch.setattr("scgraph.data.files.stream._ENTRIES", 100)
    monkeypatch.setattr(partial, "_EVERY", 0.0)
    adata = make_cells()
    adata.X = sparse.csr_matrix(adata.X)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.fixture(scope="module")
def counts_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that `embed` and `denoise` take."""
    folder = tmp_path_factory.mktemp("models") / "gnn-linear"
    settings = merged(QUICK, {"model": {"cell_head": True}, "train": {"count_loss": 1.0, "mvp_loss": 0.0}})
    scgraph.pretrain([make_cells()], model="gnn-linear", config=settings, out=folder)
    return folder


def full(most: int) -> None:
    """Let no file of this process grow beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def failing(folder: Path, words: list[Any], before: Callable[[], None]) -> str:
    """Run a command in a process of its own to its end with exit code 2; return the one line of its error.

    What it says goes through a pipe of the system, which no limit of a file holds.
    """
    read, write = os.pipe()

    def run() -> None:
        os.dup2(write, 2)
        before()
        main([str(word) for word in words])

    child = Forked(run, folder / "said")
    os.close(write)
    with os.fdopen(read) as said:
        text = said.read()
    assert child.wait() == 2, text
    (line,) = [line for line in text.splitlines() if line.startswith("scgraph: ")]
    assert "Traceback" not in text
    return line


def test_embed_keeps_what_is_embedded_and_goes_on(source: Path, quick_models: Path, tmp_path: Path) -> None:
    model, out, whole = quick_models / "gnn-linear", tmp_path / "out.h5ad", tmp_path / "whole.h5ad"
    embed_file(source, model, vectors=whole)  # first, so that what is compiled is in the cache of numba
    words = ["embed", model, source, "--vectors", out]
    left = tmp_path / "out.h5ad.partial"
    line = failing(tmp_path, words, lambda: full(3000))  # of 5,760 bytes of vectors
    assert f"{left}: cannot be written" in line
    assert "--resume" in line
    assert 30 < json.loads((left / "progress.json").read_text())["cells"] < 50
    assert not out.exists()
    # All vectors are there, but not the file: of its own 10 KB and more.
    line = failing(tmp_path, [*words, "--resume"], lambda: full(6500))
    assert f"{out}: " in line
    assert "--resume" in line
    assert not out.exists()
    assert json.loads((left / "progress.json").read_text())["cells"] == 90
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in [*words, "--resume"]])
    assert not stop.value.code
    assert out.stat().st_size < 2**16  # what is set aside is given back
    assert out.read_bytes() == whole.read_bytes()
    vectors = ad.read_h5ad(out).obsm["X_scgraph"]
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) > 80


def test_pretrain_keeps_the_last_state_and_goes_on(source: Path, tmp_path: Path) -> None:
    settings = ["channels=8", "layers=1", "rank=4"]
    words = ["pretrain", source, "--model", "gnn-linear", "--epochs", "4", "--genes", "16"]
    words += [word for one in settings for word in ("--set", f"model.{one}")]
    words += ["--set", "n_top_genes=null", "--set", "train.batch_size=32"]
    out, whole = tmp_path / "out", tmp_path / "whole"

    def full_in_mid_run() -> None:
        write, states = tensors.write_tensors, []

        def counted(path: Path, *arguments: Any) -> None:
            if path.name == "run.safetensors":
                states.append(path)
                if len(states) == 3:
                    full(1000)
            write(path, *arguments)

        from scgraph.train import checkpoint_io

        checkpoint_io.write_tensors = counted  # type: ignore[assignment]

    line = failing(tmp_path, [*words, "--out", out], full_in_mid_run)
    assert "run.safetensors: cannot be written" in line
    assert "--resume" in line
    for folder, extra in ((out, ["--resume"]), (whole, [])):
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in [*words, "--out", folder, *extra]])
        assert not stop.value.code
    one, other = load_model(out).model.state_dict(), load_model(whole).model.state_dict()
    assert all(one[name].equal(other[name]) for name in other)


def test_prepare_leaves_nothing_and_an_old_store_alone(source: Path, tmp_path: Path) -> None:
    words = ["prepare", source, "--out", tmp_path / "store"]
    before = sorted(path.name for path in tmp_path.iterdir())
    line = failing(tmp_path, words, lambda: full(2000))
    assert f"{tmp_path / 'store'}: the store cannot be written" in line
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "said") == before
    prepare([source], out=tmp_path / "store")
    failing(tmp_path, [*words, "--overwrite"], lambda: full(2000))
    assert check_store(tmp_path / "store")["cells"] == 90


def test_probe_leaves_nothing(
    source: Path, quick_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scgraph.data.store.entries.IN_MEMORY", 100)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    words = ["probe", quick_models / "gnn-linear", source, "--seeds", "1"]
    for most in (0, 1000, 9000):  # of 9,308 bytes in each of two files
        line = failing(tmp_path, words, lambda most=most: full(most))
        assert f"{tmp_path / 'scratch'}: cannot be written (File too large). Free some space" in line
        assert list((tmp_path / "scratch").iterdir()) == []


def forms(folder: Path) -> dict[str, Path]:
    adata = make_cells()
    adata.X = sparse.csr_matrix(adata.X)
    return {
        "zarr": write_zarr(folder / "cells.zarr", adata),
        "10x": write_tenx(folder / "cells.h5", adata),
        "mtx": write_market(folder / "mtx", adata),
    }


@pytest.mark.parametrize(
    ("command", "form"),
    [
        ("embed", "mtx"),
        ("denoise", "zarr"),
        ("annotate", "h5ad"),
        *(
            pytest.param(*one, marks=pytest.mark.slow)  # by the same paths
            for one in (("embed", "zarr"), ("embed", "10x"), ("denoise", "h5ad"), ("annotate", "zarr"))
        ),
    ],
)
def test_a_copy_that_does_not_fit_ends_with_one_line_and_nothing(
    source: Path, counts_model: Path, tmp_path: Path, command: str, form: str
) -> None:
    data, out = source if form == "h5ad" else forms(tmp_path)[form], tmp_path / "out.h5ad"
    words = [command, counts_model, data] if command != "annotate" else [command, data, "--reference", source]
    words += [] if command != "annotate" else ["--label", "cell_type"]
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in [*words, "--out", out]])
    assert not stop.value.code
    size = out.stat().st_size
    out.unlink()
    before = sorted(path.name for path in tmp_path.iterdir())
    for share in (0.5, 0.95):
        line = failing(tmp_path, [*words, "--out", out], lambda share=share: full(int(share * size)))
        assert f"{out}: cannot be written (File too large)." in line
        left = {path.name for path in tmp_path.iterdir()} - {"said", "out.h5ad.partial"}
        assert sorted(left) == sorted(before)
        shutil.rmtree(tmp_path / "out.h5ad.partial", ignore_errors=True)
