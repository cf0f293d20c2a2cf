"""What is read and refused before anything is fitted: reference, genes that both sides have, parts to hold out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scgraph.annotate.features import shared_genes, store_on
from scgraph.annotate.folds import make_folds
from scgraph.data import check_labels
from scgraph.data.components import counts_known
from scgraph.data.files.names import examples
from scgraph.data.sets.labelled import read_labelled
from scgraph.errors import ConfigError, DataError, argument

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

    from scgraph.annotate.config import AnnotateConfig
    from scgraph.annotate.folds import Folds
    from scgraph.data import Cells, CellStore, Vocabulary
    from scgraph.data.files.stream import CellStream
    from scgraph.data.sets.labelled import LabelledSet
    from scgraph.models import SavedModel

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """What a classifier is made of.

    Attributes:
        reference: labelled cells.
        genes: those that both sides have and the reference expresses.
        store: the reference on these genes.
        folds: parts of the reference that are held out in turn.
        counts_known: whether the counts of all cells of both sides are.
        saved: a pretrained model to try; None for none.
        notes: what must be said before the work.
    """

    reference: LabelledSet[Cells]
    genes: Vocabulary
    store: CellStore
    folds: Folds
    counts_known: bool
    saved: SavedModel | None
    notes: tuple[str, ...]


def make_plan(
    reference: str | Path | AnnData, query: Cells | CellStream, config: AnnotateConfig, saved: SavedModel | None
) -> Plan:
    """Read the reference and refuse what cannot be labelled from it.

    Raises:
        ConfigError: a model is given and one is to be pretrained.
        DataError: the reference cannot be used, a class has one cell, or too few genes are shared; names the file.
    """
    if saved is not None and config.pretrain is not None:
        raise ConfigError(f"{argument('pretrain')}: a model is given already. Leave one of the two out.")
    labelled = read_labelled(
        reference,
        layer=config.reference_layer,
        values=config.reference_values,
        label=config.label,
        batch_key=config.batch_key,
    )
    cells, where = labelled.cells, labelled.cells.manifest["source"]
    check_labels(cells, min_cells=1)
    counts = np.bincount(labelled.codes)
    lone = [name for name, count in zip(labelled.classes, counts, strict=True) if count == 1]
    if lone:
        raise DataError(
            f"{where}: {len(lone)} of {len(counts)} classes in obs[{config.label!r}] have a single cell "
            f"({examples(lone)}), which cannot be both learned and held out. Merge them with others, or leave them "
            f"out: adata[~adata.obs[{config.label!r}].isin({lone})]."
        )
    genes, in_common = shared_genes(cells, query, min_matched=config.min_matched)
    notes = [f"{where}: {note}" for note in cells.notes]
    notes.append(f"genes in common: {in_common}")
    if saved is not None:
        for one in (cells, query):
            match = saved.vocabulary.require(one, min_matched=config.min_matched)
            notes.append(f"{one.manifest['source']}: {match} with the model")
    store = store_on(cells, genes, own_totals=True)
    batches = None if cells.batches is None else np.asarray(cells.batches).astype(str)
    folds = make_folds(labelled.classes, labelled.codes, batches, seed=config.seed)
    notes.append(
        f"{where}: {len(cells):,} cells of {len(labelled.classes)} classes to learn from, each held out once: "
        f"{folds.how}"
    )
    known = counts_known(store) and (
        query.kind == "counts" or all(counts_known(store_on(block, genes, own_totals=True)) for block in query.blocks())
    )
    if not known:
        notes.append("the counts of some cells are not known: no components of Pearson residuals are tried")
    return Plan(labelled, genes, store, folds, known, saved, tuple(notes))
