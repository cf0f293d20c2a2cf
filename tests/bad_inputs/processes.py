"""Commands that begin at the same moment, each in a real process.

The server of multiprocessing imports scgraph once and forks a process for each command, so that none waits for its
imports. Its children share nothing but a barrier.
"""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

SECONDS = 90
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["scgraph.api", "scgraph.data", "scgraph.train", "anndata", "lightning.pytorch"])


def run_at_once(words: Sequence[str], folder: Path, *, processes: int = 2) -> list[tuple[int | None, str]]:
    """Run a command several times at once; return the exit codes and what each said.

    The code is None where a process had not ended in time.
    """
    barrier = FORKSERVER.Barrier(processes)
    texts = [folder / f"stderr-{number}" for number in range(processes)]
    children = [FORKSERVER.Process(target=_command, args=(list(words), text, barrier), daemon=True) for text in texts]
    for child in children:
        child.start()
    for child in children:
        child.join(SECONDS)
    codes = [child.exitcode for child in children]
    for child in children:
        child.kill()
        child.join(SECONDS)
        child.close()
    return [(code, text.read_text(encoding="utf-8")) for code, text in zip(codes, texts, strict=True)]


def _command(words: list[str], text: Path, barrier: Barrier) -> None:
    from scgraph.cli import app as cli

    os.chdir(text.parent)
    for stream in (1, 2):
        os.dup2(os.open(text, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    barrier.wait(SECONDS)
    cli.main(words)
