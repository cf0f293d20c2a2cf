"""Points measured in a process that computes with the vectors of another processor.

A request comes as JSON on standard input; every point that is measured is a line of JSON on standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.harness.children import last_words, outcome
from scgraph.errors import ConfigError, ScgraphError
from scgraph.system.child import child_command, child_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["NATIVE", "PROCESSORS", "PointsRequest", "run_points"]

NATIVE = "native"
PROCESSORS = (NATIVE, "avx512", "avx2", "default")
"""Values of ATEN_CPU_CAPABILITY: vectors of that width, so that sums are rounded as on such a processor."""
VARIABLE = "ATEN_CPU_CAPABILITY"


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
        ScgraphError: a set or a setting cannot be used, or this machine has not the instructions of that processor.
    """
    environment = {name: value for name, value in child_environment().items() if name != VARIABLE}
    if request.processor != NATIVE:
        environment[VARIABLE] = request.processor
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        child = subprocess.Popen(
            child_command("benchmarks.learning_rates.point"),
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        with child:
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                child.stdin.write(json.dumps(asdict(request)))
                child.stdin.close()
                for line in child.stdout:
                    on_row(json.loads(line))
            except BaseException:
                child.kill()
                raise
        if child.returncode:
            errors.seek(0)
            raise ScgraphError(outcome(child.returncode, errors.read().strip())[1])


def measure_points(request: PointsRequest) -> Iterator[dict[str, Any]]:
    """Pretrain and probe on the train and validation parts; the test part is cut off before."""
    import torch

    from scgraph.config import BenchConfig
    from scgraph.config_files import parse_config
    from scgraph.data.sets.corpus import NO_CORPUS
    from scgraph.data.sets.labelled import read_probe_sets
    from scgraph.models.settings import settings_by_model
    from scgraph.train import pretrain
    from scgraph.tune.objective import parts_of, validation_macro_f1
    from scgraph.tune.space import trial_settings

    taken = torch.backends.cpu.get_cpu_capability().lower()
    if request.processor not in (NATIVE, taken):
        raise ConfigError(f"--processors: this machine computes as {taken} where {request.processor} is asked for.")
    settings = parse_config(BenchConfig, request.config, source="request")
    (probe,) = read_probe_sets(
        [request.data], layer=request.layer, label=request.label, drop_classes_below=settings.drop_classes_below
    )
    by_model = settings_by_model(sorted({model for model, _, _ in request.points}), settings)
    for seed in sorted({seed for _, _, seed in request.points}):
        parts = parts_of(probe, NO_CORPUS, settings, seed=seed)
        for model, rate, _ in (point for point in request.points if point[2] == seed):
            own = trial_settings(model, {"train.learning_rate": rate}, by_model[model])
            train = own.train_for(len(parts.train), seed=seed)
            start = time.perf_counter()
            trained = pretrain(own.model, train, parts.train, parts.validation, progress=False)
            score = validation_macro_f1(trained, parts, train, own.probe, seed=seed)
            yield {
                "dataset": parts.name,
                "model": model,
                "learning_rate": rate,
                "seed": seed,
                "processor": request.processor,
                "validation_macro_f1": score,
                "validation_mvp_loss": float(trained.history["validation_mvp_loss"].iloc[-1]),
                "steps": train.epochs * -(-len(parts.train) // train.cells_a_step(len(parts.train))),
                "n_validation": len(parts.validation_codes),
                "seconds": round(time.perf_counter() - start, 2),
            }


def main() -> int:
    """Answer the request on standard input; what went wrong stands in the last line of standard error."""
    request = PointsRequest(**json.load(sys.stdin))
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what a library says is no row
        try:
            for row in measure_points(request):
                answers.write(json.dumps(row) + "\n")
                answers.flush()
        except (MemoryError, RuntimeError, OSError, ScgraphError) as error:
            sys.stderr.write(last_words(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
