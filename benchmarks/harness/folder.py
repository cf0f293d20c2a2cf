"""The results folder of a run: made or gone on with, filled, and recorded.

Importing it takes nothing that is not part of Python: `gpu` also runs where pydantic and typer are missing.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.harness.script import origin
from benchmarks.harness.text import as_rows, busy_note, csv_text
from scgraph.errors import OutputError
from scgraph.files import json_text, prepare_output_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

__all__ = ["Results", "kept_rows", "load_average", "new_folder", "read_rows", "resumable_folder", "write_figure"]


def load_average() -> float | None:
    """Processes that wanted to run in the last minute, None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


@dataclass
class Results:
    """A folder that is being filled, with the time and the load of the machine when that began.

    Attributes:
        question: whose script this is.
        folder: exists.
        started: by `time.perf_counter`.
        load: load average at the start.
        load_after: load average when the measuring was over; None until `busy`.
    """

    question: str
    folder: Path
    started: float = field(default_factory=time.perf_counter)
    load: float | None = field(default_factory=load_average)
    load_after: float | None = None

    def busy(self, threads: int) -> list[str]:
        """To be called when the measuring is over: `busy_note` of the loads before and now."""
        self.load_after = load_average()
        return busy_note(self.load, self.load_after, threads)

    def write_rows(self, **tables: Sequence[dict[str, Any]]) -> None:
        """Write each table as a file of comma-separated values of its name."""
        for name, rows in tables.items():
            write_atomic(self.folder / f"{name}.csv", csv_text(rows))

    def finish(self, page: str, name: str = "table", *, figure: Figure | None = None, **record: object) -> str:
        """Write the page `name`.md, the figure, and `environment.json` with seconds, loads and what `record` adds.

        Returns:
            The page.
        """
        write_atomic(self.folder / f"{name}.md", page)
        if figure is not None:
            write_figure(self.folder, figure)
        seconds = round(time.perf_counter() - self.started, 1)
        after = load_average() if self.load_after is None else self.load_after
        measured: dict[str, object] = {"seconds": seconds, "load": self.load, "load_after": after}
        write_atomic(self.folder / "environment.json", json_text(origin(self.question) | measured | record))
        return page


def new_folder(
    question: str, out: Path, request: dict[str, Any] | None = None, *, overwrite: bool, owned: Sequence[str]
) -> Results:
    """Return an empty folder; `config.yaml` in it holds the request.

    Raises:
        OutputError: it cannot be written to, or holds files.
    """
    folder = prepare_output_folder(out, overwrite=overwrite, owned=owned)
    if request is not None:
        _write_request(folder, request)
    return Results(question, folder)


def resumable_folder(
    question: str, out: Path, request: dict[str, Any], *, overwrite: bool, owned: Sequence[str]
) -> Results:
    """Return a folder that is empty or holds a part of exactly this run; `config.yaml` in it says which.

    Raises:
        OutputError: it cannot be written to, or holds something else.
    """
    from scgraph.config_files import load_yaml

    config = out / "config.yaml"
    resume = config.is_file() and not overwrite
    results = [path for path in out.glob("*") if path != config]  # a run that was refused leaves none
    if resume and results and load_yaml(config) != request:
        raise OutputError(
            f"{out}: holds results of other settings (config.yaml says which). Choose another folder, or say "
            "--overwrite to replace them."
        )
    folder = prepare_output_folder(out, overwrite=overwrite, resume=resume, owned=owned)
    _write_request(folder, request)
    return Results(question, folder)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a file of comma-separated values, none where it is not there; "none" is a name in it."""
    import pandas as pd

    return as_rows(pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])) if path.is_file() else []


def kept_rows(folder: Path, column: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of `results.csv` whose `column` says one of `names`; what was cut off between two files is run again."""
    import pandas as pd

    if not names:
        return []
    frame = pd.read_csv(folder / "results.csv")
    return as_rows(frame[frame[column].isin(names)])


def write_figure(folder: Path, figure: Figure, name: str = "figure") -> None:
    """Write a figure as PNG and SVG."""
    import base64

    from scgraph.reporting.drawing import data_uri

    forms: tuple[Literal["png", "svg"], ...] = ("png", "svg")
    for form in forms:
        write_atomic(folder / f"{name}.{form}", base64.b64decode(data_uri(figure, form=form).partition(",")[2]))


def _write_request(folder: Path, request: dict[str, Any]) -> None:
    import yaml

    write_atomic(folder / "config.yaml", yaml.safe_dump(request, sort_keys=False, allow_unicode=True))
