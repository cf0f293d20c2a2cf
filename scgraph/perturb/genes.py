"""The genes that a perturbation can name: of the file, of the model, of a network; measured or not."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.names import ensembl_id
from scgraph.data.identifiers import gene_table, species_of
from scgraph.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.data import Cells
    from scgraph.data.network.network import GeneEdges, Network

__all__ = ["GeneNames"]


class GeneNames:
    """Genes by number: first those of the file in its order, then what only the model knows, then only the network.

    Attributes:
        measured: genes of the file, the first so many numbers.
        ids: vocabulary id of every gene, 0 where the model does not know it, `[N]`.
        network: the network on the named genes, None where none was given.
        nodes: number of every gene of `network` (id 1 first), `[M]`.

    Args:
        cells: what was read.
        ids: vocabulary id of every gene of the file, 0 where unknown; None looks at the file alone.
        vocabulary: the genes of the model.
        network: of the user.
    """

    def __init__(
        self,
        cells: Cells,
        ids: NDArray[np.int32] | None = None,
        vocabulary: Vocabulary | None = None,
        network: GeneEdges | None = None,
    ) -> None:
        self._symbols: list[str] = cells.symbols.tolist()
        self._ensembl: list[str] = cells.ensembl.tolist()
        self.measured = len(self._symbols)
        known = np.zeros(self.measured, dtype=np.int32) if ids is None else ids
        if vocabulary is not None:
            missing = np.setdiff1d(np.arange(1, len(vocabulary) + 1, dtype=np.int32), known)
            self._add(vocabulary, missing)
            known = np.concatenate([known, missing])
        self.network: Network | None = None
        self.nodes = np.empty(0, dtype=np.int64)
        if network is not None:
            theirs = network.vocabulary()
            self._add(theirs, np.flatnonzero(self._vocabulary()[0].match(_Named(theirs)).ids == 0) + 1)
            mine, self.nodes = self._vocabulary()
            self.network = network.on(mine)
        self.ids: NDArray[np.int32] = np.zeros(len(self._symbols), dtype=np.int32)
        self.ids[: len(known)] = known
        self._by_ensembl = {name: at for at, name in reversed(list(enumerate(self._ensembl))) if name}
        self._by_symbol = {name: at for at, name in reversed(list(enumerate(self._symbols))) if name}
        self._lowered: dict[str, str] = {name.lower(): name for name in self._by_symbol}
        species = species_of(self._symbols, self._ensembl)
        self._table = gene_table(species) if species in {"human", "mouse"} else None

    def __len__(self) -> int:
        """Return how many genes can be named, N."""
        return len(self._symbols)

    def name(self, number: int) -> str:
        """Return the symbol of a gene, or else its Ensembl id."""
        known: str = self._symbols[number] or self._ensembl[number]
        return known

    def find(self, name: str) -> int | None:
        """Return the number of a gene, None where there is none of that name; older symbols count, case matters."""
        identifier = ensembl_id(name)
        found = self._by_ensembl.get(identifier) if identifier else self._by_symbol.get(name)
        if found is not None or self._table is None:
            return found
        same = (identifier,) if identifier else self._table.find(name)
        return self._identified.get(same[0]) if len(same) == 1 else None

    def is_known(self, number: int) -> bool:
        """Tell whether the model or the network knows a gene."""
        return bool(self.ids[number]) or number in self._joined

    def is_symbol(self, name: str) -> bool:
        """Tell whether a name is that of a gene at all, of these or of the table of the species."""
        return self.find(name) is not None or (self._table is not None and bool(self._table.find(name)))

    def in_other_case(self, name: str) -> str:
        """Return the gene that differs from a name in case alone, "" where there is none."""
        return self._lowered.get(name.lower(), "")

    @cached_property
    def _joined(self) -> frozenset[int]:
        """Numbers of the genes that have an edge."""
        if self.network is None:
            return frozenset()
        return frozenset(self.nodes[np.unique(self.network.edge_index) - 1].tolist())

    @cached_property
    def _identified(self) -> dict[str, int]:
        """Number of the gene of every Ensembl id, that of the table where the gene has a symbol only."""
        found = dict(self._by_ensembl)
        for symbol, number in self._by_symbol.items():
            same = () if self._ensembl[number] or self._table is None else self._table.find(symbol)
            if len(same) == 1:
                found.setdefault(same[0], number)
        return found

    def _add(self, vocabulary: Vocabulary, ids: NDArray[np.integer[Any]]) -> None:
        self._symbols += [vocabulary.symbols[at - 1] for at in ids.tolist()]
        self._ensembl += [vocabulary.ensembl[at - 1] for at in ids.tolist()]

    def _vocabulary(self) -> tuple[Vocabulary, NDArray[np.int64]]:
        """Return the genes that have a name, each once, and their numbers."""
        names = [ensembl or symbol for symbol, ensembl in zip(self._symbols, self._ensembl, strict=True)]
        first = {name: at for at, name in reversed(list(enumerate(names))) if name}
        rows = sorted(first.values())
        pairs = tuple(self._symbols[at] for at in rows), tuple(self._ensembl[at] for at in rows)
        return Vocabulary(*pairs), np.asarray(rows, dtype=np.int64)


class _Named:
    """A vocabulary as something to be matched."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.symbols = np.asarray(vocabulary.symbols, dtype=np.str_)
        self.ensembl = np.asarray(vocabulary.ensembl, dtype=np.str_)
