"""A lock that processes wait for, though each removes its file behind itself."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COUNTING = """
import sys
from pathlib import Path
from scgraph.system.locks import FileGuard

folder = Path(sys.argv[1])
guard = FileGuard(folder / "count.guard")
for _ in range(100):
    with guard.held():
        (folder / "count").write_text(str(int((folder / "count").read_text()) + 1))
"""


def test_of_several_processes_one_holds_it_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", COUNTING, str(tmp_path)]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert (tmp_path / "count").read_text() == "400"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]
