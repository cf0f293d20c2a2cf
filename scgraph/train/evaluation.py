"""The loss of masked value prediction of a network on cells it does not learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from scgraph.train.loader import CellLoader
from scgraph.train.loss import mvp_loss

if TYPE_CHECKING:
    from scgraph.config import TrainConfig
    from scgraph.data import CellStore
    from scgraph.nn import CellModel

__all__ = ["masked_value_loss"]


def masked_value_loss(model: CellModel, store: CellStore, config: TrainConfig) -> float:
    """Return the mean squared error of the hidden values of all cells, a masked gene counting once.

    Of a network with a decoder it is that of expressed genes alone, hidden among masked zeros. `genes`,
    `mask_share`, `zero_genes`, `zero_mask_share`, `batch_size` and `seed` of `config` say what is seen and hidden.
    They need not be those the network was trained with: networks trained with different mask shares compare under
    one. The network stays on its device and in its mode.

    Args:
        model: the network.
        store: the cells, on the vocabulary of the network.
        config: as above.
    """
    weight, was_training = next(model.parameters()), model.training
    total, masked = 0.0, 0
    model.eval()
    try:
        with torch.no_grad():
            for batch in CellLoader(store, config, shuffle=False, zeros=model.sees_zeros):
                seen = batch.to(weight.device)
                out = model(seen.genes, seen.values.to(weight.dtype), seen.mask, padded=batch.padded)
                hidden = int(batch.masked_expressed.sum())
                total += float(mvp_loss(out.values, seen.values, seen.masked_expressed)) * hidden
                masked += hidden
    finally:
        model.train(was_training)
    return total / masked if masked else float("nan")
