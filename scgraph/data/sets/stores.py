"""The stores of one labelled set and seed: what is learned from, and what is probed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.sets.corpus import store_of, stores_to_train_on, vocabulary_of
from scgraph.data.sets.leakage import Comparison, compare_parts
from scgraph.errors import flag

if TYPE_CHECKING:
    from scgraph.config import PretrainConfig
    from scgraph.data import CellStore
    from scgraph.data.cells import AnyCells
    from scgraph.data.sets.corpus import Corpus
    from scgraph.data.sets.labelled import ProbeSet
    from scgraph.data.sets.splits import Split

__all__ = [
    "SetStores",
    "make_stores",
]


@dataclass(frozen=True)
class SetStores:
    """What the models of one set and seed see.

    Attributes:
        train: cells to pretrain on.
        validation: cells to measure the pretraining loss on.
        probe: all cells of the labelled set on the same vocabulary.
        leaks: corpus cells that stand in the test part too.
        notes: what must be said aloud.
        whole_corpus: no cell of a corpus was left out, so that models of every set learn from the same cells.
    """

    train: CellStore
    validation: CellStore
    probe: CellStore
    leaks: int
    notes: tuple[str, ...]
    whole_corpus: bool = False


def make_stores(
    probe: ProbeSet,
    split: Split,
    corpus: Corpus,
    config: PretrainConfig,
    *,
    seed: int,
    drop_leaks: bool,
) -> SetStores:
    """Build the stores of one set and seed; nothing is taken from the validation or test part of the set.

    Without a corpus the train part is what is pretrained on, and the validation part measures the loss.
    With one, `validation_share` of its cells is drawn to measure the loss. The vocabulary, highly
    variable genes or all, comes from the cells that are pretrained on alone; a store has its own.
    """
    notes: list[str] = []
    leaks = 0
    if corpus.names:
        compared = _compared(probe.cells.subset(split.test), corpus)
        leaks = sum(int(one.leaks.sum()) for one in compared)
        unlike = sum(int(one.unlike.sum()) for one in compared)
        allowed = [np.flatnonzero(~one.leaks) if drop_leaks else np.arange(len(one.leaks)) for one in compared]
        train, validation = stores_to_train_on(corpus, config, seed=seed, allowed=allowed)
        whole = store_of([probe.cells], train.vocabulary, config)
        outcome = "left out" if drop_leaks else f"kept, as {flag('drop_leaks', value=False)} asks (without labels)"
        if unlike < sum(len(one.unlike) for one in compared):
            notes.append(
                f"{probe.cells.name}: {leaks:,} corpus cells have the counts of a test cell on all shared genes"
                + (f", {outcome}." if leaks else ".")
            )
        if unlike:
            notes.append(
                f"{probe.cells.name}: {unlike:,} corpus cells cannot be compared with the test cells: one of the two "
                "has no counts, or they share too few genes. Whether they are the same cells is not known."
            )
    else:
        whole = store_of([probe.cells], vocabulary_of([probe.cells.subset(split.train)], config), config)
        train, validation = whole.subset(split.train), whole.subset(split.validation)
    notes.append(f"{probe.cells.name}: {whole.match_note}.")
    whole_corpus = bool(corpus.names) and not (leaks and drop_leaks)
    return SetStores(train, validation, whole, leaks, tuple(notes), whole_corpus)


def _compared(test: AnyCells[Any], corpus: Corpus) -> list[Comparison]:
    """Compare the cells of every source with the test part."""
    blocks = compare_parts(test, corpus.parts())
    borders = np.cumsum(corpus.sizes)[:-1]
    leaks = np.split(np.concatenate([block.leaks for block in blocks]), borders)
    unlike = np.split(np.concatenate([block.unlike for block in blocks]), borders)
    return [Comparison(*pair) for pair in zip(leaks, unlike, strict=True)]
