"""Where results lie, and where a block says it comes from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "ROOT", "anchor", "environment", "source", "where"]

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def anchor(heading: str) -> str:
    """Return the name of a heading in links, as GitHub makes it: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def environment(name: str) -> dict[str, Any]:
    """Return what a results folder says of its run."""
    record: dict[str, Any] = json.loads((RESULTS / name / "environment.json").read_text(encoding="utf-8"))
    return record


def source(name: str) -> str:
    """Return the command, commit and machine of a results folder."""
    return f"{where(environment(name))}; files in [benchmarks/results/{name}](benchmarks/results/{name})."


def where(record: dict[str, Any]) -> str:
    """Return the command, commit, date, machine and PyTorch of a run in one line."""
    threads = record["threads"]
    return (
        f"`{record['command']}` at commit {record['git']['commit'][:10]}, {record['date'][:10]}, "
        f"{record['cpu']}, {threads} thread{'s' if threads > 1 else ''}, torch {record['versions']['torch']}"
    )
