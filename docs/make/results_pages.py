"""README.md of every results folder: what was asked, the command and the machine, the files, and who shows it."""

from __future__ import annotations

import ast
import json
import os
from typing import TYPE_CHECKING, Any

from docs.make.sources import RESULTS, ROOT, where

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KEPT", "QUESTIONS", "question", "results_folders", "results_page", "shown_in"]

QUESTIONS = {
    "bench": "How well features of pretrained models tell cell types apart: `scgraph bench`.",
    "profile": "What models cost at the paper's sizes: `scgraph profile`.",
    "synthetic": "The paper's synthetic example, Table I and Figure 3: `scgraph synthetic`.",
    "tune": "The best settings of each model, the same budget for all: `scgraph tune`.",
}
"""What is asked where a command of scgraph gives the answer and not a script of benchmarks/."""
KEPT = (".csv", ".json", ".md", ".png", ".tsv", ".yaml")
"""Endings of the files that are committed; a run leaves others beside them, and a folder models, which git ignores."""


def question(name: str) -> str:
    """Return what a folder of benchmarks/ or of benchmarks/results asks, in one sentence."""
    if name in QUESTIONS:
        return QUESTIONS[name]
    text = (ROOT / "benchmarks" / name / "__init__.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(text)) or ""


def results_folders() -> list[Path]:
    """Return the folders QUESTION/DATE-NAME of benchmarks/results."""
    return [path for path in sorted(RESULTS.glob("*/*")) if path.is_dir()]


def shown_in(folder: Path) -> list[Path]:
    """Return the pages that link into a results folder, the README last."""
    place = f"benchmarks/results/{folder.relative_to(RESULTS).as_posix()}"
    pages = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
    return [page for page in pages if f"{place}/" in (text := page.read_text("utf-8")) or f"{place})" in text]


def results_page(folder: Path) -> str:
    """Return the text of README.md of a results folder."""
    name = folder.relative_to(RESULTS).as_posix()
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in KEPT and path != folder / "README.md"]
    files = [path for path in files if "models" not in path.relative_to(folder).parts]
    lines = [f"# {name}", "", question(folder.parent.name), ""]
    lines += [f"{where(record)}." for record in _records(folder)]
    pages = [f"[{_from(page, ROOT)}]({_from(page, folder)})" for page in shown_in(folder)]
    lines += ["", f"Shown in {', '.join(pages)}." if pages else "Shown on no page."]
    lines += ["", "Files: " + ", ".join(f"[{_from(path, folder)}]({_from(path, folder)})" for path in files) + "."]
    return "\n".join(lines) + "\n"


def _records(folder: Path) -> list[dict[str, Any]]:
    path = folder / "environment.json"
    if path.is_file():
        return [json.loads(path.read_text(encoding="utf-8"))]
    # `scgraph profile --json` writes one file, its record inside.
    return [json.loads(path.read_text(encoding="utf-8"))["environment"] for path in sorted(folder.glob("*.json"))]


def _from(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")
