"""Telling counts from values made of them, and on which scale these are, or refusing where it cannot be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from scgraph.data.cells import SCALE
from scgraph.data.files.evidence import Evidence, pieces
from scgraph.data.files.layers import declared_kind
from scgraph.data.files.scale import NATURAL, SCALES, Change, Values, logarithm
from scgraph.errors import ConfigError, DataError, argument, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from scipy import sparse

    from scgraph.data.cells import Kind

__all__ = ["ScaleSeen", "check_values"]

_OWN_SUM = ("linear", "sqrt")
_SLACK = 1e-3
_MOST = 1.1
"""Times 10,000: what rounded logarithms may make a cell add up to."""

_NAMED = 4
_CLEAR = 100
"""Below, float32 tells three decimals."""


def _hint() -> str:
    return (
        f"Give whole counts, or say what the values are with {argument('values')}: linear (normalised or estimated "
        "counts without a logarithm), log1p, log2, log10 or sqrt."
    )


class ScaleSeen:
    """What has been seen of the values of a matrix that comes in pieces.

    Args:
        where: Source, for messages.
        layer: Name of the layer, which may say what its values should be.
        values: What the values are declared to be, see `scgraph.data.files.scale.Values`.
        log_base: Base of the logarithm that the file says was taken, None where it says nothing.

    Raises:
        ConfigError: `values` is no word that is known.
    """

    def __init__(
        self, where: str, *, layer: str | None = None, values: str | None = None, log_base: float | None = None
    ) -> None:
        check_values(values)
        self.where, self.layer, self.values = where, layer, values
        self.count = self.fractions = 0
        self.example: float | None = None
        self.fractional: list[str] = []
        self.top = 0.0
        self.small, self.decimal = 0, True
        scales = {scale.name: scale for scale in SCALES}
        recorded = None if log_base is None else logarithm(log_base)
        if recorded is not None:
            scales.setdefault(recorded.name, recorded)
        self._evidence = {name: Evidence(scale) for name, scale in scales.items()}
        self._declared = next((one for one in self._evidence.values() if values and one.scale.word == values), None)
        self._recorded = None if recorded is None else self._evidence[recorded.name]

    def add(
        self, matrix: sparse.csr_matrix, names: NDArray[np.str_], totals: Mapping[str, NDArray[np.float64]]
    ) -> None:
        """Look at some rows, canonical and none of them empty, their names, and the columns of obs that count them."""
        if not matrix.shape[0]:
            return
        fractions = matrix.data != np.rint(matrix.data)
        self.count += len(fractions)
        self.fractions += int(fractions.sum())
        self.top = max(self.top, float(matrix.data.max()))
        thousands = 1e3 * matrix.data[matrix.data < _CLEAR].astype(np.float64)
        self.small += len(thousands)
        self.decimal &= bool((np.abs(thousands - np.rint(thousands)) < 0.01).all())
        if self.example is None and fractions.any():
            self.example = float(matrix.data[fractions.argmax()])
        if len(self.fractional) < _NAMED:
            rows = np.flatnonzero(np.add.reduceat(fractions.astype(np.int64), matrix.indptr[:-1]))
            self.fractional += names[rows[: _NAMED - len(self.fractional)]].tolist()
        if not self.fractions and self._declared is None and self._recorded is None:
            for evidence in self._evidence.values():
                evidence.add_whole(matrix, names)
            return
        for piece in pieces(matrix, names, totals):
            for evidence in self._evidence.values():
                if not evidence.settled or evidence is self._declared or evidence is self._recorded:
                    evidence.add(piece)

    def decide(self) -> tuple[Kind, str, Change | None]:
        """Tell what the values are: whole numbers are counts, others are what a scale makes of counts.

        Returns:
            The kind, a note for people, and what is to be done to have log1p of counts per 10,000, if anything.

        Raises:
            DataError: It cannot be told, or is not what was declared; the message tells what was seen.
        """
        if not self.fractions:
            self._check_whole()
            return "counts", f"values are whole numbers up to {self.top:,.0f}: taken as counts", None
        seen = f"{self.fractions / self.count:.0%} of the values are fractions (such as {self.example:g})"
        if self.values == "counts":
            raise self._contradiction(seen)
        if self.values is None and declared_kind(self.layer) == "counts":
            raise DataError(
                f"{self.where}: layer {self.layer!r} should hold counts, but {seen}. Give whole counts, or values of "
                "sc.pp.log1p in another layer."
            )
        proven = [one for one in self._evidence.values() if one.constant]
        proven = proven or [one for one in self._candidates() if one.counted]
        if not proven:
            return self._taken(seen)
        if self._declared is not None and self._declared not in proven:
            raise self._contradiction(f"they show {proven[0].scale.name}")
        return self._proven(proven[0] if self._declared is None else self._declared, seen)

    def _candidates(self) -> list[Evidence]:
        """Return what whole multiples can speak for.

        Rounded values are multiples of a decimal whatever they are, and so are their squares; 2 and 10 to the power of
        counts are whole as well.
        """
        if 2 * self.fractions < self.count:
            return [one for one in (self._declared, self._recorded) if one is not None]
        rounded = self.small > 0 and self.decimal
        return [one for one in self._evidence.values() if not (rounded and one.scale.word in _OWN_SUM)]

    def _check_whole(self) -> None:
        if self.values not in (None, "counts", "linear"):
            raise self._contradiction("all are whole numbers, as counts are")
        if self.values is None and declared_kind(self.layer) == "log1p":
            raise DataError(
                f"{self.where}: layer {self.layer!r} should hold normalised values, but all are whole numbers (up to "
                f"{self.top:g}). Give the layer that is meant, or rename it to 'counts'."
            )

    def _proven(self, evidence: Evidence, seen: str) -> tuple[Kind, str, Change | None]:
        scale, whole_cell = evidence.scale, evidence.whole_cell()
        done = "taken to log1p of counts per 10,000"
        if evidence.constant:
            total = (evidence.low + evidence.high) / 2
            if scale is NATURAL and abs(total - SCALE) < _SLACK * SCALE:
                return "log1p", f"{seen}: log1p of counts per 10,000, which every cell adds up to", None
            return "log1p", f"{seen}: {scale.name}, x adding up to {total:,.6g} in every cell; {done}", Change(scale)
        note = f"{seen}: {scale.name}, x being whole multiples of the smallest of its cell"
        if whole_cell is None:
            return "log1p", f"{note}; {done} of these genes", Change(scale)
        total, column = whole_cell
        note += f" and adding up to {total:,.6g} in whole cells of obs[{column!r}]"
        if scale is NATURAL and total == SCALE:
            return "log1p", f"{note}; taken as they are", None
        return "log1p", f"{note}; {done} of whole cells", Change(scale, total)

    def _taken(self, seen: str) -> tuple[Kind, str, Change | None]:
        """Take what nothing in the values proves, if it is declared or recorded, and possible."""
        evidence = self._declared or self._recorded
        if self._declared is None:
            self._refuse_mixture(seen)
        if evidence is None or not evidence.possible:
            raise DataError(
                f"{self.where}: {seen}, they go up to {self.top:,.5g}, and nothing shows their scale: cells do not add "
                "up to the same and their values are no whole multiples of a unit, neither as they are nor with a "
                f"logarithm or a square root undone. {_hint()}"
            )
        scale = evidence.scale
        why = "as declared" if self._declared else "as uns['log1p'] says"
        if scale.word in _OWN_SUM:
            note = f"{seen}: taken as {scale.name}, {why}, and to log1p of counts per 10,000 of these genes"
            return "log1p", f"{note}; nothing in them proves it", Change(scale)
        if evidence.high > SCALE * _MOST:
            raise DataError(
                f"{self.where}: {seen}, and they cannot be {scale.name} of counts per 10,000, {why}: x of a cell adds "
                f"up to {evidence.high:,.6g}. {_hint()}"
            )
        note = f"{seen}: taken as {scale.name} of counts per 10,000, {why}; nothing in them proves it"
        return "log1p", note, None if scale is NATURAL else Change(scale, SCALE)

    def _refuse_mixture(self, seen: str) -> None:
        if 2 * self.fractions < self.count:
            raise DataError(
                f"{self.where}: {seen}, and the others are whole, as counts are; fractions stand in cells such as "
                f"{', '.join(self.fractional)}. {_hint()}"
            )
        fitting = max((one for one in self._candidates() if one.broken), key=lambda one: one.supported, default=None)
        if fitting is not None and fitting.supported:
            raise DataError(
                f"{self.where}: some cells hold {fitting.scale.name} of counts, and others something else (such as "
                f"{', '.join(fitting.broken)}): cells of several scales, or rounded values. {_hint()}"
            )

    def _contradiction(self, seen: str) -> DataError:
        return DataError(f"{self.where}: the values are declared as {self.values}, but {seen}. {_hint()}")


def check_values(values: str | None) -> None:
    """Refuse a word that declares no scale that is known.

    Raises:
        ConfigError: As said.
    """
    if values is not None and values not in get_args(Values):
        raise ConfigError(f"values: {values!r} is not known.{did_you_mean(values, get_args(Values))}")
