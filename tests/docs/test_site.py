"""The sources of the built documentation: navigation, links to folders, the API reference, and the tutorials."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from docs.site.__main__ import foreign
from docs.site.doors import doors, toctrees
from docs.site.kernel import bash
from docs.site.reference import linked
from docs.site.staging import ROOT, rewritten, stage

if TYPE_CHECKING:
    from pathlib import Path

INDEX = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
CELL = re.compile(r"^```\{code-cell\} ipython3\n(.*?)^```", re.M | re.S)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "benchmarks" / "README.md").is_file():
        pytest.skip("results are in the repository, not in the package")
    folder = tmp_path_factory.mktemp("site") / "source"
    stage(folder)
    return folder


def test_there_are_tutorials() -> None:
    assert {path.stem for path in TUTORIALS} >= {"scanpy", "annotate", "layer"}


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_stands_in_the_index_and_in_the_navigation(path: Path) -> None:
    name = f"tutorials/{path.name}"
    assert f"]({name})" in INDEX
    assert re.search(rf"^docs/{re.escape(name)}$", toctrees(INDEX), re.M)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_a_notebook_whose_failures_fail_the_build(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("---\nfile_format: mystnb\n")
    cells = CELL.findall(text)
    assert len(cells) > 5
    for cell in cells:
        assert not cell.startswith("!"), "a failing !command is no exception; use %%bash -e"
        assert not cell.startswith("%%bash") or cell.startswith("%%bash -e\n")
        assert "raises-exception" not in cell
        if not cell.startswith("%%"):
            compile(cell, str(path), "exec")


def test_the_navigation_is_the_four_doors() -> None:
    behind = doors(INDEX)
    assert list(behind) == ["Use", "Extend", "Understand", "Evidence"]
    pages = [page for door in behind.values() for page in door]
    assert len(pages) == len(set(pages))
    assert all((ROOT / page).is_file() for page in pages)
    wanted = {f"docs/{path.relative_to(ROOT / 'docs')}" for path in (ROOT / "docs").rglob("*.md")} - {"docs/index.md"}
    assert wanted <= set(pages)
    assert "All documents <docs/index.md>" in toctrees(INDEX)


def test_links_to_folders_lead_to_pages_and_code_stays(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "README.md").write_text("# Home")
    text = (
        "[a](../results) [b](../results/) [c](../README.md#install) [d](#here) [e](https://x.org) `[f](../results)`\n"
    )
    assert rewritten(text, tmp_path / "docs", tmp_path) == (
        "[a](../results/README.md) [b](../results/README.md) [c](../index.md#install) [d](#here) [e](https://x.org) "
        "`[f](../results)`\n"
    )


def test_every_public_name_has_a_page(staged: Path) -> None:
    api = (staged / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- `(\w+)", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.M)
    pages = set(re.findall(r"^\.\./reference/([\w.]+)\.rst$", api, re.M))
    assert len(pages) == len(listed) - 2  # scgraph.tl and scgraph.pl, whose names are listed below them
    assert {path.stem for path in (staged / "reference").iterdir()} == pages
    assert "<!-- api:" not in api
    assert ".. autoclass:: GeneConv" in (staged / "reference" / "scgraph.nn.GeneConv.rst").read_text()
    assert ".. autofunction:: bench" in (staged / "reference" / "scgraph.bench.rst").read_text()


def test_sentences_with_bars_stay_in_their_cell() -> None:
    assert linked("<!-- api:scgraph.tl -->\n- `embed(adata)`: Write |x|.\n<!-- end -->\n").startswith(
        "| name | |\n|---|---|\n| [`embed`](../reference/scgraph.tl.embed.rst) | Write \\|x\\|. |\n"
    )


def test_every_link_between_staged_pages_leads_somewhere(staged: Path) -> None:
    pages = [*staged.glob("*.md"), *staged.glob("docs/**/*.md"), *staged.glob("benchmarks/**/*.md")]
    assert len(pages) > 60
    for page in pages:
        text = re.sub(r"^```.*?^```|`[^`\n]+`", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?[)\s]", text):
            assert (page.parent / link).is_file(), f"{page.relative_to(staged)}: {link}"


def test_a_page_that_loads_from_another_host_is_named(tmp_path: Path) -> None:
    (tmp_path / "good.html").write_text('<script src="x.js"></script><a href="https://example.org">x</a>')
    (tmp_path / "bad.html").write_text('<script defer src="https://example.org/x.js"></script>')
    assert foreign(tmp_path) == [("bad.html", "https://example.org/x.js")]


def test_a_shell_cell_prints_whole_lines_and_fails_where_a_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    bash("-e", "printf '%0150d\\n' 7; echo lost >&2; echo $TERM")
    assert capsys.readouterr().out == f"{7:0150d}\nlost\ndumb\n"
    with pytest.raises(subprocess.CalledProcessError):
        bash("-e", "false; echo never")
    assert capsys.readouterr().out == ""
