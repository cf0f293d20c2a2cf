"""One way of reading cells, measured in a process of its own, so that its memory is its own.

A request comes as JSON on standard input; the answer goes to standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.harness.children import NOT_INSTALLED, peak_mb, restart_peak
from benchmarks.reading.request import Request
from benchmarks.reading.ways import WAYS
from scgraph.memory import status_bytes
from scgraph.system.child import child_command, child_environment

__all__ = ["Point", "run_point"]


@dataclass(frozen=True)
class Point:
    """What came of a request.

    Attributes:
        status: "ok" or why there are no numbers.
        cells: cells read in the time measured.
        cells_per_second: their rate; one batch is not counted, but of ways that are measured as a whole.
        cells_per_cpu_second: the same by the time that all threads of the process worked, which says more on a machine
            that does other things too.
        rss_mb: most resident memory, in 10⁶ bytes.
        anonymous_mb: the part of it that is not pages of files, the most seen after any batch.
        start_mb: resident memory with all packages loaded, before the first cell.
    """

    status: str
    cells: int = 0
    cells_per_second: float = float("nan")
    cells_per_cpu_second: float = float("nan")
    rss_mb: float = float("nan")
    anonymous_mb: float = float("nan")
    start_mb: float = float("nan")


def run_point(request: Request) -> Point:
    """Measure in a child process, if what that needs is installed."""
    if not WAYS[request.how].is_installed():
        return Point(NOT_INSTALLED)
    child = subprocess.run(
        child_command("benchmarks.reading.point"),
        env=child_environment(),
        input=json.dumps(asdict(request)),
        text=True,
        capture_output=True,
        check=False,
    )
    if child.returncode:
        said = child.stderr.strip().splitlines()
        return Point(f"failed: {said[-1] if said else child.returncode}")
    return Point(**json.loads(child.stdout))


def resident_mb() -> tuple[float, float]:
    """Return resident memory and its part that is not pages of files, in 10⁶ bytes; Linux only."""
    resident, anonymous = (status_bytes(name) for name in ("VmRSS", "RssAnon"))
    assert resident is not None
    assert anonymous is not None
    return resident / 1e6, anonymous / 1e6


def measure(request: Request) -> Point:
    """Read cells and look at the clock and at the memory."""
    import scgraph.train.loader  # noqa: F401 - PyTorch and the compiled kernels, before the clock starts

    way = WAYS[request.how]
    if request.cold:
        forget(Path(request.path))
    start_mb = resident_mb()[0]
    batches = way.batches(request)
    next(batches)
    cells, most, anonymous = 0, 0.0, 0.0
    restart_peak()
    start, worked = time.perf_counter(), time.process_time()
    for number in batches:
        cells += number
        resident = resident_mb()
        most, anonymous = max(most, resident[0]), max(anonymous, resident[1])
        if request.seconds is not None and not way.whole and time.perf_counter() - start > request.seconds:
            break
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    return Point("ok", cells, cells / seconds, cells / worked, max(most, peak_mb()), anonymous, start_mb)


def forget(path: Path) -> None:
    """Ask the system to drop its cache of a file or of the files of a folder."""
    for file in [path] if path.is_file() else path.iterdir():
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def main() -> None:
    """Answer the request on standard input."""
    with redirect_stdout(sys.stderr):  # which packages may write to
        answer = measure(Request(**json.load(sys.stdin)))
    sys.stdout.write(json.dumps(asdict(answer)))


if __name__ == "__main__":
    main()
