"""What cells are drawn to, corrected for their batches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pytest
import torch

import scgraph
from scgraph.config_files import as_pretrain_config
from scgraph.data import CellStore, Vocabulary, read_cells
from scgraph.data.sets.examples import two_batches as example
from scgraph.errors import ConfigError, DataError
from scgraph.models import initial_model, load_model
from scgraph.train import pretrain
from scgraph.train.distributed.handover import read_store, write_store
from scgraph.train.integration import correct_batches, extend_correction
from scgraph.train.neighbors import neighbor_targets
from tests.train import helpers

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TRAINING = {"mvp_loss": 0.0, "cell_loss": 0.0, "neighbor_loss": 1.0, "start": "pca", "batch_size": 40}


def two_batches(cells: int = 400, *, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Vectors of two types, types and batches; the second batch is shifted, and holds another share of each type."""
    rng = np.random.default_rng(seed)
    batches = np.arange(cells) % 2
    types = (rng.random(cells) < np.where(batches == 0, 0.4, 0.6)).astype(np.int64)
    vectors = rng.normal(0, 0.5, (cells, 8))
    vectors[:, 0] += 6 * types
    vectors[:, 1] += 3 * batches
    return vectors.astype(np.float32), types, batches


def gap(vectors: NDArray[np.float32], groups: NDArray[np.int64]) -> float:
    return float(np.linalg.norm(vectors[groups == 0].mean(axis=0) - vectors[groups == 1].mean(axis=0)))


def gap_within_types(vectors: NDArray[np.float32], types: NDArray[np.int64], batches: NDArray[np.int64]) -> float:
    return max(gap(vectors[types == one], batches[types == one]) for one in (0, 1))


def test_batches_come_together_and_types_stay_apart() -> None:
    vectors, types, batches = two_batches()
    corrected = correct_batches(vectors, batches, seed=0)
    assert gap_within_types(vectors, types, batches) > 2.5
    assert gap_within_types(corrected, types, batches) < 1.3
    assert gap(corrected, types) > 4


def test_the_correction_is_a_function_of_the_seed_and_leaves_generators_and_threads_alone() -> None:
    vectors, _, batches = two_batches()
    threads = torch.get_num_threads()
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    expected = np.random.random(), torch.rand(())  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    first = correct_batches(vectors, batches, seed=1)
    assert (np.random.random(), torch.rand(())) == expected  # noqa: NPY002
    assert torch.get_num_threads() == threads
    assert np.array_equal(first, correct_batches(vectors, batches, seed=1))


def test_one_batch_and_few_cells_stay_as_they_are() -> None:
    vectors, _, batches = two_batches()
    assert correct_batches(vectors, np.zeros(len(vectors), dtype=np.int64), seed=0) is vectors
    assert np.array_equal(correct_batches(vectors[:9], batches[:9], seed=0), vectors[:9])


def test_further_cells_are_moved_as_those_like_them_and_unknown_batches_not_at_all() -> None:
    vectors, types, batches = two_batches(600)
    known, further = slice(0, 400), slice(400, None)
    corrected = correct_batches(vectors[known], batches[known], seed=0)
    origin = {"among": vectors[known], "among_batches": batches[known], "corrected": corrected}
    moved = extend_correction(vectors[further], batches[further], **origin)
    assert gap_within_types(moved, types[further], batches[further]) < 1.3
    again = extend_correction(vectors[known][:1], batches[known][:1], **{k: v[:1] for k, v in origin.items()})
    assert np.allclose(again, corrected[:1], atol=1e-6)
    foreign = np.full(200, 7)
    assert np.array_equal(extend_correction(vectors[further], foreign, **origin), vectors[further])


def batched(cells: int = 120) -> CellStore:
    return replace(helpers.counted_store(cells), batches=np.arange(cells, dtype=np.int64) % 2)


