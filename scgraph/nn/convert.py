"""Layers of PyTorch and PyTorch Geometric as layers of the zoo with the same weights, and `gnn` as attention.

Attention is message passing on the complete graph (Joshi, "Transformers are graph neural networks"). Each function
takes a layer and returns one of ours that computes the same on the complete graph of a cell, outputs and gradients;
what has no counterpart is refused. Dtype, device and training mode are taken over, parameters are copied, and a bias
that the given layer lacks becomes zero.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu

from scgraph.errors import ConfigError
from scgraph.nn.block import Block
from scgraph.nn.conv.gat import GATConv
from scgraph.nn.conv.transformer import TransformerConv

if TYPE_CHECKING:
    from torch_geometric.nn import GATConv as PyGGATConv
    from torch_geometric.nn import TransformerConv as PyGTransformerConv

    from scgraph.nn.adjacency import AdjacencyView
    from scgraph.nn.conv.gnn import GNNConv

__all__ = [
    "block_from_encoder_layer",
    "gat_from_pyg",
    "transformer_from_attention",
    "transformer_from_gnn",
    "transformer_from_pyg",
    "with_tables",
]


def transformer_from_attention(attention: nn.MultiheadAttention) -> TransformerConv:
    """Return `tf` with the weights of ``attention(x, x, x)``.

    `batch_first` says how the given layer is called and changes no weight; ours takes ``[B, G, C]``.

    Raises:
        ConfigError: keys or values of another width, or with entries that belong to no gene.
    """
    width = attention.embed_dim
    _refuse(
        "nn.MultiheadAttention",
        {
            f"kdim={attention.kdim} (embed_dim is {width})": attention.kdim != width,
            f"vdim={attention.vdim} (embed_dim is {width})": attention.vdim != width,
            "add_bias_kv=True": attention.bias_k is not None,
            "add_zero_attn=True": attention.add_zero_attn,
        },
    )
    new = TransformerConv(width, heads=attention.num_heads, attention_dropout=attention.dropout)
    _like(new, attention)
    with torch.no_grad():
        new.query_key_value.weight.copy_(attention.in_proj_weight)
        _copy_bias(new.query_key_value, attention.in_proj_bias)
    _copy(new.out, attention.out_proj)
    return new


def block_from_encoder_layer(layer: nn.TransformerEncoderLayer) -> Block:
    """Return a `Block` around `tf` with the weights of a whole Transformer layer, norms in front or behind.

    All dropouts are taken over, so it can go on training too.

    Raises:
        ConfigError: an activation that is neither relu nor exact gelu, or attention that is refused.
    """
    inner = _activation(layer.activation)
    block = Block(
        transformer_from_attention(layer.self_attn),
        activation="none",
        feed_forward=layer.linear1.out_features,
        dropout=layer.dropout1.p,
        norm_first=layer.norm_first,
        inner=nn.Sequential(inner, nn.Dropout(layer.dropout.p)),
    )
    _like(block, layer)
    assert block.feed_forward is not None
    norm, first, _, second, dropout = block.feed_forward
    assert isinstance(dropout, nn.Dropout)
    dropout.p = layer.dropout2.p
    for ours, theirs in ((block.norm, layer.norm1), (norm, layer.norm2)):
        assert isinstance(ours, nn.LayerNorm)
        ours.eps = theirs.eps
        _copy(ours, theirs)
    _copy(first, layer.linear1)
    _copy(second, layer.linear2)
    return block


def transformer_from_pyg(conv: PyGTransformerConv) -> TransformerConv:
    """Return `tf` with the weights of PyG's `TransformerConv`, which has no output map: ours is the identity.

    Raises:
        ConfigError: the PyG layer gates, averages heads, reads attributes, changes width or does not add up.
    """
    _refuse("torch_geometric.nn.TransformerConv", _common(conv) | {"beta=True": conv.beta})
    new = TransformerConv(
        conv.in_channels, heads=conv.heads, root_weight=conv.root_weight, attention_dropout=conv.dropout
    )
    _like(new, conv)
    parts = (conv.lin_query, conv.lin_key, conv.lin_value)
    with torch.no_grad():
        new.query_key_value.weight.copy_(torch.cat([part.weight for part in parts]))
        _copy_bias(new.query_key_value, None if parts[0].bias is None else torch.cat([part.bias for part in parts]))
        nn.init.eye_(new.out.weight)
        nn.init.zeros_(new.out.bias)
    if new.root is not None:
        _copy(new.root, conv.lin_skip)
    return new


def gat_from_pyg(conv: PyGGATConv) -> GATConv:
    """Return `gat` with the weights of PyG's `GATConv`; an edge attribute of width 1 becomes the static logit.

    The complete graph holds j = i, so self loops that the PyG layer adds change nothing, unless it reads edge
    attributes: it would give those loops others than their own.

    Raises:
        ConfigError: the PyG layer averages heads, has a residual, drops weights, changes width or does not add up.
    """
    attributed = conv.edge_dim is not None
    _refuse(
        "torch_geometric.nn.GATConv",
        _common(conv, edge_dims=(None, 1))
        | {
            "residual=True": conv.residual,
            f"dropout={conv.dropout} (set it to 0 where the layer is not trained further)": conv.dropout > 0,
            f"add_self_loops=True with edge_dim={conv.edge_dim}": attributed and conv.add_self_loops,
        },
    )
    new = GATConv(conv.in_channels, heads=conv.heads, use_adjacency=attributed, negative_slope=conv.negative_slope)
    _like(new, conv)
    with torch.no_grad():
        new.linear.weight.copy_(conv.lin.weight)
        new.target.copy_(conv.att_dst[0])
        new.source.copy_(conv.att_src[0])
        if new.edge is not None:
            new.edge.copy_((conv.lin_edge.weight.view(conv.heads, -1) * conv.att_edge[0]).sum(-1))
        nn.init.zeros_(new.bias)
        if conv.bias is not None:
            new.bias.copy_(conv.bias)
    return new


def transformer_from_gnn(conv: GNNConv, rank: int) -> TransformerConv:
    """Return `tf` that computes what `gnn` does: attention whose queries and keys are constants of the genes.

    The features of a gene are what `gnn` is given and, behind it, the gene's rows of the two tables, as
    `with_tables` puts them: ``[x_i, t_i, s_i]``, W = C + 2R numbers. The query map reads t_i alone and the key map
    s_i alone, so ``q_i · k_j / √W = t_i · s_j`` whatever the cell; the value map is Θ. The first C channels of the
    output are those of `gnn`, the others zero.

    Args:
        conv: the layer.
        rank: width R of the tables of its adjacency.
    """
    channels, width = conv.channels, conv.channels + 2 * rank
    new = TransformerConv(width, heads=1)
    _like(new, conv)
    query, key, value = new.query_key_value.weight.detach().view(3, width, width)
    with torch.no_grad():
        new.query_key_value.weight.zero_()
        new.query_key_value.bias.zero_()
        # Each side takes half of the √W that attention divides by.
        query[:rank, channels : channels + rank].fill_diagonal_(width**0.25)
        key[:rank, channels + rank :].fill_diagonal_(width**0.25)
        value[:channels, :channels] = conv.linear.weight
        new.query_key_value.bias[2 * width : 2 * width + channels] = conv.linear.bias
        nn.init.eye_(new.out.weight)
        nn.init.zeros_(new.out.bias)
    return new


def with_tables(x: Tensor, view: AdjacencyView) -> Tensor:
    """Put the rows of the tables behind the features, ``[B, G, C]`` to ``[B, G, C + 2R]``."""
    return torch.cat([x, view.target, view.source], dim=-1)


def _common(conv: PyGTransformerConv | PyGGATConv, edge_dims: tuple[int | None, ...] = (None,)) -> dict[str, bool]:
    out = conv.heads * conv.out_channels
    return {
        f"edge_dim={conv.edge_dim}": conv.edge_dim not in edge_dims,
        f"concat=False of {conv.heads} heads": conv.heads > 1 and not conv.concat,
        f"in_channels={conv.in_channels} for {out} out": conv.in_channels != out,
        f"aggr={conv.aggr!r}": conv.aggr not in ("add", "sum"),
    }


def _refuse(name: str, findings: dict[str, bool]) -> None:
    unsupported = [what for what, present in findings.items() if present]
    if unsupported:
        raise ConfigError(f"This {name} has no counterpart in the zoo because of {', '.join(unsupported)}.")


def _activation(activation: object) -> nn.Module:
    if activation is relu or isinstance(activation, nn.ReLU):
        return nn.ReLU()
    if activation is gelu or (isinstance(activation, nn.GELU) and activation.approximate == "none"):
        return nn.GELU()
    name = getattr(activation, "__name__", activation)
    raise ConfigError(f"This nn.TransformerEncoderLayer has the activation {name}; relu and exact gelu are taken over.")


def _like(new: nn.Module, given: nn.Module) -> None:
    # Before anything is copied: through float32, float64 weights would lose half of their digits.
    first = next(chain(given.parameters(), given.buffers()))
    new.to(device=first.device, dtype=first.dtype)
    new.train(given.training)


def _copy(ours: nn.Module, theirs: nn.Module) -> None:
    assert isinstance(ours, nn.Linear | nn.LayerNorm)
    with torch.no_grad():
        ours.weight.copy_(theirs.weight)  # type: ignore[arg-type]
        _copy_bias(ours, theirs.bias)  # type: ignore[arg-type]


def _copy_bias(ours: nn.Linear | nn.LayerNorm, bias: Tensor | None) -> None:
    with torch.no_grad():
        ours.bias.zero_()
        if bias is not None:
            ours.bias.copy_(bias)
