"""Where a study lives: a journal file, SQLite or PostgreSQL; what is wrong with it is said in one message."""

from __future__ import annotations

import glob
import re
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.errors import ConfigError, DataError, argument
from scgraph.reporting.redact import HIDDEN, address_and_query, passwords_in, without_passwords
from scgraph.system.locks import FileGuard
from scgraph.tune.journal import StorageError, mend_journal, open_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from optuna.storages import BaseStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

__all__ = ["Place", "open_storage", "place_of", "quiet_optuna"]

JOURNAL = "journal.log"
ADDRESS_WITHOUT_SCHEME = re.compile(r"\w[\w+.-]*:.+@")
SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
LOCKED_SECONDS = 20
"""How long SQLite itself waits for another process."""


@dataclass(frozen=True)
class Place:
    """A storage by its address.

    Attributes:
        kind: "journal", "sqlite" or "postgresql".
        address: the absolute path of the journal, or an address as SQLAlchemy takes it.
        shown: how to name it to people: without a password.
    """

    kind: str
    address: str
    shown: str

    @property
    def path(self) -> Path | None:
        """The file; None for a server."""
        return None if self.kind == "postgresql" else Path(self.address.removeprefix("sqlite:///"))

    def stands_in(self, folder: Path) -> bool:
        """Say whether the file, or what another process locks before it makes the file, stands in a folder."""
        path = self.path
        return path is not None and path.parent == folder and any(folder.glob(f"{glob.escape(path.name)}*"))


def place_of(storage: str | Path | None, folder: Path) -> Place:
    """Return the place that `storage` names; the journal in `folder` where it names none.

    Raises:
        ConfigError: an address of another kind, or a driver that is not installed.
    """
    if storage is None:
        return _file(folder / JOURNAL)
    text = str(storage)
    scheme, sign, rest = text.partition("://")
    shown = without_passwords(text, whole=True)
    if not sign and ADDRESS_WITHOUT_SCHEME.match(text):
        shown = without_passwords(f"postgresql://{text}", whole=True).removeprefix("postgresql://")
    if not sign and shown == text:
        path = Path(text).expanduser()
        return _sqlite(path) if path.suffix in SQLITE_SUFFIXES else _file(path)
    kind = scheme.split("+")[0]
    if kind == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return _sqlite(Path(rest[1:]).expanduser())
    if kind in ("postgresql", "postgres"):
        return _postgresql(rest)
    raise ConfigError(
        f"{argument('storage')} {shown}: give a file for a journal, sqlite:///FILE or postgresql://USER@HOST/DATABASE."
    )


@contextmanager
def open_storage(
    place: Place, *, patience: float = 0.0, say: Callable[[str], None] = lambda _: None
) -> Iterator[BaseStorage]:
    """Open a storage, mending a journal that a kill damaged, and close it behind.

    Args:
        place: of `place_of`.
        patience: seconds that a database which is gone is waited for, at every operation.
        say: told what was mended and what is waited for.

    Raises:
        DataError: the file is something else, or damaged beyond mending.
        OutputError: it cannot be reached, is locked or cannot be written; also raised by later operations.
    """
    from optuna.storages import JournalStorage, get_storage

    with quiet_optuna():
        if place.kind == "journal":
            yield JournalStorage(_journal(Path(place.address), say))
            return
        database = _patient(place, patience, say)
        try:
            yield get_storage(database)
        finally:
            database.scoped_session.remove()
            database.engine.dispose()


def _journal(path: Path, say: Callable[[str], None]) -> JournalFileBackend:
    from optuna.storages import JournalStorage

    if not path.parent.is_dir():
        raise StorageError(f"{path}: there is no folder {path.parent}.")
    try:
        mend_journal(path, say)
        backend = open_journal(path, say)
        JournalStorage(backend)  # reads it once
    except OSError as error:
        raise StorageError(f"{path}: cannot be used ({error.strerror or error}).") from error
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path}: is no journal of a study ({error}). Name another file in {argument('storage')}."
        ) from error
    return backend


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Hold back Optuna's lines on every trial and its notes on what is experimental."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _file(path: Path) -> Place:
    path = path.expanduser().absolute()
    return Place("journal", str(path), str(path))


def _sqlite(path: Path) -> Place:
    path = path.absolute()
    return Place("sqlite", f"sqlite:///{path}", str(path))


def _postgresql(rest: str) -> Place:
    import importlib.util

    if importlib.util.find_spec("psycopg") is None:
        raise ConfigError(
            f"{argument('storage')}: postgresql needs the package psycopg: install scgraph-zoo[postgres]."
        )
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    # SQLAlchemy ends a password at its first @ and takes the rest of it for the host.
    main, query = address_and_query(rest)
    user, at, where = main.rpartition("@")
    address = f"postgresql+psycopg://{user.replace('@', '%40')}{at}{where}{query}"
    shown = without_passwords(f"postgresql://{rest}", whole=True)
    try:
        make_url(address)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(
            f"{argument('storage')} {shown}: is no address of a database. Write postgresql://USER@HOST:PORT/DATABASE, "
            "and the password into the environment variable PGPASSWORD."
        ) from error
    return Place("postgresql", address, shown)


