"""How results look at a prompt and in a notebook: a line a field, sizes in place of contents."""

from __future__ import annotations

import dataclasses
import html
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LINES", "WIDTH", "brief", "short_repr"]

LINES = 6
"""Most lines of a repr."""

WIDTH = 88
"""Most characters of one of its lines."""

_FIRST = 3
_T = TypeVar("_T")


def short_repr(cls: type[_T]) -> type[_T]:
    """Give a dataclass or a named tuple a repr of at most `LINES` lines and an HTML table; used as a decorator.

    Fields are shown in their order, empty ones and those with ``repr=False`` left out; the repr ends with the names of
    those that had no line.
    """
    cls.__repr__ = _text  # type: ignore[method-assign]
    cls._repr_html_ = _html  # type: ignore[attr-defined]
    return cls


def brief(value: Any) -> str:
    """Return one line on a value: sizes of arrays, tables and models, the first entries of what is long."""
    kind = type(value)
    if getattr(kind, "__repr__", None) is _text:
        return _title(value)
    if _is_network(value):
        return f"{kind.__name__}, {sum(weights.numel() for weights in value.parameters()):,} weights"
    if isinstance(getattr(value, "shape", None), tuple):
        dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
        sizes = ", ".join(f"{size:,}" for size in value.shape)
        return f"{dtype or kind.__name__} [{sizes}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return _listed([str(key) for key in list(value)[: _FIRST + 1]], len(value), "keys")
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return _listed([brief(entry) for entry in value[: _FIRST + 1]], len(value), "entries")
    if getattr(kind, "__repr__", None) is getattr(object, "__repr__", None):
        return kind.__name__
    return _cut(str(value) if isinstance(value, str | PurePath) else repr(value))


def _listed(first: list[str], size: int, noun: str) -> str:
    text = ", ".join(first[:_FIRST])
    return _cut(text if size <= _FIRST else f"{size:,} {noun}: {text}, ...")


def _cut(text: str, width: int = WIDTH - 24) -> str:
    # A gene or a file may be named by what a terminal takes for a command.
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(text.split()))
    return line if len(line) <= width else line[: width - 3] + "..."


def _is_network(value: Any) -> bool:
    # What no torch was imported for is none of its modules.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _fields(result: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(result):
        names = [field.name for field in dataclasses.fields(result) if field.repr]
    else:
        names = list(result._fields)
    for name in names:
        value = getattr(result, name)
        if value is not None and not (isinstance(value, str | Sequence | Mapping) and not len(value)):
            yield name, value


def _title(result: Any) -> str:
    name = type(result).__name__
    return f"{name}, {len(result):,} entries" if hasattr(result, "__len__") and not isinstance(result, tuple) else name


def _text(result: Any) -> str:
    fields = list(_fields(result))
    shown = fields if len(fields) < LINES else fields[: LINES - 2]
    lines = [f"{_title(result)}:" if fields else _title(result)]
    lines += ["    " + _cut(f"{name}: {brief(value)}", WIDTH - 4) for name, value in shown]
    if len(shown) < len(fields):
        lines.append("    " + _cut("and " + ", ".join(name for name, _ in fields[len(shown) :]), WIDTH - 4))
    return "\n".join(lines)


def _html(result: Any) -> str:
    rows = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(brief(value))}</td></tr>'
        for name, value in _fields(result)
    )
    return f"<table><caption>{html.escape(_title(result))}</caption><tbody>{rows}</tbody></table>"
