"""A search in a process of its own: the job on standard input, as a worker gets it; no cells are read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scgraph.cli import app as cli
from scgraph.cli.terminal import say
from scgraph.tune.plan import SearchPlan
from scgraph.tune.storage import Place, open_storage
from scgraph.tune.study import open_board
from scgraph.tune.supervisor import Supervisor


def run(job: SearchPlan, folder: Path, count: int) -> None:
    """As a command, which says its errors and ends with their code."""

    def search(*_: object, **__: object) -> None:
        with open_storage(Place(**job.storage), patience=job.tune.patience_seconds, say=say) as storage:
            boards = {model: open_board(job, model, storage) for model in job.models}
            Supervisor(job, boards, count, folder, say, lambda _model, trial: say(f"[trial {trial.number}]")).run()

    cli.app = search  # type: ignore[assignment]
    cli.main([])


if __name__ == "__main__":
    run(SearchPlan(**json.load(sys.stdin)), Path(sys.argv[1]), int(sys.argv[2]))
