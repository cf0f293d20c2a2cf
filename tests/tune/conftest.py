"""A small set, quick settings, and a PostgreSQL server of our own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from scgraph.tune import supervisor
from tests.helpers import make_cells
from tests.tune.forking import ForkedWorker
from tests.tune.helpers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tune") / "cells.h5ad"
    make_cells(60).write_h5ad(path)
    return path


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    pg_ctl = found[-1] if found else shutil.which("pg_ctl")
    if pg_ctl is None:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    user = None
    if os.getuid() == 0:  # the server refuses to run as root
        known = {entry.pw_name for entry in pwd.getpwall()}
        user = next((name for name in ("postgres", "nobody") if name in known), None)
        if user is None or shutil.which("setpriv") is None:
            pytest.skip("PostgreSQL cannot be started: root cannot become another user here")
    folder = Path(tempfile.mkdtemp(prefix="scgraph-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    server = Server(Path(pg_ctl).resolve().parent, folder, user)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def storage_address(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """None for the journal, or the address of an empty database, by the kind in `request.param`."""
    if request.param == "journal":
        return None
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'study.db'}"
    address: str = request.getfixturevalue("server").database()
    return address


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the workers of a search, which are real processes all the same."""
    forking = SimpleNamespace(Popen=ForkedWorker, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(supervisor, "subprocess", forking)
