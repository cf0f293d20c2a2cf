"""Running out of memory as an error that can be caught and told, not as the end of the process."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scgraph.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "available_memory",
    "is_out_of_memory",
    "limited_memory",
    "memory_message",
    "memory_of_model",
    "set_data_limit",
    "status_bytes",
    "tells_of_memory",
]

SIGNS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc",
    "memoryerror", "failed to map segment", "unable to allocate",
)  # fmt: skip
"""What allocators and loaders say; a library that aborts the process leaves no exception."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one it came from, says that memory ran out, on a CPU or a GPU."""
    seen: BaseException | None = error
    while seen is not None:
        # By its words and not by its class, so that torch need not be imported: its own error says them too.
        if isinstance(seen, MemoryError) or tells_of_memory(str(seen)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def tells_of_memory(text: str) -> bool:
    """Whether an error's text says that memory ran out."""
    return any(sign in text.lower() for sign in SIGNS)


def memory_message(error: BaseException) -> str:
    """Return what to tell people of an error that says that memory ran out."""
    return (
        f"out of memory ({(str(error).splitlines() or [type(error).__name__])[0]}). Use a smaller train.batch_size, "
        "fewer genes or channels, or model.recompute=true."
    )


@contextmanager
def memory_of_model(name: str) -> Iterator[None]:
    """Name the model for which memory did not suffice within the body.

    Raises:
        TrainingError: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"Model {name!r}: {memory_message(error)}") from error


def available_memory() -> int:
    """Bytes that a process may still take."""
    import psutil

    return int(psutil.virtual_memory().available)


def set_data_limit(size: int) -> None:
    """Let allocations of this process beyond `size` bytes fail; without effect where the system has no such limit."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (size if hard < 0 else min(size, hard), hard))


@contextmanager
def limited_memory() -> Iterator[None]:
    """Within the body an allocation that the machine has no memory for fails at once.

    Linux grants more memory than there is and kills the process that then uses it, without a word.
    """
    try:
        import resource
    except ImportError:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    set_data_limit((status_bytes("VmData") or 0) + available_memory())
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def status_bytes(name: str) -> int | None:
    """Bytes that the system names for this process, as ``VmRSS`` in /proc/self/status; None where it does not say."""
    table = Path("/proc/self/status")
    if table.is_file():
        for line in table.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None
