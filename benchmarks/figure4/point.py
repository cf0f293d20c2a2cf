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
from typing import Any

from benchmarks.harness.children import last_words, limit_memory, outcome
from scgraph.errors import ScgraphError
from scgraph.files import write_atomic
from scgraph.system.child import child_command, child_environment

__all__ = ["Point", "PointRequest", "run_point"]


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
        costs: entries of `scgraph.costs.profiling.Costs`.
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
                child_command("benchmarks.figure4.point", str(answer)),
                env=child_environment(),
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
    status, message = outcome(child.returncode, said)
    return Point(status, message, seconds)


def measure_point(request: PointRequest) -> dict[str, Any]:
    """Pretrain and probe with every seed, then profile; return `rows` and `costs` of a `Point`."""
    import lightning  # noqa: F401 (the first seed would count its loading as pretraining)

    from scgraph.config import BenchConfig
    from scgraph.config_files import parse_config
    from scgraph.costs.profiling import profile
    from scgraph.data.sets.corpus import read_corpus
    from scgraph.data.sets.labelled import read_probe_sets, split_of
    from scgraph.data.sets.stores import make_stores
    from scgraph.models.settings import settings_by_model
    from scgraph.reporting.statistics import score
    from scgraph.representations.classifier import fit_probe
    from scgraph.train import embed, pretrain, resolve_device

    # Behind the imports: a library that lacks memory while it is loaded fails in many ways.
    limit_memory(request.memory_gb, str(resolve_device(request.config["train"]["device"])))
    settings = parse_config(BenchConfig, request.config, source="request")
    settings = settings_by_model([request.model], settings)[request.model]
    train = settings.train
    probe = read_probe_sets(
        [request.data], layer=request.layer, label=request.label, drop_classes_below=settings.drop_classes_below
    )[0]
    corpus = read_corpus(request.corpus, layer=request.layer)
    rows: list[dict[str, Any]] = []
    vocabulary = request.genes
    for seed in range(settings.seeds):
        split = split_of(probe, settings, seed=seed)
        prepared = make_stores(probe, split, corpus, settings, seed=seed, drop_leaks=request.drop_leaks)
        vocabulary = len(prepared.train.vocabulary)
        start = time.perf_counter()
        trained = pretrain(
            settings.model,
            settings.train_for(len(prepared.train), seed=seed),
            prepared.train,
            prepared.validation,
            progress=False,
        )
        seconds = time.perf_counter() - start
        x = embed(trained.model, prepared.probe, genes=request.genes, seed=seed, device=train.device)
        y = probe.codes
        parts = (split.train, split.validation, split.test)
        found = fit_probe(
            x[parts[0]], y[parts[0]], x[parts[1]], y[parts[1]], x[parts[2]], settings.probe,
            classes=len(probe.classes), seed=seed,
        )  # fmt: skip
        scores = score(y[split.test], found.test_predictions)
        rows.append({"seed": seed, **scores, "epochs": len(trained.history), "seconds_pretrain": seconds})
    costs = profile(
        settings.model,
        genes=request.genes,
        vocabulary_size=vocabulary,
        batch_size=min(train.cells_a_step(16), 16),
        device=str(resolve_device(train.device)),
        precision=train.precision,
        seconds=1.0,
    )
    return {"rows": rows, "costs": asdict(costs)}


def main() -> int:
    """Answer the request on standard input; what went wrong stands in the last line of standard error."""
    request = PointRequest(**json.load(sys.stdin))
    try:
        answer = measure_point(request)
    except (MemoryError, RuntimeError, OSError, ImportError, ScgraphError) as error:
        sys.stderr.write(last_words(error))
        return 1
    write_atomic(Path(sys.argv[1]), json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
