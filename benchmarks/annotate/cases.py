"""Pairs of a reference and a query: two studies, or parts of one set that differ in a batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data.sets.classes import read_pairs, share_classes
from scgraph.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from scgraph.data.sets.classes import SharedClasses

__all__ = ["CASES", "Case", "Pair", "cases_named", "read_pairs_of"]

STUDIES = Path(__file__).with_name("pbmc3k-zheng.tsv")


@dataclass(frozen=True)
class Case:
    """Where pairs come from.

    Attributes:
        reference: name of the file that is learned from.
        query: name of the file that is labelled; "" for parts of the same file.
        label: column with the classes.
        batch_key: column whose batches are held out of the reference in turn; None for none.
        part: column whose groups are the query in turn, the others being the reference; None for two files.
        classes: table of classes of pbmc3k and of zheng_facs_pbmc that mean the same; None: by their names.
    """

    reference: str
    query: str = ""
    label: str = "cell_type"
    batch_key: str | None = None
    part: str | None = None
    classes: Path | None = None


CASES = {
    "pbmc3k to zheng": Case("pbmc3k", "zheng_facs_pbmc", classes=STUDIES),
    "zheng to pbmc3k": Case("zheng_facs_pbmc", "pbmc3k", classes=STUDIES),
    "kang": Case("kang_pbmc_subset", batch_key="batch", part="condition"),
    "chemistries": Case("pbmc_3chemistries_symphony", batch_key="batch", part="batch"),
    "zhao": Case(
        "zhao2021_glioblastoma_panobinostat_subset", label="perturbation", batch_key="patient_id", part="patient_id"
    ),
}


@dataclass(frozen=True, eq=False)
class Pair:
    """Labelled cells, and cells whose labels are asked.

    Attributes:
        name: for tables.
        case: where it comes from.
        reference: with labels.
        query: with its labels, which are not shown.
    """

    name: str
    case: Case
    reference: AnnData
    query: AnnData

    def shared(self) -> SharedClasses:
        """Return the classes that mean the same on both sides; an unused pair of the table does no harm."""
        pairs = None if self.case.classes is None else read_pairs(self.case.classes)
        if pairs is not None and self.case.reference != "pbmc3k":
            pairs = tuple((theirs, ours) for ours, theirs in pairs)
        sides = self.reference, self.query
        ours, theirs = (np.unique(one.obs[self.case.label].astype(str)).tolist() for one in sides)
        return share_classes(ours, theirs, pairs)


def cases_named(names: Sequence[str]) -> dict[str, Case]:
    """Return the cases of these names.

    Raises:
        ConfigError: there is no such case.
    """
    for name in names:
        if name not in CASES:
            raise ConfigError(f"--cases: {name!r} is not known.{did_you_mean(name, CASES)}")
    return {name: CASES[name] for name in names}


def read_pairs_of(name: str, case: Case, data: Path) -> list[Pair]:
    """Read the pairs of a case from a folder of .h5ad files."""
    import anndata

    reference = anndata.read_h5ad(data / f"{case.reference}.h5ad")
    if case.part is None:
        return [Pair(name, case, reference, anndata.read_h5ad(data / f"{case.query}.h5ad"))]
    groups = reference.obs[case.part].astype(str)
    pairs = []
    for group in np.unique(groups):
        rest = reference[groups != group]
        classes = rest.obs[case.label].astype(str)
        # A class of which one cell is left cannot be learned and is refused; its cells in the query are foreign.
        rest = rest[classes.map(classes.value_counts()).to_numpy() > 1].copy()
        own = replace(case, query=f"{case.part} {group}")
        pairs.append(Pair(f"{name}: {group}", own, rest, reference[groups == group].copy()))
    return pairs
