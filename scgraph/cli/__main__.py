"""Runs the command line as `python -m scgraph.cli`, for launchers that start a module."""

from __future__ import annotations

from scgraph.cli.app import main

if __name__ == "__main__":
    main()
