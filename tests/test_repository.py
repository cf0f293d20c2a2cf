"""Workflows, issue templates and the citation say what the rest of the repository says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import scgraph

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TEMPLATES = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))


def read(path: Path) -> dict[Any, Any]:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_make_targets_that_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = [step["run"].split() for step in steps(path) if step.get("run", "").startswith("make ")]
    assert called
    for _, *words in called:
        assert {word for word in words if "=" not in word} <= targets


def test_tests_run_on_every_python_that_is_supported() -> None:
    tested = read(ROOT / ".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]
    classifiers = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert tested == classifiers


def test_a_release_needs_no_secret() -> None:
    release = ROOT / ".github/workflows/release.yml"
    jobs = read(release)["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "permissions" not in jobs["build"]
    assert "secrets." not in release.read_text()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_issues_ask_for_the_doctor(path: Path) -> None:
    labels = [field["attributes"]["label"] for field in read(path)["body"]]
    assert any("scgraph doctor" in label for label in labels)


def test_the_citation_names_this_version() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == scgraph.__version__
    assert {"title", "message", "authors", "license"} <= set(citation)
