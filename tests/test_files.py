"""Writing files: the old one or the new one, and a clear word before the work starts."""

from __future__ import annotations

import contextlib
import resource
from typing import TYPE_CHECKING

import pytest

from scgraph.errors import OutputError
from scgraph.files import json_text, prepare_output_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 4 KiB, as a full disk would.

    Around the one call that is tested: pytest's own output may be a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_text_and_bytes_replace_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "naïve")
    write_atomic(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "old")
    with full_disk(), pytest.raises(OutputError, match=r"a\.txt: cannot be written"):
        write_atomic(path, "x" * 10_000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"):
        write_atomic(tmp_path / "none" / "a.txt", "x")


def test_json_is_readable_and_ends_with_a_newline() -> None:
    assert json_text({"b": "é", "a": [1]}) == '{\n  "b": "é",\n  "a": [\n    1\n  ]\n}\n'


def test_a_folder_is_made_with_its_parents_and_stays_empty(tmp_path: Path) -> None:
    folder = prepare_output_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert list(folder.iterdir()) == []


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"already holds files \(mine\.txt\).*--overwrite"):
        prepare_output_folder(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_overwrite_removes_only_what_it_owns(tmp_path: Path) -> None:
    for name in ("mine.txt", "model.bin", "state/a", "state/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    prepare_output_folder(tmp_path, overwrite=True, owned=["model.*", "state"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_resume_removes_nothing_but_leftovers_of_a_kill(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_text("x")
    (tmp_path / ".model.bin.0a1b.scgraph-tmp").write_text("half")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / ".run.0a1b.scgraph-tmp").write_text("half")
    prepare_output_folder(tmp_path, resume=True, overwrite=True, owned=["model.*"])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model.bin", "state"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="is a file, and a folder is needed"):
        prepare_output_folder(tmp_path / "out")
    with pytest.raises(OutputError, match="Not a directory"):
        prepare_output_folder(tmp_path / "out" / "deeper")


def test_a_read_only_place_is_said_at_once() -> None:
    # Not even root may create a folder there; the permission bits of an ordinary one mean nothing to root.
    with pytest.raises(OutputError, match="/proc/scgraph: cannot be used for output"):
        prepare_output_folder("/proc/scgraph")


def test_too_little_space_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"MiB left and .* MiB are needed"):
        prepare_output_folder(tmp_path, needed_bytes=2**70)
