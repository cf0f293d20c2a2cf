"""Finds the generated blocks of the pages and makes them anew.

A block stands between ``<!-- KIND:NAMES -->`` and ``<!-- end -->``. The kind is a key of `KINDS`; the names are its
arguments, with spaces between them: most are folders or files of benchmarks/results.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docs.make.api_block import api_block
from docs.make.drugs_block import drugs_block
from docs.make.front_block import front_block
from docs.make.known_block import known_block
from docs.make.layer_blocks import contract_block, layers_block
from docs.make.reproduction_claims import claims_block
from docs.make.results_blocks import (
    figures_block,
    file_block,
    overall_block,
    profile_block,
    ratios_block,
    results_block,
    sections_block,
    sets_block,
)
from docs.make.screens_block import screens_block
from docs.make.sources import ROOT
from docs.make.study_block import study_block
from docs.make.synthetic_blocks import synthetic_block

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["KINDS", "blocks", "pages", "renewed"]

KINDS: dict[str, Callable[..., str]] = {
    "front": front_block,
    "results": results_block,
    "profile": profile_block,
    "sets": sets_block,
    "overall": overall_block,
    "figures": figures_block,
    "file": file_block,
    "sections": sections_block,
    "ratios": ratios_block,
    "claims": claims_block,
    "study": study_block,
    "synthetic": synthetic_block,
    "screens": screens_block,
    "known": known_block,
    "drugs": drugs_block,
    "layers": layers_block,
    "contract": contract_block,
    "api": api_block,
}
BLOCK = re.compile(r"(<!-- (?P<kind>[a-z]+):(?P<names>[\w. /-]+?) -->\n).*?(<!-- end -->)", re.S)


def pages() -> list[Path]:
    """Return the pages that hold a generated block."""
    candidates = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [path for path in candidates if "<!-- end -->" in path.read_text(encoding="utf-8")]


def blocks(text: str) -> list[tuple[str, str]]:
    """Return kind and names of every block of a page."""
    return [(match["kind"], match["names"]) for match in BLOCK.finditer(text)]


def renewed(text: str, page: Path) -> str:
    """Return the text of a page with every block made anew.

    Raises:
        KeyError: a block is of no kind.
        OSError: a file that a block is made from is not there.
    """

    def fill(match: re.Match[str]) -> str:
        body = KINDS[match["kind"]](*match["names"].split())
        if page.parent != ROOT:  # links are written as seen from the root
            body = body.replace("](benchmarks/", "](../benchmarks/").replace("](docs/", "](")
        return match[1] + body.rstrip("\n") + "\n" + match[4]

    return BLOCK.sub(fill, text)
