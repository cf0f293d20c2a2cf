"""Writing files: the old one or the new one, and a clear word before the work starts."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scgraph.errors import DataError, OutputError
from scgraph.files import file_atomic, folder_atomic, json_text, output_folder, prepare_output_folder, write_atomic
from scgraph.system.temporary import is_temporary, remove_leftovers, temporary_beside

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


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[int, int, frozenset[str]]]:
    """What was forced to the disk: inode, size (-1 for a folder), and the names that stood in `tmp_path` by then."""
    found: list[tuple[int, int, frozenset[str]]] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        fsync(handle)
        now = os.fstat(handle)
        names = frozenset(path.name for path in tmp_path.iterdir())
        found.append((now.st_ino, -1 if stat.S_ISDIR(now.st_mode) else now.st_size, names))

    monkeypatch.setattr(os, "fsync", watched)
    return found


def test_a_file_is_on_the_disk_before_it_gets_its_name_and_its_name_after(
    tmp_path: Path, synced: list[tuple[int, int, frozenset[str]]]
) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "x" * 5000)
    new, folder = path.stat().st_ino, tmp_path.stat().st_ino
    content = [(inode, size) for inode, size, names in synced if "a.txt" not in names]
    name = [(inode, size) for inode, size, names in synced if "a.txt" in names]
    assert (new, 5000) in content
    assert name == [(folder, -1)]


def test_a_file_that_another_library_writes_is_on_the_disk_before_it_gets_its_name_and_its_name_after(
    tmp_path: Path, synced: list[tuple[int, int, frozenset[str]]]
) -> None:
    with file_atomic(tmp_path / "a.h5ad") as beside:
        beside.write_bytes(b"x" * 5000)
        new = beside.stat().st_ino
    assert (tmp_path / "a.h5ad").stat().st_ino == new
    assert (new, 5000) in [(inode, size) for inode, size, names in synced if "a.h5ad" not in names]
    assert (tmp_path.stat().st_ino, -1) in [(inode, size) for inode, size, names in synced if "a.h5ad" in names]


def test_a_folder_is_replaced_where_it_is_ours_alone(tmp_path: Path) -> None:
    (there := tmp_path / "out").mkdir()
    (there / "mine.txt").write_text("x")
    asked: list[Path] = []
    for overwrite, said in ((False, "say overwrite=True"), (True, "holds other files and is not replaced")):
        with (
            pytest.raises(OutputError, match=said),
            folder_atomic(there, overwrite=overwrite, ours=lambda _: False),
        ):
            asked.append(there)
    assert asked == []
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]
    with folder_atomic(there, overwrite=True, ours=lambda path: (path / "mine.txt").is_file()) as folder:
        (folder / "new.txt").write_text("y")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "new.txt"]


def test_who_comes_second_is_told_so_at_the_last_moment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, fsync = tmp_path / "out", os.fsync

    def another_is_quicker(handle: int) -> None:
        out.mkdir(exist_ok=True)
        (out / "theirs.txt").touch()
        fsync(handle)

    monkeypatch.setattr(os, "fsync", another_is_quicker)
    with (
        pytest.raises(OutputError, match=r"stands there already\. Choose another folder, or say overwrite=True\.$"),
        folder_atomic(out, overwrite=False, ours=lambda _: False) as folder,
    ):
        (folder / "mine.txt").write_text("x")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "theirs.txt"]


def test_whoever_reads_the_old_file_reads_on_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "old")
    before = path.stat().st_ino
    with path.open() as reader:
        write_atomic(path, "new and longer")
        assert reader.read() == "old"
    assert path.read_text() == "new and longer"
    assert path.stat().st_ino != before


def test_a_folder_is_on_the_disk_before_it_gets_its_name_and_its_name_after(
    tmp_path: Path, synced: list[tuple[int, int, frozenset[str]]]
) -> None:
    with folder_atomic(tmp_path / "store", overwrite=False, ours=lambda _: False) as beside:
        (beside / "a").write_bytes(b"x" * 5000)
        (beside / "b").write_bytes(b"y" * 10)
        assert not (tmp_path / "store").exists()
    parts = [(tmp_path / "store" / name, size) for name, size in (("a", 5000), ("b", 10), (".", -1))]
    content = {(inode, size) for inode, size, names in synced if "store" not in names}
    assert {(path.stat().st_ino, size) for path, size in parts} <= content
    assert (tmp_path.stat().st_ino, -1) in [(inode, size) for inode, size, names in synced if "store" in names]


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
    with pytest.raises(OutputError, match=r"already holds files \(mine\.txt\).*overwrite=True"):
        prepare_output_folder(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_overwrite_removes_only_what_it_owns(tmp_path: Path) -> None:
    for name in ("mine.txt", "model.bin", "state/a", "state/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    prepare_output_folder(tmp_path, overwrite=True, owned=["model.*", "state"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture(scope="module")
def dead() -> int:
    """Number of a process that is gone."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def left_by(pid: int, path: Path) -> Path:
    """A name as another process of this machine draws it."""
    return path.with_name(re.sub(rf"-{os.getpid()}-", f"-{pid}-", temporary_beside(path).name))


