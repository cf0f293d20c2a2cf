"""Telling counts from log-normalised values, or refusing where it cannot be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from scgraph.data.cells import SCALE
from scgraph.data.layers import declared_kind
from scgraph.data.scale import NATURAL, SumsSeen, are_multiples, proportional
from scgraph.errors import DataError

if TYPE_CHECKING:
    from scgraph.data.cells import Kind
    from scgraph.data.scale import Scale

__all__ = ["HIGHEST_LOG", "KindSeen", "detect_kind"]

HIGHEST_LOG = 15.0
"""No log1p of counts per million, or of less, comes near: log(1 + 10⁶) = 13.8."""

_CELLS = 500


def detect_kind(matrix: sparse.csr_matrix, where: str, *, layer: str | None = None) -> tuple[Kind, str, Scale | None]:
    """Tell what the values are: whole numbers are counts, other values logarithms (or roots) of normalised counts.

    Args:
        matrix: Canonical values, no empty row.
        where: Source, for messages.
        layer: Name of the layer, which may say what its values should be.

    Returns:
        The kind, a note for people, and the scale that is to be undone to have log1p of counts per 10,000, if any.

    Raises:
        DataError: The values are neither, or the name of the layer says otherwise; the message tells what was
            seen.
    """
    seen = KindSeen()
    seen.add(matrix)
    return seen.decide(where, layer=layer)


class KindSeen:
    """What has been seen of the values of a matrix that comes in pieces."""

    def __init__(self) -> None:
        self.values = self.fractions = 0
        self.example: float | None = None
        self.top = 0.0
        self.head: list[sparse.csr_matrix] = []
        self.missing = _CELLS
        self.sums = SumsSeen()

    def add(self, matrix: sparse.csr_matrix) -> None:
        """Look at some rows, canonical and none of them empty."""
        if not matrix.shape[0]:
            return
        fractions = matrix.data != np.rint(matrix.data)
        self.values += len(fractions)
        self.fractions += int(fractions.sum())
        self.top = max(self.top, float(matrix.data.max()))
        if self.example is None and fractions.any():
            self.example = float(matrix.data[fractions.argmax()])
        if self.fractions:
            self.sums.add(matrix)
        if self.missing:
            self.head.append(matrix[: self.missing].copy())
            self.missing -= self.head[-1].shape[0]

    def decide(self, where: str, *, layer: str | None = None) -> tuple[Kind, str, Scale | None]:
        """Tell what the values are; see `detect_kind`.

        Raises:
            DataError: The values are neither, or the name of the layer says otherwise.
        """
        top, declared = self.top, declared_kind(layer)
        if not self.fractions:
            if declared == "log1p":
                raise DataError(
                    f"{where}: layer {layer!r} should hold normalised values, but all are whole numbers (up to "
                    f"{top:g}). Give the layer that is meant, or rename it to 'counts'."
                )
            return "counts", f"values are whole numbers up to {top:,.0f}: taken as counts", None
        seen = f"{self.fractions / self.values:.0%} of the values are fractions (such as {self.example:g})"
        if declared == "counts":
            raise DataError(
                f"{where}: layer {layer!r} should hold counts, but {seen}. Give whole counts, or values of "
                "sc.pp.log1p in another layer."
            )
        constant = self.sums.constant()
        if constant is not None:
            scale, total = constant
            if scale is NATURAL and abs(total - SCALE) < 1e-3 * SCALE:
                return "log1p", f"{seen}: log1p of counts per 10,000, which every cell adds up to", None
            note = f"{seen}: {scale.name}, x adding up to {total:,.6g} in every cell"
            return "log1p", f"{note}; taken to log1p of counts per 10,000", scale
        head = sparse.vstack(self.head, format="csr")
        linear = _linear(head)
        scale_of_units = None if linear else proportional(head)
        if top > HIGHEST_LOG and scale_of_units is None:
            raise DataError(
                f"{where}: {seen} and they go up to {top:,.5g}: neither counts nor log1p values. Give whole "
                "counts, or run sc.pp.normalize_total and sc.pp.log1p."
            )
        if linear:
            raise DataError(
                f"{where}: {seen}, and {linear}: normalised, but no logarithm was taken. Give whole counts, or "
                "run sc.pp.log1p."
            )
        if scale_of_units is not None:
            note = f"{seen}: {scale_of_units.name}, x being whole multiples of the smallest of its cell"
            return "log1p", f"{note}; taken to log1p of counts per 10,000 of these genes", scale_of_units
        return (
            "log1p",
            f"{seen} and none is above {top:.3g}: taken as log1p of counts per 10,000, which nothing in them "
            "proves (cells share no sum, values of a cell no unit): give counts where you have them",
            None,
        )


def _linear(matrix: sparse.csr_matrix) -> str:
    """Say by what these cells show that their values are proportional to counts, `""` if nothing does."""
    values = matrix.data.astype(np.float64)
    starts = matrix.indptr[:-1]
    sums = np.add.reduceat(values, starts)
    if len(sums) >= 10 and sums.std() < 1e-3 * sums.mean():
        return f"every cell adds up to {sums.mean():.5g}"
    if are_multiples(values, matrix.indptr):
        return "within a cell they are whole multiples of the smallest"
    return ""
