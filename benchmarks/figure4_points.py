"""One point of Figure 4, measured in a process of its own under a memory limit.

A request comes as JSON on standard input; the answer goes to the file that the request names.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

from scgraph.errors import ScgraphError
from scgraph.files import write_atomic

__all__ = ["OUT_OF_MEMORY", "Point", "PointRequest", "available_memory_gb", "is_out_of_memory", "run_point"]

OUT_OF_MEMORY = "out of memory"
SIGNS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc",
    "memoryerror", "failed to map segment", "unable to allocate",
)  # fmt: skip
"""What allocators and loaders say; a library that aborts the process leaves no exception."""


@dataclass(frozen=True)
class PointRequest:
    """What to measure: one model at one number of genes.

    Attributes:
        model: registered name.
        genes: genes of a cell G, in training and in embedding.
        data: labelled set.
        corpus: cells to pretrain on; none: the train part.
        config: settings of the bench, plain data.
        label: column of obs with the classes.
        layer: layer to read instead of X.
        drop_leaks: leave test cells out of the corpus.
        memory_gb: limit in 10⁹ bytes: on the CPU of the data of the process, on CUDA of the allocator.
    """

    model: str
    genes: int
    data: str
    corpus: list[str]
    config: dict[str, Any]
    label: str | None
    layer: str | None
    drop_leaks: bool
    memory_gb: float


@dataclass(frozen=True)
class Point:
    """What came of a request.

    Attributes:
        status: "ok", "out of memory" or "failed".
        message: what went wrong, "" where nothing did.
        seconds: of the process.
        rows: one a seed: scores, seconds and epochs of pretraining.
        costs: entries of `scgraph.bench.costs.Costs`.
    """

    status: str
    message: str
    seconds: float
    rows: list[dict[str, Any]] = field(default_factory=list)
    costs: dict[str, Any] = field(default_factory=dict)


def run_point(request: PointRequest) -> Point:
    """Measure a point in a child process; running out of memory is an answer, not an error."""
    with tempfile.TemporaryDirectory() as scratch:
        answer, errors = Path(scratch) / "answer.json", Path(scratch) / "errors.txt"
        start = time.perf_counter()
        with errors.open("w") as sink:
            child = subprocess.run(
                [sys.executable, str(Path(__file__).resolve()), str(answer)],
                input=json.dumps(asdict(request)),
                text=True,
                stdout=subprocess.DEVNULL,
                stderr=sink,
                check=False,
            )
        seconds = time.perf_counter() - start
        said = errors.read_text(errors="replace").strip()
        if child.returncode == 0 and answer.is_file():
            return Point("ok", "", seconds, **json.loads(answer.read_text(encoding="utf-8")))
    last = said.splitlines()[-1].strip() if said else ""
    if child.returncode == -SIGKILL:
        return Point(OUT_OF_MEMORY, "killed by the system", seconds)
    if any(sign in said.lower() for sign in SIGNS):
        return Point(OUT_OF_MEMORY, last, seconds)
    return Point("failed", last or f"the process ended with {child.returncode} and no message", seconds)


def available_memory_gb() -> float:
    """Memory that a new process may take, in 10⁹ bytes."""
    table = Path("/proc/meminfo")
    if table.is_file():
        for line in table.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return round(int(line.split()[1]) * 1024 / 1e9, 1)
    from scgraph.bench.environment import environment

    total = environment()["memory_gb"]
    return total if isinstance(total, float) else float("inf")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one it came from, says that memory ran out."""
    import torch

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError | torch.OutOfMemoryError):
            return True
        if any(sign in str(seen).lower() for sign in SIGNS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def limit_memory(gigabytes: float, device: str) -> None:
    """Let allocations beyond the limit fail in this process."""
    from scgraph.train import resolve_device

    place = resolve_device(device)
    if place.type == "cuda":
        import torch

        total = torch.cuda.get_device_properties(place).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, gigabytes * 1e9 / total), place)
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))


def measure_point(request: PointRequest) -> dict[str, Any]:
    """Pretrain and probe with every seed, then profile; return `rows` and `costs` of a `Point`."""
    import lightning  # noqa: F401 (the first seed would count its loading as pretraining)

    from scgraph.bench.costs import profile
    from scgraph.bench.inputs import prepare, read_corpus, read_probe_sets, split_of
    from scgraph.bench.protocol import model_configs
    from scgraph.bench.statistics import score
    from scgraph.config import BenchConfig, parse_config
    from scgraph.train import embed, linear_probe, pretrain, resolve_device

    settings = parse_config(BenchConfig, request.config, source="request")
    train = settings.train
    config = model_configs([request.model], settings)[request.model]
    probe = read_probe_sets(
        [request.data], layer=request.layer, label=request.label, drop_classes_below=settings.drop_classes_below
    )[0]
    corpus = read_corpus(request.corpus, layer=request.layer)
    rows: list[dict[str, Any]] = []
    vocabulary = request.genes
    for seed in range(settings.seeds):
        split = split_of(probe, settings, seed=seed)
        prepared = prepare(probe, split, corpus, settings, seed=seed, drop_leaks=request.drop_leaks)
        vocabulary = len(prepared.train.vocabulary)
        start = time.perf_counter()
        trained = pretrain(
            config,
            settings.train_for(len(prepared.train), seed=seed),
            prepared.train,
            prepared.validation,
            progress=False,
        )
        seconds = time.perf_counter() - start
        x = embed(trained.model, prepared.probe, genes=request.genes, seed=seed, device=train.device)
        y = probe.codes
        parts = (split.train, split.validation, split.test)
        found = linear_probe(
            x[parts[0]], y[parts[0]], x[parts[1]], y[parts[1]], x[parts[2]], settings.probe,
            classes=len(probe.classes), seed=seed,
        )  # fmt: skip
        scores = score(y[split.test], found.test_predictions)
        rows.append({"seed": seed, **scores, "epochs": len(trained.history), "seconds_pretrain": seconds})
    costs = profile(
        config,
        genes=request.genes,
        vocabulary_size=vocabulary,
        batch_size=min(train.batch_size, 16),
        device=str(resolve_device(train.device)),
        precision=train.precision,
        seconds=1.0,
    )
    return {"rows": rows, "costs": asdict(costs)}


def main() -> int:
    """Answer the request on standard input; what went wrong stands in the last line of standard error."""
    request = PointRequest(**json.load(sys.stdin))
    try:
        limit_memory(request.memory_gb, request.config["train"]["device"])
        answer = measure_point(request)
    except (MemoryError, RuntimeError, OSError, ImportError, ScgraphError) as error:
        if not is_out_of_memory(error) and not isinstance(error, ScgraphError):
            raise
        said = " ".join(str(error).split())[:200] or type(error).__name__
        sys.stderr.write(f"\n{OUT_OF_MEMORY}: {said}\n" if is_out_of_memory(error) else f"\n{said}\n")
        return 1
    write_atomic(Path(sys.argv[1]), json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
