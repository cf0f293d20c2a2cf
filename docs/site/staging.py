"""The pages of the repository as sources of Sphinx, in a folder of their own.

The pages are written to be read where they stand, on a forge, so their links lead to folders and to files outside
docs/. Here the tree is copied as it is, and only what a site cannot show is changed: the README becomes the home
page with the navigation, a folder gets a page that lists what it holds, and docs/api.md becomes the API reference.
"""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from docs.site import reference
from docs.site.doors import toctrees

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ROOT", "rewritten", "stage", "write_profile"]

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "docs", "benchmarks", "configs", "scgraph")
LEFT_OUT = ("__pycache__", "make", "site", "models", "*.pyc", "*.h5ad", "*.html")
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.M | re.S)
LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=[)\s])")


def stage(folder: Path) -> None:
    """Lay out the sources in a folder that does not exist yet."""
    folder.mkdir(parents=True)
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
        elif source.is_file():
            shutil.copy(source, target)
    results = folder / "benchmarks" / "results"
    _list_folders(folder / "benchmarks")
    for path in sorted(folder.rglob("*.md")):
        text = rewritten(path.read_text(encoding="utf-8"), path.parent, folder)
        if path.is_relative_to(results) and path.name != "README.md":
            text = f"---\norphan: true\n---\n# {path.relative_to(results)}\n\n{text}"
        path.write_text(text, encoding="utf-8")
    home, api = folder / "index.md", folder / "docs" / "api.md"
    navigation = toctrees((folder / "docs" / "index.md").read_text(encoding="utf-8"))
    (folder / "README.md").rename(home)
    home.write_text(home.read_text(encoding="utf-8") + "\n" + navigation, encoding="utf-8")
    names = api.read_text(encoding="utf-8")
    reference.write_pages(names, folder / "reference")
    api.write_text(reference.linked(names), encoding="utf-8")


def write_profile(folder: Path) -> None:
    """Write the settings of IPython that the kernels of the tutorials start with."""
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    code = (ROOT / "docs" / "site" / "kernel.py").read_text(encoding="utf-8")
    (startup / "kernel.py").write_text(f"{code}\n\nregister(get_ipython())\n", encoding="utf-8")


def rewritten(text: str, place: Path, root: Path) -> str:
    """Return a page whose links to folders lead to their README, and those to the README of the repository home.

    Args:
        text: the page.
        place: folder of the page.
        root: folder that stands for the repository.
    """

    def target(link: re.Match[str]) -> str:
        path, anchor = link["path"].rstrip("/"), link["anchor"] or ""
        found = (place / path).resolve()
        if found.is_dir():
            return f"{path}/README.md{anchor}"
        return f"{path[: -len('README.md')]}index.md{anchor}" if found == root / "README.md" else path + anchor

    parts = CODE.split(text)  # code stands at the odd places
    return "".join(part if at % 2 else LINK.sub(target, part) for at, part in enumerate(parts))


def _list_folders(benchmarks: Path) -> None:
    """Give every question of the benchmarks a page for its code and one for its results."""
    if not benchmarks.is_dir():
        return
    questions = []
    for folder in sorted(path for path in benchmarks.iterdir() if path.is_dir() and path.name != "results"):
        lines = [f"- [{path.name}]({path.name}): {_sentence(path)}" for path in sorted(folder.glob("[!_]*.py"))]
        lines += [f"- [{path.name}]({path.name})" for path in sorted(folder.glob("*.tsv"))]
        _write(folder, f"The code of benchmarks/{folder.name}", lines, orphan=True)
    for folder in sorted(path for path in (benchmarks / "results").iterdir() if path.is_dir()):
        names = [path.name for path in sorted(folder.iterdir()) if (path / "README.md").is_file()]
        lines = [f"- [{name}]({name}/README.md)" for name in names]
        _write(folder, f"Results: {folder.name}", [*lines, "", *_toctree(f"{name}/README.md" for name in names)])
        questions.append(f"results/{folder.name}/README.md")
    page = benchmarks / "README.md"
    page.write_text("\n".join([page.read_text(encoding="utf-8"), *_toctree(questions)]), encoding="utf-8")


def _toctree(pages: Iterable[str]) -> list[str]:
    return ["```{toctree}", ":hidden:", "", *pages, "```", ""]


def _write(folder: Path, title: str, lines: list[str], *, orphan: bool = False) -> None:
    head = ["---", "orphan: true", "---"] if orphan else []
    (folder / "README.md").write_text("\n".join([*head, f"# {title}", "", *lines, ""]), encoding="utf-8")


def _sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n\n")[0].replace("\n", " ")
