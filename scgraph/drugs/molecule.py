"""Drugs as molecular graphs: atoms and bonds by PyG's reader of SMILES, message passing by its convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from scgraph.drugs.chemistry import molecules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch_geometric.data import Batch

__all__ = ["MoleculeEncoder", "molecular_graphs"]


def molecular_graphs(names: Sequence[str], smiles: Sequence[str]) -> Batch:
    """Return all drugs as one batch of graphs: 9 categories an atom, 3 a bond, no hydrogens.

    Args:
        names: of the drugs, for messages.
        smiles: their structures; a salt is one graph of several parts.

    Source: `torch_geometric.utils.from_smiles`, with the categories of the Open Graph Benchmark (Hu et al. 2020,
    arXiv:2005.00687).

    Raises:
        DataError: a SMILES that cannot be read.
    """
    from torch_geometric.data import Batch
    from torch_geometric.utils import from_smiles

    molecules(names, smiles)  # PyG makes an empty graph of what it cannot read
    return Batch.from_data_list([from_smiles(text.strip()) for text in smiles])


class MoleculeEncoder(nn.Module):
    r"""Sums of embedded categories, some steps of GINE, and the mean and sum over the atoms of a drug, ``[D, H]``.

    .. math:: x_i ← x_i + f\left((1 + ε) x_i + \sum_{j ∈ N(i)} \mathrm{relu}(x_j + e_{ij})\right)

    A graph without bonds keeps its atoms. Nothing depends on the other drugs of the batch: the norm is a layer norm.

    Args:
        graphs: all drugs, of `molecular_graphs`.
        width: H.
        layers: steps.

    Source: Hu et al. 2020, "Strategies for pre-training graph neural networks", arXiv:1905.12265, by
    `torch_geometric.nn.GINEConv`.
    """

    atoms: Tensor
    bonds: Tensor
    edge_index: Tensor
    drug: Tensor

    def __init__(self, graphs: Batch, width: int, layers: int) -> None:
        super().__init__()
        from torch_geometric.nn import GINEConv
        from torch_geometric.utils.smiles import e_map, x_map

        self.drugs = int(graphs.num_graphs)
        buffers = {"atoms": graphs.x, "bonds": graphs.edge_attr, "edge_index": graphs.edge_index, "drug": graphs.batch}
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor, persistent=False)
        self.of_atom = nn.ModuleList(nn.Embedding(len(values), width) for values in x_map.values())
        self.of_bond = nn.ModuleList(nn.Embedding(len(values), width) for values in e_map.values())
        self.convs = nn.ModuleList(
            GINEConv(nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)), train_eps=True)
            for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.out = nn.Linear(2 * width, width)

    def forward(self) -> Tensor:
        """Encode all drugs."""
        from torch_geometric.utils import scatter

        x = _embedded(self.of_atom, self.atoms)
        bonds = _embedded(self.of_bond, self.bonds)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = x + conv(norm(x), self.edge_index, bonds)
        # The sum tells sizes apart; scaled so that a drug of 30 atoms has about the size of a mean.
        pooled = [scatter(x, self.drug, dim_size=self.drugs, reduce=how) for how in ("mean", "sum")]
        encoded: Tensor = self.out(torch.cat([pooled[0], pooled[1] / 30], dim=1))
        return encoded


def _embedded(tables: nn.ModuleList, categories: Tensor) -> Tensor:
    """Sum of the embeddings of all categories, ``[n, k]`` to ``[n, H]``."""
    found: Tensor = torch.stack([table(categories[:, at]) for at, table in enumerate(tables)]).sum(dim=0)
    return found
