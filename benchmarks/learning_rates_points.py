"""What `learning_rates.py` measures, in a process that takes the arithmetic of another processor.

A request comes as JSON on standard input; every point that is measured is added as a line of JSON to the file that the
first argument names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from children import outcome
from scgraph.errors import ConfigError, ScgraphError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["NATIVE", "PROCESSORS", "PointsRequest", "run_points"]

NATIVE = "native"
PROCESSORS = (NATIVE, "avx512", "avx2", "default")
"""Values of ATEN_CPU_CAPABILITY: vectors of that width, so that sums are rounded as on such a processor."""


@dataclass(frozen=True)
class PointsRequest:
    """What to measure with the arithmetic of one processor.

    Attributes:
        data: labelled set.
        processor: one of `PROCESSORS`.
        points: model, learning rate and seed of each.
        config: settings of the bench, plain data.
        label: column of obs with the classes.
        layer: layer to read instead of X.
    """

    data: str
    processor: str
    points: list[tuple[str, float, int]]
    config: dict[str, Any]
    label: str | None
    layer: str | None


def run_points(request: PointsRequest, on_row: Callable[[dict[str, Any]], None]) -> None:
    """Measure in a child process, and hand over every row as soon as it is there.

    Raises:
        ConfigError: this machine has not the instructions of that processor.
        ScgraphError: a set or a setting cannot be used.
    """
    environment = {name: value for name, value in os.environ.items() if name != "ATEN_CPU_CAPABILITY"}
    if request.processor != NATIVE:
        environment["ATEN_CPU_CAPABILITY"] = request.processor
    with tempfile.TemporaryDirectory() as scratch:
        answers, errors = Path(scratch) / "rows.jsonl", Path(scratch) / "errors.txt"
        answers.touch()
        with errors.open("w") as sink, answers.open(encoding="utf-8") as lines:
            command = [sys.executable, str(Path(__file__).resolve()), str(answers)]
            child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=sink, text=True)
            try:
                assert child.stdin is not None
                child.stdin.write(json.dumps(asdict(request)))
                child.stdin.close()
                while child.poll() is None:
                    time.sleep(0.2)
                    for line in _whole_lines(lines):
                        on_row(json.loads(line))
                for line in _whole_lines(lines):
                    on_row(json.loads(line))
            finally:
                child.kill()
        if child.returncode:
            raise ScgraphError(outcome(child.returncode, errors.read_text(errors="replace").strip())[1])


def _whole_lines(lines: Any) -> Iterator[str]:
    """Lines that are there; one that is still being written is left for the next look."""
    while True:
        place = lines.tell()
        line = lines.readline()
        if not line.endswith("\n"):
            lines.seek(place)
            return
        yield line


def measure_points(request: PointsRequest) -> Iterator[dict[str, Any]]:
    """Pretrain and probe on the train and validation parts; the test part is cut off before."""
    import torch

    from scgraph.bench.inputs import read_probe_sets
    from scgraph.bench.protocol import settings_of
    from scgraph.config import BenchConfig, merged, parse_config
    from scgraph.train import pretrain
    from scgraph.tune.objective import parts_of, validation_macro_f1

    taken = torch.backends.cpu.get_cpu_capability().lower()
    if request.processor not in (NATIVE, taken):
        raise ConfigError(f"--processors: this machine computes as {taken} where {request.processor} is asked for.")
    settings = parse_config(BenchConfig, request.config, source="request")
    (probe,) = read_probe_sets(
        [request.data], layer=request.layer, label=request.label, drop_classes_below=settings.drop_classes_below
    )
    for seed in sorted({seed for _, _, seed in request.points}):
        parts = parts_of(probe, [], settings, seed=seed)
        for model, rate, _ in (point for point in request.points if point[2] == seed):
            own = settings_of(model, settings)
            own = parse_config(
                BenchConfig, merged(own.model_dump(), {"train": {"learning_rate": rate}}), source="request"
            )
            train = own.train_for(len(parts.train), seed=seed)
            start = time.perf_counter()
            trained = pretrain(own.model, train, parts.train, parts.validation, progress=False)
            score = validation_macro_f1(trained, parts, train, own.probe, seed=seed)
            last = trained.history.iloc[-1]
            yield {
                "dataset": parts.name,
                "model": model,
                "learning_rate": rate,
                "seed": seed,
                "processor": request.processor,
                "validation_macro_f1": score,
                "validation_mvp_loss": float(last["validation_mvp_loss"]),
                "steps": train.epochs * -(-len(parts.train) // train.batch_size),
                "n_validation": len(parts.validation_codes),
                "seconds": round(time.perf_counter() - start, 2),
            }


def main() -> int:
    """Answer the request on standard input; what went wrong stands in the last line of standard error."""
    request = PointsRequest(**json.load(sys.stdin))
    with Path(sys.argv[1]).open("a", encoding="utf-8") as answers:
        try:
            for row in measure_points(request):
                answers.write(json.dumps(row) + "\n")
                answers.flush()
        except ScgraphError as error:
            sys.stderr.write(f"\n{' '.join(str(error).split())}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
