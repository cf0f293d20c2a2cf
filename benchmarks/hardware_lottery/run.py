"""Why attention is run as dense products: one layer as edge list, dense and fused, the same numbers each time.

Usage: python -m benchmarks.hardware_lottery.run --out FOLDER
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from benchmarks.harness.children import OUT_OF_MEMORY, reported_child
from benchmarks.harness.folder import new_folder
from benchmarks.harness.options import BatchSize, Channels, MemoryGb, Out, Rank, check_heads, whole_numbers
from benchmarks.harness.script import command_line, end, entry_point
from scgraph.cli.options import Overwrite
from scgraph.cli.terminal import show

app = command_line()

OWNED = (
    "results.csv", "rounds.csv", "table.md", "figure.png", "figure.svg", "config.yaml", "environment.json",
)  # fmt: skip


@app.command()
def hardware_lottery(
    out: Out,
    genes: Annotated[str, typer.Option(help="Genes of a cell.")] = "128,256,512",
    channels: Channels = 256,
    rank: Rank = 48,
    batch_size: BatchSize = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds at most; six make an interval.")] = 9,
    seconds: Annotated[float, typer.Option(min=0, help="No further round of a size is started after so long.")] = 75,
    memory_gb: MemoryGb = None,
    peak_size: Annotated[int, typer.Option(min=16, help="Side of the product that gives the matmul peak.")] = 2048,
    overwrite: Overwrite = False,
) -> None:
    """Measure every form at every size, and the matmul peak in the same processes."""
    import torch

    from benchmarks.hardware_lottery.cases import forms
    from benchmarks.hardware_lottery.page import draw_lottery, lottery_markdown, lottery_row, with_times
    from benchmarks.hardware_lottery.point import measure_memory, measure_times
    from benchmarks.layers.cases import Sizes

    check_heads(channels)
    numbers = whole_numbers("--genes", genes)
    described: dict[str, Any] = {"genes": numbers, "channels": channels, "rank": rank, "batch_size": batch_size}
    described |= {"rounds": rounds, "seconds": seconds, "memory_gb": memory_gb, "peak_size": peak_size}
    results = new_folder("hardware_lottery", out, described, overwrite=overwrite, owned=OWNED)
    failures: list[str] = []
    child = partial(reported_child, failures=failures, memory_gb=memory_gb, seconds=seconds + 120)
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
    threads = torch.get_num_threads()
    page = lottery_markdown(rows, described, peak, threads) + "".join(f"\n{note}" for note in results.busy(threads))
    each = [
        {"genes": number, "form": name, "round": place, "seconds": value}
        for number, (_, found) in zip(numbers, measured, strict=True)
        for name, own in found.get("times", {}).items()
        for place, value in enumerate(own)
    ]
    results.write_rows(results=rows, rounds=each)
    show(results.finish(page, figure=draw_lottery(rows), matmul_peaks=peaks))
    end(failures)


main = entry_point(app, "hardware_lottery")

if __name__ == "__main__":
    main()
