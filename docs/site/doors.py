"""The doors of docs/index.md as the navigation of the site."""

from __future__ import annotations

import re
from posixpath import join, normpath

__all__ = ["doors", "toctrees"]

DOOR = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.M | re.S)
ENTRY = re.compile(r"^- \[[^\]]+\]\(([^)#\s]+\.md)\)", re.M)


def doors(index: str) -> dict[str, list[str]]:
    """Return the pages behind each door, as paths from the root of the repository, in the order of docs/index.md."""
    return {
        name: [normpath(join("docs", path)) for path in ENTRY.findall(section)] for name, section in DOOR.findall(index)
    }


def toctrees(index: str) -> str:
    """Return the navigation as toctrees of MyST, one a door, for a page at the root."""
    trees = ["```{toctree}\n:hidden:\n\nAll documents <docs/index.md>\n```\n"]
    trees += [
        "\n".join(["```{toctree}", ":hidden:", f":caption: {name}", "", *pages, "```", ""])
        for name, pages in doors(index).items()
    ]
    return "\n".join(trees)
