"""Renew the generated blocks of README.md and docs/, README.md of the results folders, and what is drawn.

Usage: python -m docs.make [--check]
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from docs.make import attention_picture, shallow_picture
from docs.make.pages import pages, renewed
from docs.make.results_pages import results_folders, results_page
from docs.make.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def main() -> int:
    """Write what is out of date; with --check only name it, and return 1 if there is something."""
    parser = argparse.ArgumentParser(prog="python -m docs.make", description="Renew the generated parts of the pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a page is out of date")
    check = parser.parse_args().check
    state = "is out of date; run python -m docs.make" if check else "renewed"
    stale = 0
    for path, text in texts():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        sys.stderr.write(f"{path.relative_to(ROOT)}: {state}\n")
        if not check:
            path.write_text(text, encoding="utf-8")
    if not shallow_picture.is_current():
        stale += 1
        sys.stderr.write(f"{shallow_picture.PICTURE.name}: {state}\n")
    if not check:
        attention_picture.write()
        shallow_picture.write()
    return int(check and stale > 0)


def texts() -> Iterator[tuple[Path, str]]:
    """Return every page with the text that it should have; those of results folders last, as they name the others."""
    for path in pages():
        yield path, renewed(path.read_text(encoding="utf-8"), path)
    for folder in results_folders():
        yield folder / "README.md", results_page(folder)


if __name__ == "__main__":
    sys.exit(main())
