"""Every question has a folder, a script that explains itself, and a line in the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.conftest import ROOT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

QUESTIONS = sorted(path.parent.name for path in ROOT.glob("benchmarks/*/run.py"))


def test_folders_without_a_script_are_the_harness_and_the_results() -> None:
    folders = {path.name for path in ROOT.glob("benchmarks/*/") if path.name != "__pycache__"}
    assert folders - set(QUESTIONS) == {"harness", "results"}
    assert len(QUESTIONS) >= 12


@pytest.mark.parametrize("question", QUESTIONS)
def test_help_of_every_script(question: str, script: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = script(question, "--help")
    assert done.returncode == 0, done.stderr
    command = f"python -m benchmarks.{question}.run"
    assert command in done.stdout
    assert command in (ROOT / "benchmarks" / question / "run.py").read_text(encoding="utf-8")
