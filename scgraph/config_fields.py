"""What all configurations share: the types of their fields, and a base that refuses what is unknown or not finite."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PathText", "Positive", "Rate", "Settings", "Share", "Weight", "WholeOrAll", "WholeOrAuto"]

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


def _whole_or_all(value: object) -> object:
    # A union of types would answer with one complaint a type.
    if value in (None, "all") or (type(value) is int and value >= 1):
        return value
    raise ValueError("Input should be a whole number of 1 or more, or all")


def _whole_or_auto(value: object) -> object:
    if value == "auto" or (type(value) is int and value >= 1):
        return value
    raise ValueError("Input should be a whole number of 1 or more, or auto")


def _infinite(data: object, place: str = "") -> Iterator[tuple[str, float]]:
    """Find the numbers in nested data that are infinite or NaN, and where they stand."""
    if isinstance(data, float) and not math.isfinite(data):
        yield place, data
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list | tuple) else ()
    for key, value in entries:
        yield from _infinite(value, f"{place}.{key}" if place else str(key))


def _path_text(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


PathText = Annotated[str, BeforeValidator(_path_text)]
WholeOrAll = Annotated[int | Literal["all"] | None, BeforeValidator(_whole_or_all)]
WholeOrAuto = Annotated[int | Literal["auto"], BeforeValidator(_whole_or_auto)]


class Settings(BaseModel):
    """Settings that are fixed once made."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, protected_namespaces=(), allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_finite(cls, data: Any) -> Any:
        # Plain data in fields of any type, such as conv_options and per_model, is looked at nowhere else.
        for place, number in _infinite(data):
            raise ValueError(f"{place}: must be a finite number, not {number}")
        return data
