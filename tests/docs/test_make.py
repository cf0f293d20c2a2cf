"""The generated blocks of the pages are what the committed results, the registry and the contract give."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from docs.make import __main__ as command
from docs.make import pages, reproduction_claims, results_blocks, results_pages, sources, study_block, synthetic_blocks
from scgraph.nn.conv.registry import conv_class, conv_names

if TYPE_CHECKING:
    from pathlib import Path

ROOT = sources.ROOT

pytestmark = pytest.mark.skipif(
    not sources.RESULTS.is_dir(), reason="results are in the repository, not in the package"
)


@pytest.mark.parametrize("page", pages.pages(), ids=lambda path: path.name)
def test_blocks_are_what_the_results_give(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(pages.blocks(text)) == text.count("<!-- end -->") > 0
    assert pages.renewed(text, page) == text, "run python -m docs.make"


@pytest.mark.parametrize("folder", results_pages.results_folders(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_results_folder_says_what_it_is(folder: Path) -> None:
    page = folder / "README.md"
    assert page.is_file(), "run python -m docs.make"
    assert page.read_text(encoding="utf-8") == results_pages.results_page(folder), "run python -m docs.make"
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}-[\w-]+", folder.name)
    assert results_pages.question(folder.parent.name)


def test_results_hold_tables_records_and_one_picture_or_those_that_a_page_shows() -> None:
    listed = subprocess.run(["git", "ls-files", sources.RESULTS], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    files = [ROOT / name for name in listed.stdout.splitlines()]
    assert {path.suffix for path in files} <= set(results_pages.KEPT)
    texts = [path.read_text(encoding="utf-8") for path in pages.pages()]
    for folder in results_pages.results_folders():
        pictures = [path for path in files if path.suffix == ".png" and path.is_relative_to(folder)]
        hidden = [path for path in pictures if not any(f"{path.relative_to(ROOT).as_posix()})" in t for t in texts)]
        assert len(hidden) <= (len(pictures) == 1), hidden


def test_every_kind_of_block_is_used_and_no_other_marker_is() -> None:
    texts = [path.read_text(encoding="utf-8") for path in pages.pages()]
    used = {kind for text in texts for kind, _ in pages.blocks(text)}
    assert used == set(pages.KINDS)
    assert sum(text.count("<!--") for text in texts) == 2 * sum(len(pages.blocks(text)) for text in texts)


def test_a_page_shows_the_sections_that_are_named_and_links_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "page.md").write_text(
        "# Title\n\nBefore.\n\n## One, of 2\n\na\n\n## Two\n\nb\n\n### Below\n\nc\n"
    )
    monkeypatch.setattr(results_blocks, "RESULTS", tmp_path)
    monkeypatch.setattr(results_blocks, "source", lambda name: f"from {name}")
    shown = results_blocks.sections_block("own/page.md", "two")
    more = "Further tables (One, of 2): [page.md](benchmarks/results/own/page.md)."
    assert shown == f"Before.\n\n### Two\n\nb\n\n#### Below\n\nc\n\n{more}\n\nfrom own\n"
    with pytest.raises(KeyError, match="three"):
        results_blocks.sections_block("own/page.md", "three")


def test_the_table_of_layers_is_the_registry() -> None:
    page = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` | {conv_class(name).summary} |" in page for name in conv_names())


def test_all_parts_of_the_synthetic_example_are_shown() -> None:
    page = (ROOT / "docs" / "synthetic.md").read_text(encoding="utf-8")
    shown = [names.split()[1] for kind, names in pages.blocks(page) if kind == "synthetic"]
    assert sorted(shown) == sorted(synthetic_blocks.BLOCKS)


def test_another_number_puts_a_page_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, page = tmp_path / "results", tmp_path / "synthetic.md"
    shutil.copytree(sources.RESULTS, results, ignore=shutil.ignore_patterns("*.png", "*.svg", "*.html"))
    shutil.copy(ROOT / "docs" / "synthetic.md", page)
    for module in (reproduction_claims, results_blocks, results_pages, sources, study_block, synthetic_blocks):
        monkeypatch.setattr(module, "RESULTS", results)
    monkeypatch.setattr(pages, "ROOT", tmp_path / "elsewhere")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "pages", lambda: [page])
    monkeypatch.setattr(command, "results_folders", list)
    for picture in (command.attention_picture, command.shallow_picture):
        monkeypatch.setattr(picture, "write", lambda: None)
    monkeypatch.setattr(sys, "argv", ["docs.make", "--check"])
    assert command.main() == 0
    table = results / "synthetic" / "2026-11-21-table1" / "table1.csv"
    changed = pd.read_csv(table)
    changed.loc[0, "tf_best"] = 7.125
    changed.to_csv(table, index=False)
    before = page.read_text(encoding="utf-8")
    assert command.main() == 1
    assert "synthetic.md is out of date" in capsys.readouterr().err.replace(":", "")
    assert page.read_text(encoding="utf-8") == before
    monkeypatch.setattr(sys, "argv", ["docs.make"])
    assert command.main() == 0
    assert "| 7.125 (0.009) |" in page.read_text(encoding="utf-8")


def test_every_public_name_has_its_sentence() -> None:
    lines = [line for line in (ROOT / "docs" / "api.md").read_text(encoding="utf-8").splitlines() if line[:2] == "- "]
    assert len(lines) > 60
    assert [line for line in lines if not re.fullmatch(r"- `\w+(\(.*\))?`: .*\w.*", line)] == []
