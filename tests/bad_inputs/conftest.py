"""Small real files, a small model, and the command line as people see it: exit code, messages, what is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scgraph.cli import app as cli
from tests.bad_inputs.helpers import COUNTS, TINY, Run, put, snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command that must end with exit code 2 and one message, and change no file."""
    monkeypatch.chdir(tmp_path)

    def run(words: Sequence[object], *names: object) -> str:
        before = snapshot(tmp_path)
        with pytest.raises(SystemExit) as end:
            cli.main([str(word) for word in words])
        printed = capsys.readouterr()
        assert end.value.code == 2, printed.err
        messages = [line for line in printed.err.splitlines() if line.startswith("scgraph: ")]
        assert len(messages) == 1, printed.err
        assert "Traceback" not in printed.out + printed.err
        for name in names:
            assert str(name) in messages[0]
        assert snapshot(tmp_path) == before
        return messages[0]

    return run


@pytest.fixture
def fine(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command that must end well, and return all that it said."""
    monkeypatch.chdir(tmp_path)

    def run(words: Sequence[object], *names: str) -> str:
        with pytest.raises(SystemExit) as end:
            cli.main([str(word) for word in words])
        printed = capsys.readouterr()
        assert end.value.code in (0, None), printed.err
        for name in names:
            assert name in printed.out + printed.err
        return printed.out + printed.err

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on `cells`, on their counts too."""
    folder = tmp_path_factory.mktemp("model")
    with pytest.raises(SystemExit) as end:
        cli.main(["pretrain", str(put(folder)), "--out", str(folder / "model"), *TINY, *COUNTS])
    assert end.value.code in (0, None)
    return folder / "model"
