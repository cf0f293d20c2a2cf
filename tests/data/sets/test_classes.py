"""Which classes of two sets are the same, by name and by a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scgraph.data.sets.classes import check_pairs, read_pairs, share_classes
from scgraph.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def test_classes_of_equal_name_are_shared_whatever_their_case_and_blanks() -> None:
    shared = share_classes(["B cell", "NK", "T cell "], [" t CELL", "b cell", "Monocyte"])
    assert shared.names == ("B cell", "T cell ")
    assert shared.ours.tolist() == [0, -1, 1]
    assert shared.theirs.tolist() == [1, 0, -1]
    assert share_classes(["a"], ["b"]).names == ()


def test_a_table_ties_coarse_and_fine_classes_either_way_and_nothing_else() -> None:
    pairs = (("T", "CD4"), ("T", "CD8"), ("B naive", "B"), ("B memory", "B"))
    shared = share_classes(["B memory", "B naive", "NK", "T"], ["B", "CD4", "CD8", "NK"], pairs)
    assert shared.ours.tolist() == [0, 0, -1, 1]
    assert shared.theirs.tolist() == [0, 1, 1, -1]
    assert shared.names == ("B memory", "T")


def test_a_table_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "map.tsv"
    path.write_bytes("\ufeffT cell\tCD4 T\r\n\r\nB\t Bcell \r\n".encode())
    assert read_pairs(path) == (("T cell", "CD4 T"), ("B", "Bcell"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"T\tCD4\nB cells\n", "line 2"),
        (b"T\tCD4\t3\n", "line 1"),
        (b"T\t\n", "line 1"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "map.tsv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told) as refused:
        read_pairs(path)
    assert str(path) in str(refused.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_pairs(tmp_path / "nowhere.tsv")


def test_a_name_that_no_set_has_is_refused() -> None:
    check_pairs("map.tsv", (("t", "CD4"),), ["T", "B"], ["cd4 "])
    with pytest.raises(DataError, match=r"column 2 names 'CD5'.*no class of transfer.*Did you mean 'CD4'"):
        check_pairs("map.tsv", (("T", "CD5"),), ["T", "B"], ["CD4"])
