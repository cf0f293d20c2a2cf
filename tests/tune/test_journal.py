"""Damaged journals and locks left behind: nothing that was finished is lost."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock

from scgraph.errors import DataError, OutputError
from scgraph.tune.journal import mend_journal, open_journal
from scgraph.tune.storage import open_storage, place_of, quiet_optuna

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Three finished trials."""
    path = tmp_path / "journal.log"
    with quiet_optuna():
        study = optuna.create_study(study_name="s", storage=JournalStorage(open_journal(path)))
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    return path


def values(path: Path) -> list[float]:
    with quiet_optuna():
        study = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
        return [trial.value for trial in study.trials if trial.value is not None]


DAMAGE = {
    "torn": (lambda whole: whole + b'{"op_code":4,"worker_id":"a","st', 3),
    "nuls": (lambda whole: whole + b"\x00" * 4096, 3),
    "garbage": (lambda whole: whole + b"\xff\xfe garbage \r\n more\n", 3),
    "no newline": (lambda whole: whole[:-1], 3),
    "cut in the last line": (lambda whole: whole[:-9], 2),
    "torn and written on": (lambda whole: _with_next(whole, b'{"op_code":4,"work'), 3),
    "nuls and written on": (lambda whole: _with_next(whole, b"\x00\x00\x00"), 3),
}


def _with_next(whole: bytes, torn: bytes) -> bytes:
    lines = whole.splitlines(keepends=True)
    return b"".join(lines[:-1]) + torn + lines[-1]


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_put_aside_and_finished_trials_stay(journal: Path, name: str) -> None:
    whole, before = journal.read_bytes(), values(journal)
    damage, kept = DAMAGE[name]
    damaged = damage(whole)
    journal.write_bytes(damaged)
    said: list[str] = []
    mend_journal(journal, said.append)
    assert values(journal) == before[:kept]
    aside = list(journal.parent.glob("journal.log.bad-*"))
    kept_bytes = journal.read_bytes()
    if name == "no newline":
        assert kept_bytes == whole
        assert not aside
    else:
        # Not a byte is gone: what the journal lost stands aside.
        together = kept_bytes + aside[0].read_bytes()
        assert len(together.replace(b"\n", b"")) == len(damaged.replace(b"\n", b""))
        assert aside[0].name in said[0]
    mend_journal(journal, said.append)
    assert len(said) == 1


def test_optunas_own_reader_fails_for_ever_on_a_torn_line_that_was_written_on(journal: Path) -> None:
    journal.write_bytes(DAMAGE["torn"][0](journal.read_bytes()) + b'{"op_code":4}\n{}\n')
    with pytest.raises(ValueError, match=r"Expecting|Extra|Unterminated"):
        values(journal)


def test_nothing_is_appended_to_a_torn_line(journal: Path) -> None:
    before, said = values(journal), []
    with quiet_optuna():
        study = optuna.load_study(study_name="s", storage=JournalStorage(open_journal(journal, said.append)))
        with journal.open("ab") as file:
            file.write(b'{"op_code":4,"worker_id":"killed')
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert values(journal)[:3] == before
    assert len(values(journal)) == 4
    assert [path.read_bytes() for path in journal.parent.glob("journal.log.bad-*")] == [
        b'{"op_code":4,"worker_id":"killed'
    ]
    assert "torn by a kill" in said[0]


def test_lost_operations_that_later_ones_need_are_refused(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    first_trial = next(i for i, line in enumerate(lines) if json.loads(line)["op_code"] == 4)
    damaged = b"".join([*lines[:first_trial], b"overwritten\n", *lines[first_trial + 1 :]])
    journal.write_bytes(damaged)
    with pytest.raises(DataError, match=r"journal\.log: is damaged, and an operation that is lost"):
        mend_journal(journal)
    assert journal.read_bytes() == damaged


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n" * 9, b"a,b\n1,2\n", b'{"not": "a journal"}\n'])
def test_another_file_is_refused_and_untouched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.h5ad"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no journal of a study"), open_storage(place_of(path, tmp_path)):
        pass
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    for path, told in ((tmp_path, "is a folder"), (tmp_path / "no" / "journal.log", "there is no folder")):
        with pytest.raises(OutputError, match=told), open_storage(place_of(path, tmp_path)):
            pass


@pytest.mark.parametrize("lock", [JournalFileSymlinkLock, JournalFileOpenLock])
def test_a_lock_left_behind_is_removed(journal: Path, lock: type) -> None:
    lock(str(journal)).acquire()
    assert "journal.log.lock" in os.listdir(journal.parent)  # noqa: PTH208 - a link to nowhere does not exist for a path
    said: list[str] = []
    start = time.monotonic()
    mend_journal(journal, said.append)
    assert 1 < time.monotonic() - start < 15  # Optuna alone waits for half a minute
    assert said == [f"{journal}.lock: was left behind by a process that is gone; removed."]
    assert "journal.log.lock" not in os.listdir(journal.parent)  # noqa: PTH208


def test_a_lock_in_use_is_waited_for(journal: Path) -> None:
    import threading

    lock = JournalFileSymlinkLock(str(journal))
    lock.acquire()
    threading.Timer(0.3, lock.release).start()
    said: list[str] = []
    mend_journal(journal, said.append)
    assert said == []
