"""A model as arrays for the compiled loop over whole cells, where it is made of parts that the loop knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from scgraph.nn.block import Block
from scgraph.nn.cell_model import CellModel
from scgraph.nn.kernels.cells import (
    KINDS,
    MEAN,
    NORMED_MEAN,
    POOLED,
    ROWS,
    SOFTMAX,
    SYMMETRIC,
    CellWeights,
    run_cells,
)
from scgraph.nn.readout import LINEAR_SHARE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Rows = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]

__all__ = ["CompiledModel"]

_MIXING = {"rows": ROWS, "symmetric": SYMMETRIC, "softmax": SOFTMAX}
_ACTIVATIONS: tuple[type[nn.Module], ...] = (nn.Identity, nn.ReLU, nn.GELU)
_OWN = ("embed", "encode", "embedded", "restricted", "cell_vector", "linear_vector", "stack")


@dataclass(frozen=True, eq=False)
class CompiledModel:
    """From the genes and values of cells to their vectors, as `CellModel.embed` gives them, up to rounding.

    Every cell is computed by itself, so its vector is a function of that cell alone, to the last bit; calls from
    several threads run at once. It keeps the weights that the model had when it was made.
    """

    weights: CellWeights
    width: int

    @classmethod
    def of(cls, model: CellModel) -> CompiledModel | None:
        """Return the compiled form of a model in float32 on a CPU; None where there is none for its parts.

        There is one for convolutions that say how they mix (`GeneConv.cell_mixing`), in blocks with the norm in front
        and without a feed-forward, without a network that restricts them, on values that are multiplied with a vector,
        and where no forward hook listens.
        """
        parts = _Parts(model)
        if not parts.known():
            return None
        weights = parts.weights()
        tables = (table for table in weights if table.dtype == np.float32)
        # What is not finite is left to the plain form, which says so in the vectors.
        return cls(weights, model.width) if all(np.isfinite(table).all() for table in tables) else None

    def embed(self, seen: Rows, whole: Rows | None = None) -> NDArray[np.float32]:
        """Return the vectors of cells, each of one gene or more, ``[B, width]``.

        Args:
            seen: row starts ``[B + 1]``, genes and values that the blocks see, without padding.
            whole: the same of all expressed genes, for the pooled readout, where those are a sample of them.
        """
        starts, genes, values = seen
        out = np.empty((len(starts) - 1, self.width), np.float32)
        none: Rows = (np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
        run_cells(self.weights, starts, genes, values, *(none if whole is None else whole), out)
        return out


class _Parts:
    """The parts of a model, as far as they matter for the vectors of cells."""

    def __init__(self, model: CellModel) -> None:
        self.model = model
        self.blocks = [block for block in model.blocks if isinstance(block, Block)]
        self.conv: Any = self.blocks[0].conv

    def known(self) -> bool:
        """Say whether the loop knows all of them."""
        model = self.model
        own = all(getattr(type(model), name) is getattr(CellModel, name) for name in _OWN)
        plain = model.network is None and isinstance(model.encoder.value, nn.Linear | nn.Embedding)
        alike = all(
            type(block) is Block
            and block.norm_first
            and block.feed_forward is None
            and type(block.conv) is type(self.conv)
            and type(block.activation) in _ACTIVATIONS
            for block in self.blocks
        )
        mixes = vars(type(self.conv)).get("cell_mixing") in _MIXING
        alone = all(
            parameter.dtype == torch.float32 and parameter.device.type == "cpu" for parameter in model.parameters()
        )
        heard = any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
        return own and plain and alike and mixes and alone and not heard

    def weights(self) -> CellWeights:
        """Return them as arrays."""
        model, encoder = self.model, self.model.encoder
        first = encoder.gene.weight.detach()
        if model.positions is not None:
            first = first + model.positions.linear(model.positions.encoding).detach()
        if isinstance(encoder.value, nn.Linear):
            first = first + encoder.value.bias.detach()
            value = encoder.value.weight.detach().T
        else:
            assert isinstance(encoder.value, nn.Embedding)
            value = encoder.value.weight.detach()
        transform = encoder.transform
        pearson = "pearson" in transform.kinds
        maps = [_after_norm(block.norm, block.conv.linear) for block in self.blocks]
        return CellWeights(
            first=_array(first.reshape(len(first), len(transform.kinds), -1)),
            value=_array(value.reshape(len(value), len(transform.kinds), -1)),
            kinds=np.asarray([KINDS[kind] for kind in transform.kinds], dtype=np.int64),
            pearson=_array(transform.weight) if pearson else np.zeros(1, np.float32),
            largest=_array(transform.largest.reshape(1)) if pearson else np.zeros(1, np.float32),
            **self._tables(),
            maps=_stacked([table for table, _ in maps]),
            shifts=_stacked([shift for _, shift in maps]),
            eps=np.asarray([block.norm.eps for block in self.blocks], dtype=np.float32),
            numbers=self._numbers(),
            **self._readout(),
            **self._cell_layers(),
        )

    def _numbers(self) -> NDArray[np.int64]:
        model, activation = self.model, _ACTIVATIONS.index(type(self.blocks[0].activation))
        readout = MEAN if not model.readout_norm else NORMED_MEAN
        if model.pooled_readout is not None:
            readout = POOLED
        mixing = _MIXING[type(self.conv).cell_mixing]
        return np.asarray([mixing, activation, readout, getattr(self.conv, "stream_from", 1)], dtype=np.int64)

    def _tables(self) -> dict[str, NDArray[np.float32]]:
        softmax = type(self.conv).cell_mixing == "softmax"

        def table(side: str) -> NDArray[np.float32]:
            learned = [getattr(tables, side).detach() for tables in self.model.stack.tables]
            return _stacked([one if softmax else nn.functional.softplus(one) for one in learned])

        return {"target": table("target"), "source": table("source")}

    def _readout(self) -> dict[str, NDArray[np.float32]]:
        model, pooled = self.model, self.model.pooled_readout
        rows: list[Tensor] = [model.norm.weight, model.norm.bias]
        rows += [torch.zeros(model.channels)] * 3 if pooled is None else [pooled.scale, pooled.bias, pooled.gate]
        rows.append(torch.full((model.channels,), LINEAR_SHARE))
        return {
            "norm": _stacked([row.detach() for row in rows]),
            "norm_eps": np.asarray([model.norm.eps], dtype=np.float32),
        }

    def _cell_layers(self) -> dict[str, NDArray[np.float32]]:
        layers: list[Any] = [] if self.model.cell_layers is None else list(self.model.cell_layers.layers)
        channels = self.model.channels
        width = layers[0][1].out_features if layers else 1
        maps = [_after_norm(norm, inner) for norm, inner, _, _ in layers]
        return {
            "inner": _stacked([table for table, _ in maps], channels, width),
            "inner_shifts": _stacked([shift for _, shift in maps], width),
            "outer": _stacked([outer.weight.detach().T for *_, outer in layers], width, channels),
            "outer_shifts": _stacked([outer.bias.detach() for *_, outer in layers], channels),
            "cell_eps": np.asarray([norm.eps for norm, *_ in layers], dtype=np.float32),
        }


def _after_norm(norm: nn.LayerNorm, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Return table and shift of a linear map behind a norm, so that the norm needs no weights of its own."""
    table, weight = linear.weight.detach().double().T, norm.weight.detach().double()
    shift = norm.bias.detach().double() @ table + linear.bias.detach().double()
    return (weight.unsqueeze(1) * table).float(), shift.float()


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().numpy())


def _stacked(tensors: list[Tensor], *shape: int) -> NDArray[np.float32]:
    """Stack arrays of one shape, of which there may be none."""
    if not tensors:
        return np.empty((0, *shape), np.float32)
    return np.ascontiguousarray(torch.stack(tensors).numpy())
