"""The API reference: a page for every public name that docs/api.md lists, which autodoc fills from its docstring."""

from __future__ import annotations

import importlib
import inspect
import re
from textwrap import indent
from typing import TYPE_CHECKING

from docs.make.api_block import docstring_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["linked", "write_pages"]

BLOCK = re.compile(r"<!-- api:(?P<package>[\w.]+) -->\n(?P<lines>.*?)<!-- end -->\n", re.S)
LINE = re.compile(r"^- `(?P<name>\w+)(?P<arguments>\(.*?\))?`: (?P<sentence>.*)$", re.M)


def linked(page: str) -> str:
    """Return docs/api.md with tables in place of its lists, whose names lead to their pages, and these in toctrees."""

    def table(block: re.Match[str]) -> str:
        package = block["package"]
        rows, pages = ["| name | |", "|---|---|"], []
        for line in LINE.finditer(block["lines"]):
            sentence = line["sentence"].replace("|", "\\|")
            name, target = f"`{line['name']}`", _page_name(package, line["name"])
            if target:
                name = f"[{name}](../reference/{target}.rst)"
                pages.append(f"../reference/{target}.rst")
            rows.append(f"| {name} | {sentence} |")
        return "\n".join([*rows, "", "```{toctree}", ":hidden:", "", *pages, "```", ""])

    return BLOCK.sub(table, page)


def write_pages(page: str, folder: Path) -> None:
    """Write the reference page of every name that docs/api.md lists."""
    folder.mkdir(parents=True)
    for block in BLOCK.finditer(page):
        for line in LINE.finditer(block["lines"]):
            package, name = block["package"], line["name"]
            if _page_name(package, name):
                (folder / f"{_page_name(package, name)}.rst").write_text(_page(package, name), encoding="utf-8")


def _page_name(package: str, name: str) -> str:
    """Return the page of a name; a module that is no function has none of its own, as its names are listed."""
    value = getattr(importlib.import_module(package), name)
    return "" if inspect.ismodule(value) and not callable(value) else f"{package}.{name}"


def _page(package: str, name: str) -> str:
    value = getattr(importlib.import_module(package), name)
    title = f"{package}.{name}"
    head = f"{title}\n{'=' * len(title)}\n\n.. currentmodule:: {package}\n\n"
    if inspect.isclass(value):
        return f"{head}.. autoclass:: {name}\n   :members:\n   :show-inheritance:\n"
    if callable(value):
        return f"{head}.. autofunction:: {name}\n"
    # autodoc would show the docstring of dict: it does not see the string below a constant of another module.
    docstring = indent(docstring_of(package, name), "   ")
    return f"{head}.. py:data:: {name}\n   :type: {type(value).__name__}\n\n{docstring}\n"
