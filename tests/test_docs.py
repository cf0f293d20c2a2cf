"""What the documents promise can be followed: links lead somewhere, and commands name this project."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from docs.make.sources import anchor

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])
LINK = re.compile(r"""\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s+(\S+)|(?:src|href)=["']([^"']+)["']""", re.M)
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.M | re.S)


def anchors(text: str) -> set[str]:
    """Names of the headings in links, those of links in a heading by their text."""
    headings = re.findall(r"^#{1,6}\s+(.+?)\s*#*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {anchor(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)) for heading in headings}


def broken_links(document: Path) -> list[str]:
    """The relative links of a document that lead to no file, or to no heading of the file."""
    broken = []
    for groups in LINK.findall(CODE.sub("", document.read_text(encoding="utf-8"))):
        link = next(filter(None, groups))
        if re.match(r"[a-z][a-z0-9+.-]*:|//", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        outside = not target.is_relative_to(ROOT)
        if (
            outside
            or not target.exists()
            or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")))
        ):
            broken.append(link)
    return broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_resolve(document: Path) -> None:
    assert broken_links(document) == []


def test_broken_links_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, `coded`\n[file](page.md) [here](#a-heading-coded) ![no](gone.png) [nor](page.md#gone)\n"
        '<img src="lost.svg"> [web](https://example.org/x) `[code](not-a-link.md)` [up](../secret.md)\n'
        "[ref]: absent.md\n"
    )
    assert broken_links(page) == ["gone.png", "page.md#gone", "lost.svg", "../secret.md", "absent.md"]


def test_nobody_is_told_to_install_the_other_scgraph() -> None:
    """`scgraph` on the package index is another project; ours is scgraph-zoo."""
    shipped = [path for path in ROOT.glob("scgraph/**/*") if path.suffix in {".py", ".html", ".j2"}]
    texts = [*DOCUMENTS, ROOT / "pyproject.toml", *shipped]
    wrong = re.compile(r"""(?:pip|uv|pipx)\s+(?:add|install)\s+[^\n`]*?(?<![\w./-])["']?scgraph(?![\w./-])""")
    assert [path for path in texts if wrong.search(path.read_text(encoding="utf-8"))] == []
    assert wrong.search("run pip install -U scgraph now")
    assert not wrong.search('pip install "scgraph-zoo[scatter]" and pip install ./scgraph')


@pytest.mark.parametrize(("name", "least"), [("attention_is_message_passing", 30), ("networks", 15), ("python", 12)])
def test_examples_of_a_page_do_what_it_says(name: str, least: int) -> None:
    page = ROOT / "docs" / f"{name}.md"
    ran = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert ran.failed == 0
    assert ran.attempted > least


def test_its_picture_shows_the_numbers_of_the_page() -> None:
    from docs.make import attention_picture as picture

    page = (ROOT / "docs" / "attention_is_message_passing.md").read_text(encoding="utf-8")
    graph, matrix = picture.draw().axes
    rows = [[f"{value:.4f}" for value in row] for row in picture.weights().tolist()]
    assert all(f"[{', '.join(row)}]" in page for row in rows)
    weights = sorted(f"{float(value):.2f}" for row in rows for value in row)
    names = list(picture.GENES)
    assert sorted(text.get_text() for text in graph.texts if text.get_text() not in names) == weights
    assert {text.get_text() for text in matrix.texts} > {"1.72", "0.28", *weights, *names}
    assert len(graph.patches) == 3 + 6


def test_every_page_stands_behind_one_of_four_doors() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", index, re.M) == ["Use", "Extend", "Understand", "Evidence"]
    linked = re.findall(r"\]\(([\w]+\.md)\)", index)
    assert sorted(linked) == sorted(path.name for path in ROOT.glob("docs/*.md") if path.name != "index.md")
    assert "(docs/index.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
