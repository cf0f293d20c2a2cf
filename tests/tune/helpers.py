"""A small set, quick settings, and a PostgreSQL server of our own."""

from __future__ import annotations

import socket
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

from scgraph.tune.plan import SearchPlan, with_spaces

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "FAKE",
    "TINY",
    "Server",
    "make_job",
]


TINY: dict[str, Any] = {
    "base": "bench/mvp",
    "trials": 3,
    "startup_trials": 20,
    "heartbeat_seconds": 0.5,
    "lost_after_seconds": 5,
    "patience_seconds": 20,
    "bench": {
        "model": {"channels": 8, "layers": 1, "rank": 4},
        "per_model": {"tf": {"conv_options": {"heads": 2}}},
        "train": {"genes": 16, "epochs": 2, "batch_size": 32},
        "probe": {"kind": "adam", "epochs": 3},
        "seeds": 1,
        "components": 5,
        "baselines": ["majority", "pca+logreg"],
        "uses": [],
    },
    "space": {
        "model": {"channels": [8, 16], "layers": None, "cell_layers": None},
        "train": {
            "learning_rate": {"low": 1e-3, "high": 3e-2, "log": True},
            "weight_decay": {"low": 1e-3, "high": 0.3, "log": True},
            "mask_share": {"low": 0.1, "high": 0.5},
            "cell_loss": {"low": 1.0, "high": 100.0, "log": True},
            "neighbors": None,
            "count_loss": None,
        },
    },
}


FAKE = "tests.tune.fake:Fake"


def make_job(place: Any, *, models: tuple[str, ...] = ("none",), **config: Any) -> SearchPlan:
    """A job as `run_tune` makes it, without data."""
    from dataclasses import asdict

    from scgraph.config_files import merged
    from scgraph.tune.config import as_tune_config, base_settings

    settings = as_tune_config(merged(TINY, config))
    job = SearchPlan(
        storage=asdict(place),
        study="tune",
        models=list(models),
        config=settings.model_dump(mode="json"),
        base=base_settings(settings).model_dump(mode="json"),
        data=[],
        objective=FAKE,
    )
    return with_spaces(job)


class Server:
    """A PostgreSQL server in a folder of its own, run by an unprivileged user."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self.programs = programs
        self.folder = folder
        self.user = user
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        before = (
            [] if self.user is None else ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        )
        command = [*before, str(self.programs / program), *words]
        return subprocess.run(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=90
        )

    def make(self) -> None:
        made = self.run("initdb", "-D", str(self.folder / "data"), "-U", "scgraph", "--auth=trust", "-N", "-E", "UTF8")
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        done = self.run("pg_ctl", "-D", str(self.folder / "data"), "-l", log, "-w", "-o", options, "start")
        assert done.returncode == 0, (self.folder / "log").read_text()

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def database(self) -> str:
        """The address of a new, empty database."""
        import psycopg

        name = f"study_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.address(name)

    def address(self, name: str) -> str:
        return f"postgresql://scgraph@127.0.0.1:{self.port}/{name}"
