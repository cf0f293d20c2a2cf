"""Why attention is run as dense products: one layer as edge list, dense and fused, the same numbers each time.

Usage: python -m benchmarks.hardware_lottery.run --out FOLDER
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from benchmarks.harness.children import OUT_OF_MEMORY, Answer, available_memory_gb, run_child
from benchmarks.harness.common import busy_note, csv_text, load_average, run, write_figure, write_origin
from benchmarks.layers.run import whole_numbers
from scgraph.errors import ConfigError
from scgraph.files import prepare_output_folder, write_atomic
from scgraph.options import Overwrite
from scgraph.terminal import say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

OWNED = (
    "results.csv", "rounds.csv", "table.md", "figure.png", "figure.svg", "config.yaml", "environment.json",
)  # fmt: skip


@app.command()
def hardware_lottery(
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    genes: Annotated[str, typer.Option(help="Genes of a cell.")] = "128,256,512",
    channels: Annotated[int, typer.Option(min=8, help="Width C; a multiple of 8.")] = 256,
    rank: Annotated[int, typer.Option(min=1, help="Rank R of the adjacency.")] = 48,
    batch_size: Annotated[int, typer.Option(min=1, help="Cells of a batch.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds at most; six make an interval.")] = 9,
    seconds: Annotated[float, typer.Option(min=0, help="No further round of a size is started after so long.")] = 75,
    memory_gb: Annotated[
        float | None, typer.Option(min=0.5, help="Limit of a process, 10⁹ bytes.  [default: what is available]")
    ] = None,
    peak_size: Annotated[int, typer.Option(min=16, help="Side of the product that gives the matmul peak.")] = 2048,
    overwrite: Overwrite = False,
) -> None:
    """Measure every form at every size, and the matmul peak in the same processes."""
    import torch

    from benchmarks.hardware_lottery.cases import forms
    from benchmarks.hardware_lottery.page import draw_lottery, lottery_markdown, lottery_row, with_times
    from benchmarks.hardware_lottery.point import measure_memory, measure_times
    from benchmarks.layers.cases import Sizes

    if channels % 8:
        raise ConfigError(f"--channels: {channels} is no multiple of 8, the number of heads.")
    numbers = whole_numbers("--genes", genes, ",")
    described: dict[str, Any] = {"genes": numbers, "channels": channels, "rank": rank, "batch_size": batch_size}
    described |= {"rounds": rounds, "seconds": seconds, "memory_gb": memory_gb, "peak_size": peak_size}
    folder = prepare_output_folder(out, overwrite=overwrite, owned=OWNED)
    write_atomic(folder / "config.yaml", yaml.safe_dump(described, sort_keys=False))
    start, load = time.perf_counter(), load_average()
    failures = []

    def child(measure: Any, request: dict[str, Any], what: str) -> Answer:
        limit = seconds + 120
        answer = run_child(measure, request, memory_gb=memory_gb or available_memory_gb(), seconds=limit)
        say(f"{what}: {answer.status} after {answer.seconds:.1f} s {answer.message}".rstrip())
        if answer.status == "failed":
            failures.append(f"{what}: {answer.message}")
        return answer

    measured: list[tuple[list[dict[str, Any]], dict[str, Any]]] = []
    for number in numbers:
        sizes, rows = Sizes(number, channels, rank, batch_size), []
        for form in forms():
            request = {"form": form.name, "sizes": asdict(sizes)}
            answer = child(measure_memory, request, f"memory of {form.name}, {number} genes")
            rows.append(lottery_row(form, sizes, answer.status, answer.found))
        timing: dict[str, Any] = {
            "forms": [row["form"] for row in rows if row["status"] == "ok"],
            "sizes": asdict(sizes),
        }
        timing |= {"rounds": rounds, "seconds": seconds, "peak_size": peak_size}
        answer = child(measure_times, timing, f"times, {number} genes")
        if answer.status != "ok":
            rows = [row | {"status": answer.status} if row["status"] == "ok" else row for row in rows]
        measured.append((rows, answer.found))
        said = answer.found.get("failures", {})
        failures += [f"{name}, {number} genes: {why}" for name, why in said.items() if why != OUT_OF_MEMORY]
    peaks = [value for _, found in measured for value in found.get("peaks", [])]
    peak = max(peaks, default=float("nan"))
    rows = [row for own, found in measured for row in with_times(own, found, peak)]
    threads, load_after = torch.get_num_threads(), load_average()
    page = lottery_markdown(rows, described, peak, threads) + "".join(
        f"\n{note}" for note in busy_note(load, load_after, threads)
    )
    each = [
        {"genes": number, "form": name, "round": place, "seconds": value}
        for number, (_, found) in zip(numbers, measured, strict=True)
        for name, own in found.get("times", {}).items()
        for place, value in enumerate(own)
    ]
    write_atomic(folder / "results.csv", csv_text(rows))
    write_atomic(folder / "rounds.csv", csv_text(each))
    write_atomic(folder / "table.md", page)
    write_figure(folder, draw_lottery(rows))
    write_origin(
        folder,
        "hardware_lottery",
        seconds=round(time.perf_counter() - start, 1),
        load=load,
        load_after=load_after,
        matmul_peaks=peaks,
    )
    show(page)
    for failure in failures:
        say(f"failed: {failure}")
    if failures:
        raise typer.Exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    run(app, "hardware_lottery", arguments)


if __name__ == "__main__":
    main()
