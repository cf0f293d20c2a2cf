"""No password is shown, however an address is written."""

from __future__ import annotations

import pytest

from scgraph.reporting.environment import environment
from scgraph.reporting.redact import command_line, passwords_in, without_passwords

HIDDEN = [
    ("postgresql://me:SECRET@host:1/s", "postgresql://me@host:1/s"),
    ("POSTGRES://me:SECRET@host/s", "POSTGRES://me@host/s"),
    ("postgresql+psycopg://me:SE%40SECRET@host/s", "postgresql+psycopg://me@host/s"),
    ("postgresql://me%3ASECRET@host/s", "postgresql://me@host/s"),
    ("postgresql://me:x@SECRET@host/s", "postgresql://me@host/s"),
    ("postgresql://me:x/SECRET@host/s", "postgresql://me@host/s"),
    ("postgresql://me:x?SECRET@host/s", "postgresql://me@host/s"),
    ("postgresql://me:x?y=SECRET@host/s", "postgresql://me:***host/s"),
    ("postgresql://me:x#SECRET@host/s", "postgresql://me@host/s"),
    ("postgresql://:SECRET@/s?host=/run", "postgresql://@/s?host=/run"),
    ("postgresql://me:SECRET", "postgresql://me:***"),
    ("postgresql:me:SECRET@host/s", "postgresql:me@host/s"),
    ("postgresql://host/s?user=me&password=SECRET&x=1", "postgresql://host/s?user=me&password=***&x=1"),
    ("postgresql://me@host/s?sslpassword=SECRET", "postgresql://me@host/s?sslpassword=***"),
    ("mysql://me:SECRET@host/s", "mysql://me@host/s"),
    ("host=h user=me password='a SECRET'", "host=h user=me password=***"),
    ("PGPASSWORD=SECRET", "PGPASSWORD=***"),
]


@pytest.mark.parametrize(("text", "shown"), HIDDEN)
def test_passwords_are_hidden(text: str, shown: str) -> None:
    for before, behind in (("", ""), ("no such place: '", "'."), ("--storage=", "")):
        assert without_passwords(before + text + behind) == before + shown + behind
    for words in (["--storage", text], [f"--storage={text}"], ["--out", text]):
        assert "SECRET" not in command_line(["scgraph", "tune", *words])
        assert "SECRET" not in str(environment(["scgraph", "tune", *words])["command"])


@pytest.mark.parametrize("word", ["me:SECRET@host/s", "postgresql://me:a b 'SECRET@host/s", "host=h password=SECRET"])
def test_what_stands_behind_the_option_is_an_address(word: str) -> None:
    for words in (["--storage", word], [f"--storage={word}"]):
        assert "SECRET" not in command_line(["scgraph", "tune", *words])


@pytest.mark.parametrize(
    "text",
    [
        "results/tune",
        "postgresql://me@host/s",
        "postgresql://host:5432/s",
        "postgresql://one:1,two:2/s",
        "postgresql://[::1]:5432/s",
        "sqlite:////a/b:c/x.db",
        "a@b:c/x.db",
        "per_model.my_lab:MyConv.rank=4",
    ],
)
def test_what_holds_no_password_is_left_alone(text: str) -> None:
    assert without_passwords(text) == text
    assert without_passwords(text, whole=True) == text
    assert without_passwords(f"see https://pyg.org: {text}.") == f"see https://pyg.org: {text}."


def test_a_command_line_can_be_run_again() -> None:
    words = ["scgraph", "tune", "--storage", "postgresql://me:SECRET@host/s", "--data", "my cells.h5ad"]
    assert command_line(words) == "scgraph tune --storage postgresql://me@host/s --data 'my cells.h5ad'"


def test_passwords_as_they_are_written_and_meant() -> None:
    assert passwords_in("postgresql://me:SE%40T@host/s?sslpassword=x") == ["SE%40T", "SE@T", "x"]
    assert passwords_in("postgresql://me@host/s") == []
    assert passwords_in("sqlite:////a.db") == []