def test_resume_removes_nothing_but_leftovers_of_a_kill(tmp_path: Path, dead: int) -> None:
    (tmp_path / "state").mkdir()
    for path in (tmp_path / "model.bin", tmp_path / "state" / "run"):
        left_by(dead, path).write_text("half")
    (tmp_path / "model.bin").write_text("x")
    prepare_output_folder(tmp_path, resume=True, overwrite=True, owned=["model.*"])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model.bin", "state"]


def test_what_a_process_may_still_need_stays(tmp_path: Path, dead: int) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (out := tmp_path / "out").mkdir()
    path = out / "a"
    kept = [temporary_beside(path), left_by(os.getppid(), path), out / ".a.0a1b.scgraph-tmp"]
    machine = temporary_beside(path).name.split(".")[2].split("-")[0]
    kept.append(out / left_by(dead, path).name.replace(machine, "0" * 8))
    gone = [left_by(dead, path), out / re.sub(r"-\w{8}\.scgraph", "-00000000.scgraph", temporary_beside(path).name)]
    for file in (*kept, *gone, left_by(dead, elsewhere / "a")):
        file.write_text("half")
    left_by(dead, path).mkdir()
    (out / "link").symlink_to(elsewhere)
    left_by(dead, path).symlink_to(elsewhere)
    prepare_output_folder(out, resume=True)
    assert {file.name for file in out.iterdir()} == {file.name for file in kept} | {"link"}
    assert len(list(elsewhere.iterdir())) == 1, "links are not followed"


def test_names_of_the_unfinished_are_drawn_and_fit(tmp_path: Path) -> None:
    long = tmp_path / ("細胞" * 42)  # 252 of the 255 bytes that a name may have
    write_atomic(long, "x")
    with file_atomic(long) as beside:
        beside.write_text("y")
    assert long.read_text() == "y"
    names = {temporary_beside(long).name for _ in range(100)}
    assert len(names) == 100
    assert all(map(is_temporary, names))
    assert not is_temporary(".hidden")


def test_unfinished_files_of_others_do_not_occupy_a_folder(tmp_path: Path) -> None:
    left_by(os.getppid(), tmp_path / "a").write_text("half")
    prepare_output_folder(tmp_path)


def test_a_file_written_by_its_path_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    path.write_text("old")
    with file_atomic(path) as beside:
        assert beside.name == path.name
        assert beside.parent.stat().st_mode & 0o077 == 0
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with contextlib.suppress(ZeroDivisionError), file_atomic(path) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    with full_disk(), pytest.raises(OutputError, match=r"cells\.h5ad: cannot be written"), file_atomic(path) as beside:
        beside.write_text("x" * 10_000)
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for write in (lambda path: write_atomic(path, "new"), by_path):
        link = tmp_path / "out"
        link.symlink_to(tmp_path / "mine")
        write(link)
        assert not link.is_symlink()
        assert (link.read_text(), (tmp_path / "mine").read_text()) == ("new", "mine")
        link.unlink()


def by_path(path: Path) -> None:
    with file_atomic(path) as beside:
        beside.write_text("new")


def test_of_two_folders_for_one_name_the_first_to_end_gets_it(tmp_path: Path) -> None:
    def fill(word: str, *, overwrite: bool = False, meanwhile: bool = False) -> None:
        with folder_atomic(tmp_path / "out", overwrite=overwrite, ours=lambda _: True) as folder:
            (folder / "a").write_text(word)
            if meanwhile:
                fill("first")
            assert (folder / "a").read_text() == word

    with pytest.raises(OutputError, match="out: stands there already"):
        fill("late", meanwhile=True)
    assert (tmp_path / "out" / "a").read_text() == "first"
    fill("late", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "a").read_text() == "late"


def test_leftovers_are_removed_by_two_at_once(tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    left_by(dead, tmp_path / "a").write_text("half")
    unlink = os.unlink

    def late(path: Path) -> None:
        unlink(path)
        unlink(path)  # as where the other one was quicker

    monkeypatch.setattr(os, "unlink", late)
    remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())


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


def test_a_new_folder_goes_when_the_work_is_refused(tmp_path: Path) -> None:
    def work(name: str, error: type[BaseException], *, write: str | None = None, keep: str | None = None) -> None:
        with contextlib.suppress(error), output_folder(tmp_path / name, worth_keeping=keep) as made:
            assert made == tmp_path / name
            if write:
                (made / write).write_text("x")
            raise error("no")

    work("refused", DataError, write="half.csv")
    work("rows", DataError, write="results.csv", keep="results.csv")
    work("killed", KeyboardInterrupt, write="half.csv")
    (tmp_path / "old").mkdir()
    work("old", DataError)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["killed", "old", "rows"]
    with pytest.raises(OutputError, match="already holds files"), output_folder(tmp_path / "rows"):
        raise AssertionError  # not reached
    with output_folder(None) as nothing:
        assert nothing is None