def test_targets_are_as_before_without_integration_or_with_one_batch() -> None:
    store = batched()
    model = initial_model(helpers.pooled_model(), helpers.small_training(**TRAINING), store)
    plain, _ = neighbor_targets(model, replace(store, batches=None), None, neighbors=5, seed=0)
    one = replace(store, batches=np.zeros(len(store), dtype=np.int64))
    assert np.array_equal(neighbor_targets(model, one, None, neighbors=5, seed=0, integrate=True)[0], plain)
    corrected, _ = neighbor_targets(model, store, None, neighbors=5, seed=0, integrate=True)
    assert not np.allclose(corrected, plain)


def test_a_training_is_told_of_its_batches_only_where_the_settings_ask() -> None:
    store, weights = batched(), {}
    for how in ("none", "harmony"):
        result = pretrain(helpers.pooled_model(), helpers.small_training(**TRAINING, integration=how), store)
        weights[how] = torch.cat([one.flatten() for one in result.model.parameters()])
        assert any("corrected for their 2 batches" in note for note in result.notes) == (how == "harmony")
    assert not torch.equal(weights["none"], weights["harmony"])


@pytest.mark.parametrize(("how", "readout"), [("none", "linear+pooled"), ("harmony", "pooled")])
def test_no_linear_part_stands_in_front_of_vectors_that_are_corrected(how: str, readout: str, tmp_path: Path) -> None:
    config, training = (
        helpers.pooled_model(readout="linear+pooled"),
        helpers.small_training(**TRAINING, integration=how),
    )
    result = pretrain(config, training, batched(), out=tmp_path / "model", progress=False)
    assert result.model_config.readout == load_model(tmp_path / "model").model_config.readout == readout
    resumed = pretrain(config, training, batched(), out=tmp_path / "model", resume=True, progress=False)
    assert resumed.model.width == result.model.width == (2 if how == "none" else 1) * config.channels


def test_a_store_keeps_batches_through_subset_concat_and_handover(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).poisson(2.0, (6, 5)).astype(np.float32)
    stores = []
    for name in ("one", "two"):
        adata = anndata.AnnData(matrix + 1)
        adata.var_names = [f"GENE{at}" for at in range(5)]
        adata.obs_names = [f"cell{at}" for at in range(6)]
        adata.obs["donor"] = list("aabbcc")
        path = tmp_path / f"{name}.h5ad"
        adata.write_h5ad(path)
        cells = read_cells(path, batch_key="donor")
        stores.append(CellStore.from_cells(cells, Vocabulary.from_cells([cells])))
    first, second = stores
    assert first.batches is not None
    assert second.batches is not None
    assert len(np.unique(first.batches)) == 3
    assert not set(first.batches.tolist()) & set(second.batches.tolist())
    part = second.subset(np.array([4, 5]))
    assert part.batches is not None
    assert part.batches.tolist() == second.batches[4:].tolist()
    joined = CellStore.concat([first, replace(second, batches=None)])
    assert joined.batches is not None
    assert len(np.unique(joined.batches)) == 4
    assert CellStore.concat([replace(one, batches=None) for one in stores]).batches is None
    write_store(tmp_path / "store", joined)
    back = read_store(tmp_path / "store", joined.vocabulary)
    assert back is not None
    assert back.batches is not None
    assert np.array_equal(back.batches, joined.batches)


def test_pretrain_takes_a_batch_column_and_a_store_has_none(tmp_path: Path) -> None:
    config = as_pretrain_config("bench/default")
    small = config.model_copy(
        update={
            "model": config.model.model_copy(update={"channels": 8}),
            "train": config.train.model_copy(update={"epochs": 1, "device": "cpu"}),
        }
    )
    lines: list[str] = []
    scgraph.pretrain([example(seed=0)], config=small, batch_key="batch", say=lines.append)
    assert any("2 batches (Harmony)" in line for line in lines)
    with pytest.raises(DataError, match="no column 'donor'"):
        scgraph.pretrain([example(seed=0)], config=small, batch_key="donor")
    helpers.on_disk(helpers.counted_store(), tmp_path / "store")
    with pytest.raises(ConfigError, match="a store keeps no batches"):
        scgraph.pretrain([tmp_path / "store"], config=small, batch_key="batch")
