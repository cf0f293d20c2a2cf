"""What a model expects of the counts of a cell, from the vector of the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scgraph.config import TrainConfig
    from scgraph.nn import CellModel

__all__ = ["expected_fractions", "expects_counts"]


def expects_counts(model: CellModel, training: TrainConfig) -> bool:
    """Tell whether a model has a decoder of counts: a cell head that is trained on them and not on values."""
    return model.cell_head is not None and training.count_loss > 0


def expected_fractions(model: CellModel, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the share that every gene of the vocabulary is expected to have in the counts of each cell.

    ``p_g = softmax(P z + b)_g`` of the vector z of a cell, as the cell head gives it; a linear part in front of z is
    not looked at.

    Args:
        model: with a decoder, see `expects_counts`.
        vectors: of the cells as they are embedded, ``[n, width]``.

    Returns:
        ``[n, V]``, float32; rows add up to 1, column g is gene g + 1.
    """
    import torch

    weights = next(model.parameters())
    decoded = np.ascontiguousarray(vectors[:, -model.channels :])
    with torch.inference_mode():
        logs = model.log_shares(torch.from_numpy(decoded).to(weights.device, weights.dtype))
        fractions: NDArray[np.float32] = logs.float().exp().cpu().numpy()
    return fractions
