"""The command line: one typed function a command, everything else in the packages behind it."""

from __future__ import annotations

from scgraph.cli.app import main

__all__ = ["main"]
