"""Storages that are no storage, locked, gone or named wrongly."""

from __future__ import annotations

import importlib
import os
import socket
import sqlite3
import sys
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import sqlalchemy.event
from sqlalchemy.engine import Engine, make_url

from scgraph.errors import ConfigError, DataError, OutputError
from scgraph.tune import storage as storages
from scgraph.tune.storage import open_storage, place_of
from scgraph.tune.study import open_board
from tests.forking import Forked
from tests.tune.helpers import Server, make_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_places_by_their_address(tmp_path: Path) -> None:
    assert place_of(None, tmp_path).address == str(tmp_path / "journal.log")
    assert place_of("x.log", tmp_path).kind == "journal"
    assert place_of(tmp_path / "x.db", tmp_path).address == place_of(f"sqlite:///{tmp_path}/x.db", tmp_path).address
    place = place_of("postgres://me:secret@host:1/db", tmp_path)
    assert place.address == "postgresql+psycopg://me:secret@host:1/db"
    assert place.shown == "postgresql://me@host:1/db"
    for wrong in ("mysql://u:secret@h/d", "sqlite://", "redis://x"):
        with pytest.raises(ConfigError, match="storage ") as error:
            place_of(wrong, tmp_path)
        assert "secret" not in str(error.value)


def test_a_password_is_read_as_it_is_meant(tmp_path: Path) -> None:
    for written in ("p@ss/w", "p%40ss%2Fw"):
        place = place_of(f"postgresql://me:{written}@host:1/db?application_name=a@b", tmp_path)
        url = make_url(place.address)
        assert (url.username, url.password, url.host, url.database) == ("me", "p@ss/w", "host", "db")
        assert place.shown == "postgresql://me@host:1/db?application_name=a@b"


@pytest.mark.parametrize(
    "wrong", ["postgresql://me:secret", "postgresql://me:secret@h:x/d", "h:secret@x/d", "host=h password=secret"]
)
def test_what_is_no_address_is_refused_without_its_password(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"storage .*postgresql://USER@HOST") as error:
        place_of(wrong, tmp_path)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("query", ["?sslmode=secret", "?secret=1"])
def test_what_a_driver_quotes_holds_no_password(tmp_path: Path, query: str) -> None:
    place = place_of(f"postgresql://me:secret@127.0.0.1:1/db{query}", tmp_path)
    with pytest.raises(OutputError, match="cannot be reached") as error, open_storage(place):
        pass
    assert "secret" not in str(error.value).replace(place.shown, "")


def test_garbage_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(b"no database at all" * 500)
    with pytest.raises(DataError, match=r"study\.db: is no SQLite database"), open_storage(place_of(path, tmp_path)):
        pass
    assert path.read_bytes() == b"no database at all" * 500


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="there is no folder"),
        open_storage(place_of(tmp_path / "no" / "x.db", tmp_path)),
    ):
        pass


def test_a_locked_database_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storages, "LOCKED_SECONDS", 0.3)
    place = place_of(tmp_path / "study.db", tmp_path)
    with open_storage(place):
        pass
    other = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(OutputError, match=r"study\.db: is locked by another program"), open_storage(place):
            pass
    finally:
        other.close()


def open_together(database: Path, gate: Path) -> None:
    # What opening imports, so that all open at one moment.
    for name in (
        "alembic.command",
        "alembic.config",
        "alembic.migration",
        "alembic.script",
        "optuna.storages._rdb.storage",
    ):
        importlib.import_module(name)
    (gate / str(os.getpid())).touch()
    until = time.monotonic() + 60
    while len(list(gate.iterdir())) < 4:
        assert time.monotonic() < until, "the others do not come"
        time.sleep(0.001)
    with open_storage(place_of(str(database), database.parent)) as storage:
        sys.stdout.write(str(len(storage.get_all_studies())))


def test_processes_that_make_one_database_together_all_get_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gate, logs = tmp_path_factory.mktemp("gate"), tmp_path_factory.mktemp("logs")
    begin = partial(open_together, tmp_path / "study.db", gate)
    processes = [Forked(begin, logs / str(number)) for number in range(4)]
    assert [(process.wait(), process.said()) for process in processes] == [(0, "0")] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_a_server_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = place_of(f"postgresql://me:secret@127.0.0.1:{port}/db", tmp_path)
    told = rf"postgresql://me@127.0.0.1:{port}/db: cannot be reached"
    with pytest.raises(OutputError, match=told) as error, open_storage(place):
        pass
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@contextmanager
def connections_that_break(at: int) -> Iterator[list[str]]:
    """Let the server end the connection that a statement is about to go through, the `at`-th from here."""
    asked: list[str] = []

    def broken(connection: Any, _: Any, statement: str, *__: Any) -> None:
        asked.append(statement)
        if len(asked) - 1 == at:
            pid = connection.connection.dbapi_connection.info.backend_pid
            address = connection.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
            with psycopg.connect(address, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

    sqlalchemy.event.listen(Engine, "before_cursor_execute", broken)
    try:
        yield asked
    finally:
        sqlalchemy.event.remove(Engine, "before_cursor_execute", broken)


def test_a_connection_may_break_at_any_statement(tmp_path: Path, server: Server) -> None:
    place = place_of(server.database(), tmp_path)
    with open_storage(place) as storage:
        open_board(make_job(place, trials=2), "none", storage)
    for at in range(100):
        with open_storage(place, patience=20) as storage:
            board = open_board(make_job(place, trials=2), "none", storage)
            with connections_that_break(at) as asked:
                assert [trial.number for trial in board.trials()] == [0, 1]
        if len(asked) <= at:
            break
    assert at > 0
    told = "terminating connection .* the same command goes on"
    with open_storage(place) as storage:
        board = open_board(make_job(place, trials=2), "none", storage)
        with connections_that_break(0), pytest.raises(OutputError, match=told):
            board.trials()
