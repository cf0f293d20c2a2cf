"""The .h5 files of Cell Ranger: one matrix since version 3, one a genome before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py

from scgraph.data.files.anndata_group import strings
from scgraph.data.files.storage import check_claims, datasets_of
from scgraph.data.files.stored import StoredMatrix
from scgraph.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["tenx_genomes", "tenx_group", "tenx_matrix", "tenx_tables"]


def tenx_genomes(file: h5py.File) -> dict[str, h5py.Group]:
    """Return the matrices of a 10x file by their name, none for others: `matrix`, or the genomes of Cell Ranger 2."""
    # A table of cells may have a column of barcodes too.
    return {
        name: value
        for name, value in file.items()
        if isinstance(value, h5py.Group) and "barcodes" in value and "indptr" in value
    }


def tenx_group(genomes: dict[str, h5py.Group], genome: str | None, file: str, where: str) -> h5py.Group:
    """Return the matrix that is meant.

    Raises:
        DataError: There are several and none is named, or it is not there.
    """
    if genome is None and len(genomes) == 1:
        return next(iter(genomes.values()))
    if genome in genomes:
        return genomes[str(genome)]
    said = f"it has no genome {genome!r}.{did_you_mean(genome, genomes)}" if genome else "it holds several genomes."
    named = ", ".join(f"{file}/{name}" for name in genomes)
    raise DataError(f"{where}: {said} Name one of them behind the file: {named}.")


def tenx_matrix(group: h5py.Group) -> StoredMatrix:
    """Find the parts of a matrix."""
    shape = group["shape"][()]
    # Stored by cell with genes as rows: read as genes in columns, the same arrays are rows of cells.
    parts = {name: group[name] for name in ("data", "indices", "indptr")}
    return StoredMatrix((int(shape[1]), int(shape[0])), by_row=True, parts=parts)


def tenx_tables(group: h5py.Group, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the cells and genes, genes by their id."""
    import pandas as pd

    check_claims(datasets_of(group), where)
    features = group.get("features", group)
    ids = strings(features["id"] if "id" in features else features["genes"])
    symbols = strings(features["name"] if "name" in features else features["gene_names"])
    var = pd.DataFrame({"gene_ids": ids, "feature_name": symbols}, index=pd.Index(ids))
    if "feature_type" in features:
        var["feature_types"] = strings(features["feature_type"])
    return pd.DataFrame(index=pd.Index(strings(group["barcodes"]))), var
