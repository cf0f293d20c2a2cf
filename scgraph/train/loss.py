"""The loss of masked value prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["mvp_loss"]


def mvp_loss(prediction: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    r"""Mean squared error over the masked genes of a batch.

    .. math:: L = \frac{1}{|M|} \sum_{(b, g) \in M} (\hat v_{bg} - v_{bg})^2

    The mean runs over all masked genes of the batch together, so a cell counts by how many of its genes
    are masked. The sum is taken in float32 whatever the precision of the model. Without any masked gene
    the loss is 0 and its gradient is 0.

    Args:
        prediction: predicted log-normalised expression `[B, G]`.
        values: measured log-normalised expression `[B, G]`.
        mask: true where the value was hidden from the model `[B, G]`.

    Returns:
        A scalar.

    Source: Equation 5 of "Graph Neural Networks as a Substitute for Transformers in
    Single-Cell Transcriptomics". The paper adds up the masked genes of a cell; here they are averaged, so
    the loss of cells with many and with few genes stands on one scale.
    """
    # Multiplying by the mask instead of indexing keeps the shape free of the data, so the device never waits.
    error = (prediction.float() - values.float()).masked_fill(~mask, 0.0)
    return error.square().sum() / mask.sum().clamp(min=1)
