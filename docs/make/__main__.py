"""Renew every generated block of README.md and docs/, and the picture that is drawn.

Usage: python -m docs.make [--check]
"""

from __future__ import annotations

import argparse
import sys

from docs.make import attention_picture
from docs.make.pages import pages, renewed
from docs.make.sources import ROOT


def main() -> int:
    """Write what is out of date; with --check only name it, and return 1 if there is something."""
    parser = argparse.ArgumentParser(prog="python -m docs.make", description="Renew the generated parts of the pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a page is out of date")
    check = parser.parse_args().check
    stale = 0
    for path in pages():
        text = path.read_text(encoding="utf-8")
        new = renewed(text, path)
        if new == text:
            continue
        stale += 1
        state = "is out of date; run python -m docs.make" if check else "renewed"
        sys.stderr.write(f"{path.relative_to(ROOT)}: {state}\n")
        if not check:
            path.write_text(new, encoding="utf-8")
    if not check:
        attention_picture.write()
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
