"""The network: a cell line is a gene graph, a drug a fingerprint, and a pair of drugs has no order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scgraph.nn import CellModel

__all__ = ["FingerprintEncoder", "SynergyNetwork"]


class FingerprintEncoder(nn.Module):
    """``W₂ gelu(W₁ f + b₁) + b₂`` of the fingerprint of every drug. Returns ``[D, H]``.

    Args:
        fingerprint: of all drugs, ``[D, B]``.
        width: H.
    """

    fingerprint: Tensor

    def __init__(self, fingerprint: NDArray[np.float32], width: int) -> None:
        super().__init__()
        self.register_buffer("fingerprint", torch.from_numpy(fingerprint), persistent=False)
        self.layers = nn.Sequential(nn.Linear(fingerprint.shape[1], width), nn.GELU(), nn.Linear(width, width))

    def forward(self) -> Tensor:
        """Encode all drugs."""
        encoded: Tensor = self.layers(self.fingerprint)
        return encoded


class SynergyNetwork(nn.Module):
    r"""Score of two drugs on a cell line, the same in both orders.

    .. math::
        u_{dc} = \mathrm{gelu}(U [h_d, z_c]) \qquad
        \hat y_{abc} = w^T \mathrm{gelu}(V [u_{ac} + u_{bc},\; u_{ac} ∘ u_{bc},\; |u_{ac} - u_{bc}|,\; z_c])

    with ``h_d`` of the drug encoder, and ``z_c`` a linear map of the vector that the cell model gives the line, its
    genes one graph. Sum, product and absolute difference know no order. w starts at zero: an untrained network
    predicts 0, the mean of standardised scores.

    Args:
        cell_model: embeds a line, ``[L, G]`` to ``[L, C]``.
        drug_encoder: a module without arguments that returns all drugs, ``[D, H]``.
        width: H.
        dropout: share of the features of a pair that is dropped in training.
        hidden_lines: share of the training rows whose line is hidden (``z_c = 0``), so that the pair alone is learned
            from too.
        line_noise: standard deviation of normal noise on ``z_c`` in training: a few lines are soon known by heart.

    Shapes:
        pairs ``[n, 2]``, line ``[n]``, genes and values of the lines ``[L, G]`` to ``[n]``.
    """

    def __init__(
        self,
        cell_model: CellModel,
        drug_encoder: nn.Module,
        width: int,
        *,
        dropout: float,
        hidden_lines: float = 0.0,
        line_noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.cell_model = cell_model
        self.hidden_lines, self.line_noise = hidden_lines, line_noise
        self.drug_encoder = drug_encoder
        self.line = nn.Linear(cell_model.width, width)
        self.meet = nn.Linear(2 * width, width)
        self.hidden = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(width, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, pairs: Tensor, line: Tensor, genes: Tensor, values: Tensor) -> Tensor:
        """Predict standardised scores; only the lines that `line` names are embedded."""
        named, place = torch.unique(line, return_inverse=True)
        z = self.line(self.cell_model.embed(genes[named], values[named]))[place]
        if self.training:
            z = z + self.line_noise * torch.randn_like(z)
            z = z * (torch.rand(len(z), 1, device=z.device) >= self.hidden_lines)
        drugs = self.drug_encoder()
        one, other = (nn.functional.gelu(self.meet(torch.cat([drugs[pairs[:, side]], z], dim=1))) for side in range(2))
        pair = torch.cat([one + other, one * other, (one - other).abs(), z], dim=1)
        found: Tensor = self.score(self.dropout(nn.functional.gelu(self.hidden(pair))))
        return found.squeeze(1)
