"""What the kernel of a tutorial runs first: shell cells that print once, plainly, and fail as cells of Python do.

IPython's own ``%%bash`` hands output on in pieces of 100 bytes, which a page would show as broken lines.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import warnings
from typing import Any

__all__ = ["bash", "register"]

STYLED = ("FORCE_COLOR", "CLICOLOR_FORCE")
PLAIN = {"TERM": "dumb", "COLUMNS": "80"}


def bash(line: str, cell: str) -> None:
    """Run a cell of bash with the options of its first line.

    Raises:
        subprocess.CalledProcessError: it ended with another code than 0.
    """
    environment = {name: value for name, value in os.environ.items() if name not in STYLED} | PLAIN
    done = subprocess.run(
        ["bash", *shlex.split(line), "-c", cell],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout)
    done.check_returncode()


def register(shell: Any) -> None:
    """Put `bash` in place of the magic of that name."""
    shell.register_magic_function(bash, "cell", "bash")
    warnings.filterwarnings("ignore", message="IProgress not found")  # a page has no widgets
