"""What the scripts of this folder share: running a command line, an output folder that can be gone on with, tables.

Importing it takes nothing that is not part of Python: `benchmarks.gpu` also runs where pydantic and typer are missing.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any, Literal

from scgraph.errors import OutputError, ScgraphError
from scgraph.files import json_text, prepare_output_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    import typer
    from matplotlib.figure import Figure

__all__ = [
    "as_rows",
    "busy_note",
    "csv_text",
    "kept_rows",
    "load_average",
    "markdown_table",
    "number",
    "origin",
    "program",
    "resumable_folder",
    "run",
    "signed",
    "write_figure",
    "write_origin",
]


def run(app: typer.Typer, question: str, arguments: Sequence[str] | None = None) -> None:
    """Run a command line: exit 2 with one message for what a user can mend, 130 after Ctrl-C."""
    from scgraph.options import spread
    from scgraph.terminal import say

    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(spread(words), prog_name=" ".join(program(question)), standalone_mode=True)
    except ScgraphError as error:
        say(f"{question}: {error}")
        code = 2
    except KeyboardInterrupt:
        say(f"{question}: stopped. The same command goes on where this one ended.")
        code = 130
    sys.exit(code)


def program(question: str) -> list[str]:
    """How the script of a question is started, from the root of a clone."""
    return ["python", "-m", f"benchmarks.{question}.run"]


def origin(question: str) -> dict[str, object]:
    """What `environment.json` holds: versions, machine, commit and the command line of this process."""
    from scgraph.bench.environment import environment

    return environment([*program(question), *sys.argv[1:]])


def write_origin(folder: Path, question: str, **more: object) -> None:
    """Write `environment.json`."""
    write_atomic(folder / "environment.json", json_text(origin(question) | more))


def load_average() -> float | None:
    """Processes that wanted to run in the last minute, None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def resumable_folder(out: Path, request: dict[str, Any], *, overwrite: bool, owned: Sequence[str]) -> Path:
    """Return a folder that is empty or holds a part of exactly this run; `config.yaml` in it says which.

    Raises:
        OutputError: it cannot be written to, or holds something else.
    """
    import yaml

    from scgraph.config import load_yaml

    config = out / "config.yaml"
    resume = config.is_file() and not overwrite
    results = [path for path in out.glob("*") if path != config]  # a run that was refused leaves none
    if resume and results and load_yaml(config) != request:
        raise OutputError(
            f"{out}: holds results of other settings (config.yaml says which). Choose another folder, or say "
            "--overwrite to replace them."
        )
    folder = prepare_output_folder(out, overwrite=overwrite, resume=resume, owned=owned)
    write_atomic(folder / "config.yaml", yaml.safe_dump(request, sort_keys=False, allow_unicode=True))
    return folder


def kept_rows(folder: Path, column: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of `results.csv` whose `column` says one of `names`; what was cut off between two files is run again."""
    import pandas as pd

    if not names:
        return []
    frame = pd.read_csv(folder / "results.csv")
    return as_rows(frame[frame[column].isin(names)])


def as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain data, every digit kept."""
    rows: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=15))
    return rows


def csv_text(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as comma-separated text, the columns in order of appearance, numbers with ten digits."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row.get(name) for name in columns]
        writer.writerow([f"{value:.10g}" if isinstance(value, float) else value for value in values])
    return text.getvalue()


def write_figure(folder: Path, figure: Figure, name: str = "figure") -> None:
    """Write a figure as PNG and SVG."""
    import base64

    from scgraph.bench.drawing import data_uri

    forms: tuple[Literal["png", "svg"], ...] = ("png", "svg")
    for form in forms:
        write_atomic(folder / f"{name}.{form}", base64.b64decode(data_uri(figure, form=form).partition(",")[2]))


def busy_note(before: float | None, after: float | None, threads: int) -> list[str]:
    """A warning as one paragraph where the machine had other work than these threads, else nothing.

    Args:
        before: load average before the run.
        after: load average at its end.
        threads: that the run used itself.
    """
    # At the end the run's own threads are in the average, and half a process for what the system does beside them.
    load = max(before or 0.0, (after or 0.0) - 0.5)
    if load <= threads:
        return []
    return [
        f"**The machine was busy: a load of {load:.1f}, {threads} thread{'s' if threads > 1 else ''} of this run.** "
        "These times are too long and vary from row to row; counts and memory do not depend on it.\n"
    ]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table with the first column to the left and the others to the right."""
    lines = [f"| {' | '.join(header)} |", "|---|" + "---:|" * (len(header) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def number(value: float, form: str = ".3f", unit: str = "") -> str:
    """A number as text, `-` where there is none."""
    return f"{value:{form}}{unit}" if math.isfinite(value) else "-"


def signed(mean: float, low: float, high: float) -> str:
    """A difference with its interval, in points (hundredths)."""
    if not math.isfinite(mean):
        return "-"
    if not math.isfinite(low):
        return f"{100 * mean:+.2f} (n = 1)"
    return f"{100 * mean:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"
