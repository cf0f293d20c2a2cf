"""What runs in processes of their own so that they can be killed: a slow pretraining, and saves without end."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.train.helpers import SlowStore, parts, small_model, small_store, small_training


def run_training(out: Path) -> None:
    from scgraph.train import pretrain

    train, validation = parts()
    slow = SlowStore(**vars(train))
    try:
        pretrain(small_model(), small_training(), slow, validation, out=out, resume=True)
    except KeyboardInterrupt:
        sys.exit(130)


def wait_until_replaced(path: Path) -> None:
    before = path.stat().st_ino if path.exists() else None
    while not path.exists() or path.stat().st_ino == before:
        time.sleep(0.001)


def kill_saves(out: Path, times: int) -> None:
    """Kill a process that saves without end, many times; check each time that what it left loads."""
    import torch

    from scgraph.models import load_model, save_model
    from scgraph.nn import GeneModel

    torch.set_num_threads(1)
    # Large enough that a kill often comes while bytes are being written.
    store, config = small_store(4), small_model(channels=512)
    delays, seen = random.Random(0), []
    for trial in range(times):
        folder = out / str(trial % 4)
        pid = os.fork()
        if pid == 0:
            model = GeneModel(len(store.vocabulary), **config.model_kwargs())
            for number in range(100_000):
                with torch.no_grad():
                    for weight in model.parameters():
                        weight.fill_(number % 1000)
                save_model(folder, model, store.vocabulary, config, metadata={"seed": 0}, progress={"n": number})
            os._exit(0)
        for _ in range(1 + trial % 3):  # on a busy machine a delay alone could end before the first save
            wait_until_replaced(folder / "model.safetensors")
        time.sleep(delays.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        saved = load_model(folder)
        values = {float(value) for weight in saved.model.parameters() for value in weight.unique()}
        if values != {float(saved.progress["n"] % 1000)}:
            raise SystemExit(f"weights {values} with progress {saved.progress}")
        seen.append(saved.progress["n"])
    sys.stdout.write(" ".join(map(str, seen)))


if __name__ == "__main__":
    kill_saves(Path(sys.argv[1]), int(sys.argv[2]))
