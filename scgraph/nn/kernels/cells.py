"""Whole cells through a model in one compiled loop: what `CellModel.embed` computes, one cell after another.

The arithmetic of a cell sees that cell alone, so its vector is the same in any order, in any piece of a file and on any
number of threads, to the last bit. The modules themselves are the plain form; `scgraph.nn.compiled_model` prepares the
weights.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scgraph.nn.kernels.compiled import activate, compiled, exponentials, standardize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = ["GELU", "KINDS", "MEAN", "NORMED_MEAN", "POOLED", "ROWS", "SOFTMAX", "SYMMETRIC", "CellWeights", "run_cells"]

ROWS, SYMMETRIC, SOFTMAX = 0, 1, 2
"""Weights between genes: ``D⁻¹ φ(T) φ(S)ᵀ``, ``D^-1/2 φ(T) φ(S)ᵀ D^-1/2`` and ``softmax(T Sᵀ)``."""

MEAN, NORMED_MEAN, POOLED = 0, 1, 2
"""Readouts: mean of the features, of their norm, and the pooled one."""

KINDS = {"log1p": 0, "sqrt": 1, "pearson": 2}
"""Numbers of the value transforms."""

GELU = 2
_TILE = 128
"""Receiving genes whose weights are formed at a time: they stay in the cache until they are used."""

_FORGOTTEN, _KEPT, _KNOWN = 0, 1, 2
_SAFE = np.float32(40.0)
"""Logits up to this size need no shift: the sum of their exponentials is far from both ends of float32."""

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_THOUSAND, _TEN_THOUSAND = np.float32(1000.0), np.float32(10_000.0)


class CellWeights(NamedTuple):
    """A model as arrays, float32: V genes, C channels, R rank, L layers, K layers of width W on the vector of the cell.

    Attributes:
        first: what a gene brings without its value ``[V + 1, k, C / k]``.
        value: what its k transformed values multiply, of the same shape, or one row for all genes.
        kinds: numbers of the value transforms, int64 ``[k]``.
        pearson: weights of the Pearson values ``[V + 1]``, and `largest`, ``[1]``.
        target: receiving tables ``[1 or L, V + 1, R]``; positive where `mixing` is not `SOFTMAX`.
        source: sending tables.
        maps: ``diag(w) Θᵀ`` with the weights w of the norm in front, ``[L, C, C]``.
        shifts: what the bias of that norm and of the map add ``[L, C]``.
        eps: of the norms ``[L]``.
        numbers: mixing, activation, readout and the first number of genes whose weights are not kept, int64 ``[4]``.
        norm: weight, bias of the last norm, scale, bias and gate of the pooled readout, and the size of its linear part
            in front of the vector, ``[6, C]``, and `norm_eps` of the norm.
        inner: ``diag(w) W₁ᵀ`` of the layers of the cell ``[K, C, W]``, `inner_shifts` ``[K, W]``.
        outer: ``W₂ᵀ`` ``[K, W, C]``, `outer_shifts` ``[K, C]``; `cell_eps` ``[K]``.
    """

    first: Floats
    value: Floats
    kinds: NDArray[np.int64]
    pearson: Floats
    largest: Floats
    target: Floats
    source: Floats
    maps: Floats
    shifts: Floats
    eps: Floats
    numbers: NDArray[np.int64]
    norm: Floats
    norm_eps: Floats
    inner: Floats
    inner_shifts: Floats
    outer: Floats
    outer_shifts: Floats
    cell_eps: Floats


@compiled
def run_cells(
    weights: CellWeights,
    starts: NDArray[np.int64],
    genes: NDArray[np.int32],
    values: Floats,
    whole_starts: NDArray[np.int64],
    whole_genes: NDArray[np.int32],
    whole_values: Floats,
    out: Floats,
) -> None:
    """Write the vectors of cells.

    Args:
        weights: the model.
        starts: row starts of the genes that the blocks see ``[B + 1]``.
        genes: their ids ``[N]``, none of them 0.
        values: their values ``[N]``.
        whole_starts: row starts of all expressed genes ``[B + 1]``; the blocks see all where ``whole_starts[-1]`` is 0.
        whole_genes: their ids.
        whole_values: their values.
        out: the vectors ``[B, C]``, or ``[B, 2 C]`` with the linear part of the pooled readout in front.
    """
    cells, kinds = len(starts) - 1, weights.first.shape[1]
    channels = kinds * weights.first.shape[2]
    layers, rank = weights.maps.shape[0], weights.target.shape[2]
    mixing, activation, readout, streamed = weights.numbers
    longest = 1
    for cell in range(cells):
        longest = max(longest, starts[cell + 1] - starts[cell])
    widest = longest
    if whole_starts[-1] > 0:
        for cell in range(cells):
            widest = max(widest, whole_starts[cell + 1] - whole_starts[cell])
    scales = np.empty((widest, kinds), np.float32)
    x = np.empty((longest, channels), np.float32)
    normed = np.empty((longest, channels), np.float32)
    y = np.empty((longest, channels), np.float32)
    target = np.empty((longest, rank), np.float32)
    source = np.empty((longest, rank), np.float32)
    total = np.empty(rank, np.float32)
    thin = np.empty((rank, channels), np.float32)
    mixed = np.empty((rank, channels), np.float32)
    # The weights of all pairs, where layers share them; else of a tile.
    shared = weights.target.shape[0] == 1 and layers > 1
    rows = min(longest, streamed) if shared else min(_TILE, longest)
    pairs = np.empty(max(rows, _TILE) * longest if mixing == SOFTMAX else 0, np.float32)
    powers, sums = np.empty(longest, np.int32), np.empty(longest, np.float32)
    pooled, added = np.empty(channels, np.float32), np.empty(channels, np.float32)
    hidden = np.empty((1, weights.inner.shape[2]), np.float32)
    result = np.empty((1, channels), np.float32)
    front = out.shape[1] - channels
    for cell in range(cells):
        begin, count = starts[cell], starts[cell + 1] - starts[cell]
        here = slice(begin, begin + count)
        _transform(weights, genes[here], values[here], scales)
        _embed_genes(weights, genes[here], scales, x.reshape(longest, kinds, -1), y.reshape(longest, kinds, -1),
                     pooled.reshape(kinds, -1))  # fmt: skip
        # The same sum in the same way for a cell that is seen whole, whatever the cells beside it need.
        if whole_starts[-1] > 0 and whole_starts[cell + 1] - whole_starts[cell] > count:
            there = slice(whole_starts[cell], whole_starts[cell + 1])
            _transform(weights, whole_genes[there], whole_values[there], scales)
            _sum_genes(weights, whole_genes[there], scales, pooled.reshape(kinds, -1))
        added[:] = _ZERO
        kept = shared and count < streamed
        for layer in range(layers):
            standardize(x[:count], weights.eps[layer], normed[:count])
            if layer == 0 or weights.target.shape[0] > 1:
                table = layer if weights.target.shape[0] > 1 else 0
                for at in range(count):
                    target[at] = weights.target[table, genes[begin + at]]
                    source[at] = weights.source[table, genes[begin + at]]
                if mixing != SOFTMAX:
                    _scale_tables(target[:count], source[:count], total, mixing)
            if mixing == SOFTMAX:
                stage = _FORGOTTEN if not kept else _KEPT if layer == 0 else _KNOWN
                _mix_softmax(weights, layer, target[:count], source[:count], normed[:count], y[:count], pairs, powers,
                             sums, stage)  # fmt: skip
            else:
                _mix_thin(weights, layer, target[:count], source[:count], total, normed[:count], thin, mixed,
                          y[:count])  # fmt: skip
            activate(y[:count], activation)
            for at in range(count):
                for column in range(channels):
                    x[at, column] += y[at, column]
                    added[column] += y[at, column]
        share = _ONE / np.float32(count)
        if readout == POOLED:
            for column in range(channels):
                linear = pooled[column] * weights.norm[2, column] + weights.norm[3, column]
                if front:
                    out[cell, column] = weights.norm[5, column] * linear
                result[0, column] = linear + weights.norm[4, column] * (added[column] * share)
        else:
            if readout == NORMED_MEAN:
                standardize(x[:count], weights.norm_eps[0], normed[:count])
            source_rows = normed if readout == NORMED_MEAN else x
            added[:] = _ZERO
            for at in range(count):
                for column in range(channels):
                    added[column] += source_rows[at, column]
            for column in range(channels):
                mean = added[column] * share
                result[0, column] = mean
                if readout == NORMED_MEAN:
                    result[0, column] = mean * weights.norm[0, column] + weights.norm[1, column]
        _run_cell_layers(weights, result, normed[:1], hidden)
        out[cell, front:] = result[0]


@compiled
def _transform(weights: CellWeights, genes: NDArray[np.int32], values: Floats, scales: Floats) -> None:
    """Write what `scgraph.nn.transforms.ValueTransform` makes of values, a column a kind."""
    for at in range(len(values)):
        part = np.float32(math.expm1(values[at])) / _TEN_THOUSAND
        for number in range(len(weights.kinds)):
            kind = weights.kinds[number]
            if kind == 0:
                scales[at, number] = values[at]
            elif kind == 1:
                scales[at, number] = np.float32(math.sqrt(_THOUSAND * part))
            else:
                scaled = part * weights.pearson[genes[at]]
                scales[at, number] = weights.largest[0] if scaled > weights.largest[0] else scaled


@compiled
def _embed_genes(
    weights: CellWeights, genes: NDArray[np.int32], scales: Floats, x: Floats, rows: Floats, pooled: Floats
) -> None:
    """Write the features of genes ``[G, k, C / k]`` and the sum of what their values bring ``[k, C / k]``."""
    kinds, width = pooled.shape
    pooled[:] = _ZERO
    # First all rows are fetched, then computed with: the processor waits for many of them at once.
    for at in range(len(genes)):
        gene = genes[at]
        row = gene if weights.value.shape[0] > 1 else 0
        for number in range(kinds):
            for column in range(width):
                x[at, number, column] = weights.first[gene, number, column]
            for column in range(width):
                rows[at, number, column] = weights.value[row, number, column]
    for at in range(len(genes)):
        for number in range(kinds):
            scale = scales[at, number]
            for column in range(width):
                part = scale * rows[at, number, column]
                x[at, number, column] += part
                pooled[number, column] += part


@compiled
def _sum_genes(weights: CellWeights, genes: NDArray[np.int32], scales: Floats, pooled: Floats) -> None:
    """Sum up what the values of all expressed genes of a cell bring, ``[k, C / k]``; of one row a gene only."""
    pooled[:] = _ZERO
    for at in range(len(genes)):
        for number in range(pooled.shape[0]):
            scale = scales[at, number]
            for column in range(pooled.shape[1]):
                pooled[number, column] += scale * weights.value[genes[at], number, column]


@compiled
def _add_scaled(scale: Any, row: Floats, out: Floats) -> None:
    for column in range(len(out)):
        out[column] += scale * row[column]


@compiled
def _scale_tables(target: Floats, source: Floats, total: Floats, mixing: int) -> None:
    """Scale two positive tables in place, as `row_normalized` and `symmetric_normalized` of the plain form do.

    The sum of the rows that send goes into `total`, ``[R]``.
    """
    genes, rank = target.shape
    total[:] = _ZERO
    for at in range(genes):
        for column in range(rank):
            total[column] += source[at, column]
    for at in range(genes):
        degree = _ZERO
        for column in range(rank):
            degree += target[at, column] * total[column]
        degree = degree if degree > 0 else _ONE
        scale = _ONE / degree if mixing == ROWS else _ONE / np.float32(math.sqrt(degree))
        for column in range(rank):
            target[at, column] *= scale
        if mixing == SYMMETRIC:
            for column in range(rank):
                source[at, column] *= scale
    if mixing == SYMMETRIC:
        total[:] = _ZERO
        for at in range(genes):
            for column in range(rank):
                total[column] += source[at, column]


@compiled
def _mix_thin(
    weights: CellWeights, layer: int, target: Floats, source: Floats, total: Floats, normed: Floats, thin: Floats,
    mixed: Floats, y: Floats,
) -> None:  # fmt: skip
    """``T (Sᵀ X) Θ``: the map is applied to R rows and not to G."""
    np.dot(source.T, normed, thin)
    np.dot(thin, weights.maps[layer], mixed)
    for row in range(mixed.shape[0]):
        _add_scaled(total[row], weights.shifts[layer], mixed[row])
    np.dot(target, mixed, y)


@compiled
def _mix_softmax(
    weights: CellWeights, layer: int, target: Floats, source: Floats, normed: Floats, y: Floats,
    pairs: Floats, powers: NDArray[np.int32], sums: Floats, stage: int,
) -> None:  # fmt: skip
    """``softmax(T Sᵀ) X Θ``, some receiving genes at a time; `stage` says whether exponentials stay or are there."""
    genes, channels = normed.shape
    mapped = np.dot(normed, weights.maps[layer])
    shifted = _largest_row(target) * _largest_row(source) > _SAFE
    for begin in range(0, genes, _TILE):
        end = min(begin + _TILE, genes)
        place = 0 if stage == _FORGOTTEN else begin * genes
        tile = pairs[place : place + (end - begin) * genes].reshape(end - begin, genes)
        if stage != _KNOWN:
            np.dot(target[begin:end], source.T, tile)
            if shifted:
                _subtract_largest(tile)
            exponentials(tile, powers, sums[begin:end])
        if stage == _FORGOTTEN:
            np.dot(tile, mapped, y[begin:end])
    if stage != _FORGOTTEN:  # all of them are there, and one large product is quicker than its parts
        np.dot(pairs[: genes * genes].reshape(genes, genes), mapped, y)
    for at in range(genes):
        scale = _ONE / sums[at]
        for column in range(channels):
            y[at, column] = y[at, column] * scale + weights.shifts[layer, column]


@compiled
def _largest_row(table: Floats) -> Any:
    """The length of the longest row: no product of rows is larger than that of two such."""
    most = _ZERO
    for at in range(table.shape[0]):
        total = _ZERO
        for column in range(table.shape[1]):
            total += table[at, column] * table[at, column]
        most = max(most, total)
    return np.float32(math.sqrt(most))


@compiled
def _subtract_largest(logits: Floats) -> None:
    for row in range(logits.shape[0]):
        most = logits[row, 0]
        for column in range(logits.shape[1]):
            most = max(most, logits[row, column])
        for column in range(logits.shape[1]):
            logits[row, column] -= most


@compiled
def _run_cell_layers(weights: CellWeights, vector: Floats, normed: Floats, hidden: Floats) -> None:
    """Run the residual layers on the vector of a cell, in place."""
    for layer in range(weights.inner.shape[0]):
        standardize(vector, weights.cell_eps[layer], normed)
        hidden[0] = weights.inner_shifts[layer]
        for row in range(vector.shape[1]):
            for column in range(hidden.shape[1]):
                hidden[0, column] += normed[0, row] * weights.inner[layer, row, column]
        activate(hidden, GELU)
        for column in range(vector.shape[1]):
            vector[0, column] += weights.outer_shifts[layer, column]
        for row in range(hidden.shape[1]):
            for column in range(vector.shape[1]):
                vector[0, column] += hidden[0, row] * weights.outer[layer, row, column]
