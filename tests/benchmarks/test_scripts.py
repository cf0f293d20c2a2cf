"""Every question has a folder, a script that explains itself, and a line in the list."""

from __future__ import annotations

import re
import runpy
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.conftest import ROOT
from tests.forking import Forked

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = sorted(path.parent.name for path in ROOT.glob("benchmarks/*/run.py"))


def test_folders_without_a_script_are_the_harness_and_the_results() -> None:
    folders = {path.name for path in ROOT.glob("benchmarks/*/") if path.name != "__pycache__"}
    assert folders - set(QUESTIONS) == {"harness", "results"}
    assert len(QUESTIONS) >= 12


def show_help(question: str) -> None:
    name = f"benchmarks.{question}.run"
    sys.modules.pop(name, None)
    sys.argv = [name, "--help"]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


@pytest.mark.parametrize("question", QUESTIONS)
def test_help_of_every_script(question: str, tmp_path: Path) -> None:
    script = Forked(partial(show_help, question), tmp_path / "said")
    assert script.wait() == 0, script.said()
    command = f"python -m benchmarks.{question}.run"
    assert command in script.said()
    assert command in (ROOT / "benchmarks" / question / "run.py").read_text(encoding="utf-8")


def test_the_list_names_every_question_its_command_its_results_and_its_page() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    rows = {re.sub(r"\W", "", row[0].partition(":")[0].partition("]")[0]): row for row in table_rows(text)}
    kept = {path.name for path in ROOT.glob("benchmarks/results/*/")}
    assert set(rows) == set(QUESTIONS) | kept
    for question, (name, command, results, page) in rows.items():
        if question in QUESTIONS:
            assert f"[{question}]({question})" in name
            assert f"python -m benchmarks.{question}.run" in command
        assert results == (f"[{question}](results/{question})" if question in kept else "none yet")
        shown = ROOT / "benchmarks" / re.findall(r"\((.*)\)", page)[0]
        assert question not in kept or f"benchmarks/results/{question}/" in shown.read_text(encoding="utf-8")


def table_rows(text: str) -> list[list[str]]:
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return rows[1:]
