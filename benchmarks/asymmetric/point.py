"""What `asymmetric` counts, measures and trains."""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import torch

from scgraph.bench.measure import measure
from scgraph.bench.plan import plan_bench
from scgraph.config import BenchConfig, ModelConfig
from scgraph.config_files import merged, parse_config
from scgraph.costs.profiling import profile, saving
from scgraph.costs.sizes import VOCABULARY_SIZE
from scgraph.data.sets.corpus import NO_CORPUS
from scgraph.models import build_model
from scgraph.models.settings import settings_by_model
from scgraph.reporting.rows import UNTRAINED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scgraph.data.sets.labelled import ProbeSet

__all__ = ["REFERENCE", "counted", "measured", "trained", "with_budget"]

REFERENCE = "tf"
ALONE = ("gnn-linear", "performer")
WIDTHS = range(8, 513, 8)


def models_by_name(models: Sequence[str], settings: BenchConfig) -> dict[str, ModelConfig]:
    """Return the settings of each model's layers."""
    return {name: own.model for name, own in settings_by_model(models, settings).items()}


def counted(models: Sequence[str], shares: Sequence[float], sizes: dict[str, int], vocabulary: int) -> list[Any]:
    """Multiply-adds of each model at each share of expressed genes, beside `tf` on the whole vocabulary."""
    rows: list[dict[str, Any]] = []
    settings = parse_config(BenchConfig, {"model": sizes}, source="sizes")
    configs = models_by_name([*models, *(name for name in ALONE if name not in models)], settings)
    for share in shares:
        expressed = round(share * vocabulary)
        for name, config in configs.items():
            # A model without a decoder has to see all genes to say something about all of them.
            seen = expressed if config.sees_zeros else vocabulary
            times = saving(config, genes=seen, vocabulary_size=vocabulary)
            with torch.device("meta"):
                plain = build_model(
                    2, **ModelConfig(conv=REFERENCE, channels=config.channels, layers=config.layers).model_kwargs()
                )
            total = plain.cost(vocabulary).multiply_adds
            row = {"model": name, "share": share, "vocabulary": vocabulary, "expressed": expressed, "seen": seen}
            rows.append({**row, "multiply_adds": round(total / times), "reference": total, "times_fewer": times})
    return rows


def measured(
    models: Sequence[str], panel: int, share: float, sizes: dict[str, int], *, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Time and memory of a training step on one cell: every model in turn, `tf` on all genes of the panel."""
    settings = parse_config(BenchConfig, {"model": sizes}, source="sizes")
    configs = models_by_name([REFERENCE, *models], settings)
    expressed = max(2, round(share * panel))
    found: dict[str, list[Any]] = {name: [] for name in configs}
    for _ in range(rounds):
        for name, config in configs.items():
            genes, zeros = (expressed, panel - expressed) if config.sees_zeros else (panel, None)
            found[name].append(
                profile(config, genes=genes, zeros=zeros, vocabulary_size=panel, batch_size=1, seconds=seconds)
            )
    rows = []
    for name, costs in found.items():
        times = sorted(1000 / cost.cells_per_second for cost in costs)
        rows.append(
            {
                "model": name, "panel": panel, "expressed": expressed, "rounds": rounds,
                "milliseconds": times[len(times) // 2], "fastest": times[0], "slowest": times[-1],
                "saved_mb": costs[0].saved_mb, "multiply_adds": costs[0].multiply_adds,
            }
        )  # fmt: skip
    return rows


def with_budget(models: Sequence[str], settings: BenchConfig, channels: int) -> BenchConfig:
    """Return the settings with the width of each model at which it takes about the multiply-adds of `tf`.

    The widths are multiples of 8; the multiply-adds are those of a cell with `train.genes` expressed genes.

    Args:
        models: names.
        settings: what holds besides.
        channels: width of `tf`.
    """
    by_model = models_by_name([REFERENCE, *models], settings)
    reference = _with_width(by_model[REFERENCE], channels, settings)
    own = {}
    for name in models:
        config = by_model[name]
        # More channels are more multiply-adds: the first width above the budget, or the one before it.
        above = bisect_left(WIDTHS, reference, key=lambda width: _with_width(config, width, settings))
        around = WIDTHS[max(0, above - 1) : above + 1]
        near = min(around, key=lambda width: abs(_with_width(config, width, settings) - reference))
        own[name] = {"channels": channels if name == REFERENCE else near}
    return settings.model_copy(update={"per_model": merged(settings.per_model, own)})


def trained(
    models: Sequence[str], probe: ProbeSet, settings: BenchConfig, channels: int, *, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Run the protocol of the bench with all models at one budget: `tf` of so many channels."""
    own = with_budget(models, settings, channels)
    by_model = settings_by_model(models, own)
    start = time.perf_counter()
    found = measure(
        plan_bench(by_model, [probe], NO_CORPUS, own), say=lambda text: say(f"budget of tf {channels}: {text}")
    )
    blank = {(row["model"], row["seed"]): row["macro_f1"] for row in found.rows}
    seconds = time.perf_counter() - start
    rows = []
    for row in found.rows:
        if row["model"].endswith(UNTRAINED):
            continue
        more: dict[str, Any] = {"budget": channels, "seconds_budget": seconds}
        if row["model"] in by_model:
            config = by_model[row["model"]].model
            with torch.device("meta"):
                model = build_model(2, **config.model_kwargs())
            cost = model.cost(own.train.genes)
            more |= {"channels": config.channels, "block_parameters": cost.block_parameters}
            more |= {
                "multiply_adds": _adds(config, own),
                "multiply_adds_embedding": cost.encoder_multiply_adds,
            }
            more |= {"untrained_macro_f1": blank[row["model"] + UNTRAINED, row["seed"]]}
        rows.append({**row, **more})
    return rows


def _with_width(config: ModelConfig, width: int, settings: BenchConfig) -> int:
    return _adds(config.model_copy(update={"channels": width}), settings)


def _adds(config: ModelConfig, settings: BenchConfig) -> int:
    genes = settings.train.genes
    with torch.device("meta"):
        model = build_model(2, **config.model_kwargs())
    return model.cost(genes, zeros=settings.train.zeros_shown(settings.n_top_genes or VOCABULARY_SIZE)).multiply_adds
