"""The command `scgraph doctor`."""

from __future__ import annotations

from scgraph.cli.options import Json
from scgraph.cli.terminal import show, write_json

__all__ = ["doctor"]


def doctor(json_: Json = None) -> None:
    """Say what an issue should name: versions, devices, and the optional packages with the error of their import."""
    from scgraph.reporting.doctor import diagnose

    rows = diagnose()
    width = max(len(row["what"]) for row in rows)
    show("\n".join(f"{row['what']:<{width}}  {row['state']}" for row in rows), json_)
    write_json(json_, rows)
