"""Tables and figure of `asymmetric`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.asymmetric.point import REFERENCE
from benchmarks.harness.text import markdown_table, number
from scgraph.reporting.drawing import FAINT, MARKERS, log_axis, model_colors, new_figure, open_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Rows = list[dict[str, Any]]

__all__ = ["asymmetric_markdown", "draw_asymmetric"]


def asymmetric_markdown(counts: Rows, costs: Rows, scores: Rows, described: dict[str, Any]) -> str:
    """Return the page: counted, measured, trained."""
    sizes = described["sizes"]
    blocks = ["# An asymmetric encoder-decoder\n"]
    if counts:
        blocks += _counted(counts, sizes)
    if costs:
        blocks += _measured(costs, sizes)
    if scores:
        blocks += _trained(scores, described)
    return "\n".join(blocks)


def _counted(rows: Rows, sizes: dict[str, int]) -> list[str]:
    shares = list(dict.fromkeys(row["share"] for row in rows))
    vocabulary, reference = rows[0]["vocabulary"], rows[0]["reference"]
    lines = []
    for name in dict.fromkeys(row["model"] for row in rows):
        own = {row["share"]: row for row in rows if row["model"] == name}
        cells = [f"{own[share]['multiply_adds'] / 1e9:,.1f} G, {own[share]['times_fewer']:,.0f}×" for share in shares]
        seen = "all" if own[shares[0]]["seen"] == vocabulary else "expressed"
        lines.append([f"`{name}`", seen, *cells])
    return [
        f"## Counted: all {vocabulary:,} genes of a vocabulary\n",
        f"Multiply-adds of one cell at C {sizes['channels']}, {sizes['layers']} layers, and how many times more a "
        f"plain Transformer (`{REFERENCE}`) takes that sees all {vocabulary:,} genes: {reference / 1e9:,.0f} G. An "
        "encoder sees the expressed genes, its decoder all; a model without a decoder has to see all.\n",
        markdown_table(
            ["model", "genes the encoder sees", *(f"{share:.0%} expressed" for share in shares)],
            lines,
        ),
    ]


def _measured(rows: Rows, sizes: dict[str, int]) -> list[str]:
    lines = []
    by_panel = {row["panel"]: row for row in rows if row["model"] == REFERENCE}
    for row in rows:
        plain = by_panel[row["panel"]]
        times, memory = plain["milliseconds"] / row["milliseconds"], plain["saved_mb"] / row["saved_mb"]
        counted = plain["multiply_adds"] / row["multiply_adds"]
        lines.append(
            [
                f"{row['panel']:,}", f"`{row['model']}`",
                f"{row['panel'] if row['model'] == REFERENCE else row['expressed']:,}",
                f"{row['milliseconds']:,.0f} [{row['fastest']:,.0f}, {row['slowest']:,.0f}]", f"{times:.1f}×",
                f"{row['saved_mb']:,.1f}", f"{memory:.1f}×", f"{counted:.1f}×",
            ]
        )  # fmt: skip
    header = [
        "genes of the panel", "model", "genes seen by `tf` or the encoder", "ms a training step", "faster",
        "MB saved for backward", "less", "fewer multiply-adds",
    ]  # fmt: skip
    return [
        "## Measured: a panel that fits\n",
        f"One cell at C {sizes['channels']}, {sizes['layers']} layers, every model in turn in one process, median of "
        f"{rows[0]['rounds']} rounds [fastest, slowest]. The last column is what counting promises.\n",
        markdown_table(header, lines),
    ]


def _trained(rows: Rows, described: dict[str, Any]) -> list[str]:
    budgets = list(dict.fromkeys(row["budget"] for row in rows))
    seeds = len({row["seed"] for row in rows})
    lines, baselines = [], []
    for budget in budgets:
        for name in dict.fromkeys(row["model"] for row in rows if row["budget"] == budget):
            own = [row for row in rows if (row["budget"], row["model"]) == (budget, name)]
            mean = {
                key: sum(row[key] for row in own) / len(own)
                for key in ("macro_f1", "accuracy", "validation_mvp_loss", "untrained_macro_f1", "seconds_pretrain")
                if own[0].get(key) is not None
            }
            first = own[0]
            if not first.get("channels"):
                baselines += [f"{name} {mean['macro_f1']:.3f}"] if budget == budgets[0] else []
                continue
            lines.append(
                [
                    f"`{name}`", f"{first['channels']:.0f}", f"{first['parameters']:,.0f}",
                    f"{first['block_parameters']:,.0f}", f"{first['multiply_adds'] / 1e6:.1f} M",
                    f"{first['multiply_adds_embedding'] / 1e6:.1f} M", number(mean["validation_mvp_loss"]),
                    number(mean["macro_f1"]), number(mean["untrained_macro_f1"]),
                    number(mean["seconds_pretrain"], ".0f"),
                ]
            )  # fmt: skip
    header = [
        "model", "C", "parameters", "of the blocks", "multiply-adds in training", "when embedding", "MVP loss",
        "macro-F1", "untrained", "pretraining s",
    ]  # fmt: skip
    train, most = described["config"]["train"], described["config"]["max_steps"]
    long = f"{train['epochs']} epochs" + (f", cut to about {most:,} steps" if most else "")
    return [
        "## Trained: three sizes, about equal multiply-adds\n",
        f"{described['data']}, the protocol of the bench, {seeds} seed{'s' if seeds > 1 else ''}, {long} of "
        f"{train['batch_size']} cells. The width of each model is the "
        f"multiple of 8 at which a cell of {train['genes']} expressed genes takes about as many multiply-adds in "
        "training as `tf`, encoder and decoder together.\n",
        markdown_table(header, lines),
        f"Baselines, macro-F1: {', '.join(baselines)}.\n",
        "MVP loss: mean squared error of the hidden values of expressed genes of the validation cells. An asymmetric "
        "model has to find them among hidden zeros; the others know that every gene they see is expressed. So it is "
        "the same number of a harder task, and compares among the asymmetric models first.\n",
    ]


def draw_asymmetric(costs: Rows, scores: Rows) -> Figure:
    """Time against the panel, and quality against the number of parameters."""
    figure = new_figure(13.0, 4.2)
    axes = figure.subplots(1, 3)
    names = list(dict.fromkeys(row["model"] for row in [*costs, *scores] if row.get("channels") or row.get("panel")))
    colors = model_colors(names)
    markers = {name: MARKERS[at % len(MARKERS)] for at, name in enumerate(names)}
    panels = (
        (costs, "panel", "milliseconds", "ms a training step of one cell", "genes of the panel"),
        (scores, "parameters", "validation_mvp_loss", "MVP loss", "parameters"),
        (scores, "parameters", "macro_f1", "macro-F1 of a linear probe", "parameters"),
    )
    for axis, (rows, x, y, title, label) in zip(axes, panels, strict=True):
        for name in names:
            own = sorted((row[x], row[y]) for row in rows if row["model"] == name)
            if own:
                axis.plot(
                    [at for at, _ in own], [value for _, value in own], label=name, color=colors[name],
                    marker=markers[name], markersize=5, linewidth=1.3,
                )  # fmt: skip
        axis.set_title(title, loc="left", fontsize=10.5)
        axis.set_xlabel(label)
        axis.grid(color=FAINT, linewidth=0.7)
        log_axis(axis, [row[x] for row in rows if row["model"] in names])
        open_axis(axis)
    axes[0].set_yscale("log")
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False, fontsize=9)
    return figure