def _patient(place: Place, patience: float, say: Callable[[str], None]) -> RDBStorage:
    """Open a database; an operation that fails because it is gone or locked is tried again for `patience` seconds."""
    import sqlalchemy
    from optuna.exceptions import StorageInternalError
    from optuna.storages import BaseStorage, RDBStorage
    from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError, PendingRollbackError, SQLAlchemyError

    def passing(error: BaseException) -> bool:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        gone = isinstance(cause, DatabaseError) and bool(cause.connection_invalidated)
        # Optuna asks again in another way, in the transaction that broke, and only then rolls it back.
        return gone or isinstance(cause, OperationalError | InterfaceError | PendingRollbackError)

    def tried(call: Callable[[], Any], seconds: float) -> Any:
        since, pause, announced = time.monotonic(), 0.2, False
        while True:
            try:
                return call()
            except (StorageInternalError, SQLAlchemyError) as error:
                if not passing(error) or time.monotonic() - since >= seconds:
                    raise _explained(place, error, seconds) from error
                if not announced:
                    announced = True
                    say(f"{place.shown}: cannot be reached; trying again for {seconds:g} s.")
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

    class Patient(RDBStorage):
        def __getattribute__(self, name: str) -> Any:
            attribute = super().__getattribute__(name)
            if name not in operations:
                return attribute
            return lambda *args, **kwargs: tried(lambda: attribute(*args, **kwargs), patience)

    operations = {name for name in vars(BaseStorage) if not name.startswith("_")}
    operations -= {"remove_session", "check_trial_is_updatable"}
    operations |= {"_create_new_trial", "_set_trial_param", "_get_trials", "_get_best_trial_id"}
    if place.kind == "sqlite":
        options: dict[str, Any] = {"connect_args": {"timeout": LOCKED_SECONDS}}
        if place.path is not None and not place.path.parent.is_dir():
            raise StorageError(f"{place.shown}: there is no folder {place.path.parent}.")
    else:
        options = {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}
    storage: RDBStorage
    try:
        try:
            with _making_tables(place):
                storage = Patient(place.address, engine_kwargs=options)
        except SQLAlchemyError as error:
            # Two commands that start at once make the same tables; the second finds them made.
            if "already exists" not in str(error) and "duplicate key" not in str(error):
                raise
            storage = Patient(place.address, engine_kwargs=options)
    except OSError as error:
        raise StorageError(f"{place.shown}: cannot be used ({error.strerror or error}).") from error
    except (SQLAlchemyError, StorageInternalError) as error:
        raise _explained(place, error, 0.0) from error
    except RuntimeError as error:
        raise DataError(f"{place.shown}: was written by another version of Optuna ({error}).") from error
    if place.kind == "sqlite":
        _write_locks(storage.engine, sqlalchemy)
    return storage


@contextmanager
def _making_tables(place: Place) -> Iterator[None]:
    """Let one process at a time look for the tables of a file and make them: SQLite does not tell it afterwards."""
    path = place.path
    if place.kind != "sqlite" or path is None:
        yield
        return
    with FileGuard(path.with_name(path.name + ".guard")).held():
        yield


def _write_locks(engine: Any, sqlalchemy: Any) -> None:
    """Let every transaction of SQLite begin as a writing one: else two workers can take the same trial."""

    @sqlalchemy.event.listens_for(engine, "connect")  # type: ignore[untyped-decorator]
    def _by_hand(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @sqlalchemy.event.listens_for(engine, "begin")  # type: ignore[untyped-decorator]
    def _immediate(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()


def _explained(place: Place, error: Exception, waited: float) -> DataError | StorageError:
    from sqlalchemy.exc import PendingRollbackError

    cause: Any = error.__cause__ if error.__cause__ is not None else error
    if isinstance(cause, PendingRollbackError) and cause.__context__ is not None:  # what the transaction broke at
        cause = cause.__context__
    reason = " ".join(str(getattr(cause, "orig", None) or cause).split())
    for password in passwords_in(place.address):  # a driver may quote what it was given
        reason = reason.replace(password, HIDDEN)
    reason = without_passwords(reason)[:300]
    if place.kind == "sqlite" and ("not a database" in reason or "malformed" in reason):
        return DataError(
            f"{place.shown}: is no SQLite database, or is damaged ({reason}). Name another file in "
            f"{argument('storage')}."
        )
    if place.kind == "sqlite" and "locked" in reason:
        return StorageError(
            f"{place.shown}: is locked by another program, also after {waited + LOCKED_SECONDS:g} s. Close that "
            "program; finished trials are safe, and the same command goes on."
        )
    after = f" for {waited:g} s" if waited else ""
    return StorageError(
        f"{place.shown}: cannot be reached{after} ({reason}). Finished trials are safe there; the same command goes on."
    )
