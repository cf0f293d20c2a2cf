"""Which processes there are: what this machine is called, and whether the process of a number is gone."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

__all__ = ["is_gone", "this_machine"]


def this_machine() -> str:
    """Name what process numbers are valid in: the machine since it was started, and its namespace of processes."""
    words = [platform.node()]
    with suppress(OSError):
        words.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8])
    with suppress(OSError):
        words.append(str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]"))
    return "/".join(words)


def is_gone(pid: int) -> bool:
    """Say whether no process of this machine has the number, or one that is dead and not yet asked for its end."""
    if os.name != "posix":
        return False  # there the question below would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    return False
