"""The losses of a pretraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from scgraph.train.loader import CellLoader

if TYPE_CHECKING:
    from torch import Tensor

    from scgraph.config import TrainConfig
    from scgraph.data import CellStore
    from scgraph.nn import CellModel

__all__ = ["count_loss", "masked_value_loss", "mvp_loss", "neighbor_loss", "validation_loss"]


def mvp_loss(prediction: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over the masked genes of a batch.

    ``L = (1/|M|) Σ_(b,g)∈M (p_bg - v_bg)²`` with the predictions p, the values v and the masked genes M.

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


def count_loss(log_shares: Tensor, genes: Tensor, shares: Tensor, cells: Tensor) -> Tensor:
    r"""Multinomial negative log-likelihood of the counts of cells, in nats a count, averaged over the cells.

    .. math:: L = -\frac{1}{B} \sum_b \sum_g \frac{c_{bg}}{\sum_h c_{bh}} \log p_{bg}

    A cell counts once however deep it is. Cells without counts to predict add 0.

    Args:
        log_shares: logarithms of the expected shares :math:`p` of all genes, `[B, V]`; gene g is column g - 1.
        genes: ids of the genes with counts, `[M]`.
        shares: their shares of the counts of their cell, `[M]`.
        cells: their cells, `[M]`.

    Returns:
        A scalar.
    """
    flat = log_shares.reshape(-1)[cells * log_shares.shape[1] + genes - 1]
    return -(flat * shares).sum() / len(log_shares)


def neighbor_loss(cell: Tensor, vectors: Tensor) -> Tensor:
    r"""Mean squared distance, by channel, between vectors of cells and where they are drawn to.

    .. math:: L = \frac{1}{B C} \sum_b \lVert z_b - t_b \rVert^2

    Args:
        cell: vectors `[B, C]`.
        vectors: where they are drawn to, see `scgraph.train.neighbors.neighbor_targets`, `[B, C]`.

    Returns:
        A scalar.
    """
    return (cell.float() - vectors).square().mean()


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


def validation_loss(model: CellModel, store: CellStore, config: TrainConfig) -> float:
    """Return a loss of all cells that models of other settings compare by, as one configuration measures it.

    Of masked values where `config` masks some, see `masked_value_loss`; otherwise `count_loss` of the counts that its
    thinning leaves, a cell counting once. The network stays on its device and in its mode.

    Args:
        model: the network; one that masks nothing has a cell head.
        store: the cells, on the vocabulary of the network.
        config: what is shown, hidden and thinned.
    """
    if config.mvp_loss > 0:
        return masked_value_loss(model, store, config)
    weight, was_training, total, cells = next(model.parameters()), model.training, 0.0, 0
    bags = model.pooled_readout is not None
    model.eval()
    try:
        with torch.no_grad():
            for batch in CellLoader(store, config, shuffle=False, zeros=model.sees_zeros, bags=bags):
                seen = batch.to(weight.device)
                assert seen.count_genes is not None
                assert seen.count_shares is not None
                assert seen.count_cells is not None
                out = model(seen.genes, seen.values.to(weight.dtype), seen.mask, padded=batch.padded, bag=seen.bag)
                loss = count_loss(model.log_shares(out.cell), seen.count_genes, seen.count_shares, seen.count_cells)
                total += float(loss) * len(batch.rows)
                cells += len(batch.rows)
    finally:
        model.train(was_training)
    return total / cells if cells else float("nan")
