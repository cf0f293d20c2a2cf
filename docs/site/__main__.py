"""Build the documentation into build/site/html, from nothing each time; a warning is an error.

Usage: python -m docs.site [--skip-tutorials]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import warnings
from typing import TYPE_CHECKING

from docs.site.staging import ROOT, stage, write_profile

if TYPE_CHECKING:
    from pathlib import Path

SITE = ROOT / "build" / "site"
LOADED = re.compile(r'<(?:script|img|iframe|link)\b[^>]*(?:src|href)="(https?:[^"]+)')


def main() -> int:
    """Lay out the sources and run Sphinx."""
    parser = argparse.ArgumentParser(prog="python -m docs.site", description="Build the documentation.")
    parser.add_argument("--skip-tutorials", action="store_true", help="show the tutorials without running them")
    skip = parser.parse_args().skip_tutorials
    from sphinx.cmd.build import main as sphinx
    from sphinx.deprecation import RemovedInSphinx10Warning

    warnings.filterwarnings("ignore", category=RemovedInSphinx10Warning)  # sphinx-autodoc-typehints, for its own parser

    shutil.rmtree(SITE, ignore_errors=True)
    stage(SITE / "source")
    write_profile(SITE / "ipython")
    os.environ["IPYTHONDIR"] = str(SITE / "ipython")
    options = ["-D", "nb_execution_mode=off"] if skip else []
    options += ["-c", str(ROOT / "docs" / "site"), "-d", str(SITE / "doctrees")]
    command = ["-W", "--keep-going", "-q", "-b", "html", *options, str(SITE / "source"), str(SITE / "html")]
    done = int(sphinx(command))
    for page, host in foreign(SITE / "html"):
        sys.stderr.write(f"{page}: loads something from {host}; the pages must be whole without a network.\n")
        done = 1
    if done == 0:
        sys.stdout.write(f"{(SITE / 'html' / 'index.html').relative_to(ROOT)}\n")
    return done


def foreign(html: Path) -> list[tuple[str, str]]:
    """Return every page that loads a script, a style or a picture from elsewhere, with the address."""
    return [
        (str(page.relative_to(html)), address)
        for page in sorted(html.rglob("*.html"))
        for address in LOADED.findall(page.read_text(encoding="utf-8"))
    ]


if __name__ == "__main__":
    sys.exit(main())
