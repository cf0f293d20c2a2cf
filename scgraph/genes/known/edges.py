"""Files of edges that are known, such as the targets of transcription factors, on the genes of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scgraph.data import read_network
from scgraph.display import short_repr
from scgraph.errors import ConfigError, DataError, argument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scgraph.data import Vocabulary

__all__ = ["Candidates", "KnownEdges", "read_known"]


@short_repr
@dataclass(frozen=True, eq=False)
class KnownEdges:
    """Edges that are known, on a vocabulary.

    Attributes:
        name: of the file.
        source: positions of the genes that send, such as transcription factors, int64 ``[E]``.
        target: positions of the genes that receive, int64 ``[E]``.
        notes: what must be said aloud.
    """

    name: str
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def among(self, genes: NDArray[np.int64]) -> Candidates:
        """Return the edges between some genes, and those that might be.

        Args:
            genes: positions in the vocabulary ``[n]``, ascending.

        Raises:
            DataError: no known edge joins two of them, or every edge that might be is known.
        """
        inside = np.isin(self.source, genes) & np.isin(self.target, genes)
        if not inside.any():
            raise DataError(
                f"{self.name}: none of its {len(self.source):,} edges between genes of the model joins two of the "
                f"{len(genes):,} genes that are looked at, expressed by enough cells. Give a smaller "
                f"{argument('min_share')}, or edges of this tissue."
            )
        source, target = (np.searchsorted(genes, ends[inside]) for ends in (self.source, self.target))
        sources, targets = np.unique(source), np.unique(np.concatenate([source, target]))
        known = np.zeros((len(sources), len(targets)), dtype=np.bool_)
        known[np.searchsorted(sources, source), np.searchsorted(targets, target)] = True
        possible = sources[:, None] != targets
        if known.sum() == possible.sum():
            raise DataError(
                f"{self.name}: every edge between its genes that might be is known, so there is none to tell them "
                "from. Give more edges."
            )
        return Candidates(sources, targets, known, possible)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Edges that might be: from every gene that sends a known edge to every gene with a known edge.

    Attributes:
        sources: places of the sending genes among those looked at, int64 ``[s]``.
        targets: places of the receiving genes, int64 ``[t]``.
        known: which edges are known, ``[s, t]``.
        possible: False where a gene would send to itself, ``[s, t]``.
    """

    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    known: NDArray[np.bool_]
    possible: NDArray[np.bool_]

    @property
    def edges(self) -> int:
        """How many edges are known."""
        return int(self.known.sum())

    @property
    def density(self) -> float:
        """Share of the possible edges that are known: the precision of guessing."""
        return self.edges / int(self.possible.sum())


def read_known(paths: Sequence[str | Path], vocabulary: Vocabulary) -> list[KnownEdges]:
    """Read files of known edges, directed from source to target; their weights and signs do not count.

    Args:
        paths: .tsv, .csv or .graphml, see docs/networks.md; the columns may also be called tf or regulator and target,
            or Gene1 and Gene2.
        vocabulary: genes of the model.

    Raises:
        ConfigError: a file is named twice.
        DataError: a file cannot be used as it is, or none of its edges joins two genes of the vocabulary.
    """
    found: list[KnownEdges] = []
    places = [Path(path).expanduser().resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{argument('known')} {path}: is named twice. Name every file of known edges once.")
    names = [path.name for path in places]
    for path, name in zip(paths, names, strict=True):
        network = read_network(path, undirected=False, weighted=False).on(vocabulary)
        counted = network.manifest
        notes = [f"{name}: {network.edges:,} known edges join two genes of the model, of {counted['edges_in_file']:,}"]
        if counted["genes_unknown"]:
            notes.append(f"{name}: {counted['genes_unknown']:,} of {counted['genes_in_file']:,} genes are unknown")
        source, target = network.edge_index - 1
        shown = name if names.count(name) == 1 else str(path)
        found.append(KnownEdges(shown, source, target, tuple(notes)))
    return found
