"""One of the processes that train together; started by `scgraph.train.distributed.launcher`, never by hand."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from scgraph.errors import ScgraphError
from scgraph.train.distributed.handover import BEGUN, JOB, WEIGHTS, outcome_file, read_store
from scgraph.train.signals import stop_signals

__all__ = ["main"]


def main(folder: Path) -> int:
    """Train as the folder says and write down how it ended.

    Returns:
        The exit code.
    """
    error, message, code = "", "", 0
    with stop_signals() as seen:
        threading.Thread(target=_listen, args=(folder,), daemon=True).start()
        try:
            _train(folder, seen)
        except ScgraphError as failure:
            error, message, code = type(failure).__name__, str(failure), 2
        except KeyboardInterrupt:
            error, code = "stopped", 130
        except SystemExit as stop:
            error, code = "stopped", int(stop.code or 0)
        except BaseException:  # noqa: BLE001 - the process that watches raises it again
            error, message, code = "crash", traceback.format_exc(), 1
        outcome = {"error": error, "message": message, "when": time.time()}
        outcome_file(folder, int(os.environ["RANK"])).write_text(json.dumps(outcome), encoding="utf-8")
    return code


def _train(folder: Path, seen: list[int]) -> None:
    # Seconds of imports: a signal that comes meanwhile is caught already.
    from scgraph.config import ModelConfig, TrainConfig
    from scgraph.data import Vocabulary
    from scgraph.models import build_model
    from scgraph.models.network import saved_parts
    from scgraph.models.saved import VOCABULARY
    from scgraph.models.tensors import read_tensors
    from scgraph.train.checkpoint import Progress, read_progress
    from scgraph.train.distributed.world import find_world
    from scgraph.train.loader import make_loader
    from scgraph.train.neighbors import targets_of
    from scgraph.train.run import Run
    from scgraph.train.trainer import resolve_device

    job: dict[str, Any] = json.loads((folder / JOB).read_text(encoding="utf-8"))
    for module in job["conv_modules"]:
        importlib.import_module(module)
    model_config, train_config = ModelConfig(**job["model"]), TrainConfig(**job["training"])
    out, checkpoint = Path(job["out"]), None if job["checkpoint"] is None else Path(job["checkpoint"])
    vocabulary = Vocabulary.from_tsv((out / VOCABULARY).read_text(encoding="utf-8"))
    tensors = read_tensors(folder / WEIGHTS)[0]
    model = build_model(len(vocabulary), **model_config.model_kwargs(), **saved_parts(model_config, tensors))
    model.load_state_dict(tensors)
    world = find_world(train_config.devices, train_config.nodes)
    stores = {part: read_store(folder / part, vocabulary) for part in ("train", "validation")}
    train = stores["train"]
    assert train is not None
    vectors = dict(zip(stores, targets_of(model, train_config, train, stores["validation"]), strict=True))
    loaders = {
        part: make_loader(
            store, model_config, train_config, shuffle=part == "train", vectors=vectors[part], world=world
        )
        for part, store in stores.items()
        if store is not None
    }
    done = Progress() if checkpoint is None else read_progress(checkpoint)[0]
    follow = {"log": tuple(job["log"]), "license": job["license"]}
    run = Run(model, model_config, train_config, vocabulary, job["metadata"], out, done, world, **follow)
    (folder / BEGUN).touch()
    run.fit(
        loaders["train"],
        loaders.get("validation"),
        job["identity"],
        device=resolve_device(train_config.device),
        checkpoint=checkpoint,
        progress=job["progress"],
        seen=seen,
    )


def _listen(folder: Path) -> None:
    """Pass on the signals that the watching process sends; end where it is gone, however it went."""
    while number := os.read(0, 1):
        os.kill(os.getpid(), number[0])
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # What is still open (a connection to a process that died) must not hold up the end.
    os._exit(code)
