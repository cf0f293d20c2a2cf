"""Forked workers of a search.

What a fresh worker imports and is given is proven by the searches of tests/system/test_child.py and of searcher.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.tune import worker
from tests.forking import Forked

if TYPE_CHECKING:
    from collections.abc import Mapping


class ForkedWorker(Forked):
    """What `scgraph.tune.supervisor` starts, forked: the job comes through a pipe, what is said goes into the log."""

    def __init__(self, _command: list[str], *, stdout: Any, env: Mapping[str, str], **_: object) -> None:
        reader, writer = os.pipe()

        def run() -> None:
            os.close(writer)
            os.environ.update(env)
            worker.main()

        super().__init__(run, Path(stdout.name), stdin=reader)
        os.close(reader)
        self.stdin = os.fdopen(writer, "wb")
