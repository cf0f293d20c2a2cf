"""A user's gene network on the genes of a vocabulary."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.names import ensembl_id, examples, is_date, species
from scgraph.data.network.edge_list import EdgeTable, read_edges
from scgraph.data.vocabulary import Vocabulary
from scgraph.display import short_repr
from scgraph.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["MIN_MATCHED", "GeneEdges", "Network", "read_network"]

MIN_MATCHED = 0.05
"""Least share of the genes of the network, or of the vocabulary, that must be found in the other."""


@short_repr
@dataclass(frozen=True, eq=False)
class Network:
    """A gene network on a vocabulary.

    No edge stands twice and none leads from a gene to itself. Edges are sorted by target, then by source.

    Attributes:
        size: genes of the vocabulary, V.
        edge_index: ids of sources and targets, 1 to V, int64 `[2, E]`; ``edge_index[0]`` sends to ``edge_index[1]``.
        weight: of the edges, above 0, float64 `[E]`; 1 where the file names none.
        notes: what must be said aloud.
        manifest: where it comes from and how much of it was found, JSON values.
        kept: what was computed from it, by name: several models of a run share it.
    """

    size: int
    edge_index: NDArray[np.int64]
    weight: NDArray[np.float64]
    notes: tuple[str, ...] = ()
    manifest: dict[str, Any] = field(default_factory=dict)
    kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def edges(self) -> int:
        """How many directed edges there are, E."""
        return int(self.edge_index.shape[1])

    @property
    def sha256(self) -> str:
        """Hash of which genes are joined, in which direction and by which weight."""
        digest = hashlib.sha256(f"{self.size}\n".encode())
        for array in (self.edge_index, self.weight):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class _Names:
    symbols: NDArray[np.str_]
    ensembl: NDArray[np.str_]


class GeneEdges:
    """A gene network as its file names it.

    Args:
        table: what the file holds.
        undirected: whether an edge counts in both directions.

    Raises:
        DataError: a spreadsheet made dates of gene names.
    """

    def __init__(self, table: EdgeTable, *, undirected: bool = True) -> None:
        self.table = table
        self.undirected = undirected or table.undirected
        self._on: tuple[str, Network] | None = None
        dates = [name for name in table.names if is_date(name)]
        if dates:
            raise DataError(
                f"{table.where}: a spreadsheet made dates of {len(dates):,} gene names ({examples(dates)}). Restore "
                "them from the source of the file (1-Mar was MARCHF1 or MTARC1), or leave these edges out."
            )

    @property
    def described(self) -> str:
        """Name and content of the file, for a fingerprint."""
        how = "undirected" if self.undirected else "directed"
        table = self.table
        return f"{Path(table.where).name}, {len(table.source):,} edges, {how}, {table.sha256[:16]}"

    def vocabulary(self) -> Vocabulary:
        """Return a vocabulary of the genes that the network names."""
        ids = dict.fromkeys(ensembl_id(name) or name for name in self.table.names)
        return Vocabulary(tuple("" if ensembl_id(name) else name for name in ids), tuple(map(ensembl_id, ids)))

    def on(self, vocabulary: Vocabulary) -> Network:
        """Lay the network onto a vocabulary; the last result is kept.

        Genes are found as those of cells are, see `Vocabulary.match`. Edges of unknown genes, edges of a gene with
        itself and edges of weight 0 are left out, and of edges that stand twice the largest weight is kept;
        `Network.notes` says how many.

        Raises:
            DataError: none or nearly none of the genes are in the vocabulary, or no edge is left.
        """
        if self._on is None or self._on[0] != vocabulary.sha256:
            self._on = vocabulary.sha256, self._laid_on(vocabulary)
        return self._on[1]

    def _laid_on(self, vocabulary: Vocabulary) -> Network:
        table, notes = self.table, []
        ids = self._ids(vocabulary)
        unknown = [table.names[at] for at in np.flatnonzero(ids == 0)]
        matched = len(ids) - len(unknown)
        notes.append(
            f"{matched:,} of {len(ids):,} genes of the network are in the vocabulary ({matched / len(ids):.0%})"
        )
        if unknown:
            notes.append(f"{len(unknown):,} are unknown and left out with their edges ({examples(unknown, 5)})")
        source, target, weight = ids[table.source], ids[table.target], table.weight
        known = (source > 0) & (target > 0)
        loops = known & (source == target)
        nothing = known & ~loops & (weight == 0)
        counted = {
            "edges_in_file": len(source),
            "genes_in_file": len(ids),
            "genes_unknown": len(unknown),
            "edges_of_unknown_genes": int((~known).sum()),
            "edges_to_itself": int(loops.sum()),
            "edges_of_weight_0": int(nothing.sum()),
        }
        if loops.any():
            notes.append(f"{loops.sum():,} edges lead from a gene to itself and are left out: every gene hears itself")
        if nothing.any():
            notes.append(f"{nothing.sum():,} edges of weight 0 are left out")
        kept = known & ~loops & ~nothing
        source, target, weight = source[kept], target[kept], weight[kept]
        if not len(source):
            raise DataError(f"{table.where}: no edge joins two genes of the vocabulary ({'; '.join(notes)}).")
        edge_index, weight, counted["edges_twice"] = _merged(
            source, target, weight, len(vocabulary), undirected=self.undirected
        )
        if counted["edges_twice"]:
            either = " in either direction" if self.undirected else ""
            notes.append(f"{counted['edges_twice']:,} edges stand more than once{either}: the largest weight is kept")
        joined = np.unique(edge_index)
        counted["genes_isolated"] = len(vocabulary) - len(joined)
        if counted["genes_isolated"]:
            alone = np.delete(np.asarray(vocabulary.names()), joined - 1)
            notes.append(
                f"{len(alone):,} of {len(vocabulary):,} genes of the vocabulary have no edge and hear only themselves "
                f"({examples(alone)})"
            )
        kind = "each in both directions" if self.undirected else "directed, source to target"
        notes.insert(0, f"{edge_index.shape[1]:,} edges on {len(joined):,} genes, {kind}")
        manifest = {
            "source": Path(table.where).name,
            "sha256": table.sha256,
            "undirected": self.undirected,
            "edges": int(edge_index.shape[1]),
            **counted,
        }
        named_notes = tuple(f"network {Path(table.where).name}: {note}" for note in notes)
        return Network(len(vocabulary), edge_index, weight, named_notes, manifest)

    def _ids(self, vocabulary: Vocabulary) -> NDArray[np.int64]:
        """Return the vocabulary id of every gene of the network, 0 where it is unknown."""
        names = self.table.names
        ensembl = np.asarray([ensembl_id(name) for name in names], dtype=np.str_)
        blank = np.zeros(len(names), dtype=np.str_)
        # One kind after the other: a file may name a gene by its id in one edge and by its symbol in another.
        by_id = vocabulary.match(_Names(blank, ensembl))
        by_symbol = vocabulary.match(_Names(np.where(ensembl == "", np.asarray(names, dtype=np.str_), ""), blank))
        ids = np.maximum(by_id.ids, by_symbol.ids).astype(np.int64)
        matched, genes_matched = int((ids > 0).sum()), len(np.unique(ids[ids > 0]))
        if matched and max(matched / len(ids), genes_matched / len(vocabulary)) >= MIN_MATCHED:
            return ids
        theirs, mine = species(ensembl.tolist()), species(vocabulary.ensembl)
        reason = " Use a network of the same species, with genes named by symbol or Ensembl id."
        if theirs and mine and theirs != mine:
            reason = f" The Ensembl ids of the network are {theirs}, those of the vocabulary {mine}."
        elif theirs and not mine:
            reason = " The network has Ensembl ids, the vocabulary symbols."
        elif by_symbol.ignoring_case > 2 * matched:
            reason = (
                f" {by_symbol.ignoring_case:,} symbols would match if case were ignored: they are of another species "
                "(mouse Cd3d, human CD3D) or their case was changed."
            )
        strange = [name for name, at in zip(names, ids.tolist(), strict=True) if not at]
        raise DataError(
            f"{self.table.where}: only {matched:,} of the {len(ids):,} genes of the network ({matched / len(ids):.1%}) "
            f"are among the {len(vocabulary):,} genes of the vocabulary. Not in the vocabulary: {examples(strange)}; "
            f"in the vocabulary: {examples(vocabulary.names())}.{reason}"
        )


def read_network(path: str | Path, *, undirected: bool = True, weighted: bool = True) -> GeneEdges:
    """Read a gene network from an edge list (.tsv, .csv) or a .graphml file; see docs/networks.md.

    Args:
        path: the file.
        undirected: whether an edge counts in both directions; one of an undirected .graphml always does.
        weighted: whether weights count; see `read_edges`.

    Raises:
        DataError: the file cannot be used as it is; the message names the line or edge.
    """
    return GeneEdges(read_edges(path, weighted=weighted), undirected=undirected)


def _merged(
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    weight: NDArray[np.float64],
    size: int,
    *,
    undirected: bool,
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Keep every edge once, with its largest weight, sorted by target and source; count those left out."""
    if undirected:
        source, target = np.minimum(source, target), np.maximum(source, target)
    given = len(source)
    keys = target * (size + 1) + source
    order = np.lexsort((-weight, keys))
    first = np.diff(keys[order], prepend=-1) != 0
    kept = order[first]
    source, target, weight = source[kept], target[kept], weight[kept]
    if undirected:
        source, target, weight = (
            np.concatenate((source, target)),
            np.concatenate((target, source)),
            np.concatenate((weight, weight)),
        )
        order = np.lexsort((source, target))
        source, target, weight = source[order], target[order], weight[order]
    return np.stack((source, target)), weight, given - len(kept)
