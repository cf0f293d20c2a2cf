"""What all sets of a bench say together about a model and the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph.bench.results import difference_columns
from scgraph.reporting.rows import model_order, row_kind
from scgraph.reporting.statistics import METRICS, paired_difference

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["across_sets", "trained_models"]

COLUMNS = (
    "split",
    "model",
    "over",
    "sets",
    "seeds",
    *(f"{metric}_{name}" for metric in METRICS for name in ("difference", "low", "high", "p", "equivalent")),
)


def across_sets(results: pd.DataFrame, reference: str = "tf", *, margin: float = 0.01) -> pd.DataFrame:
    """Paired difference of every model to the reference over all sets of a split, in two ways.

    With D[s, k] = metric(model) - metric(reference) for seed s = 1..S on set k = 1..K:

        over seeds:  d_s = (1 / K) Σ_k D[s, k]      n = S, speaks of new seeds on these sets
        over sets:   d_k = (1 / S) Σ_s D[s, k]      n = K, speaks of new sets

    The two have the same mean and differ in what varies. Each gets mean(d) ± t(n - 1) · sd(d) / √n and two one-sided
    t tests within ± `margin`, see `paired_difference`. Nothing is corrected for looking at several models and metrics.

    Args:
        results: as `results_frame` makes it.
        reference: the model the others are compared with.
        margin: for the test of equivalence, in units of the metric.

    Returns:
        One row a split x model x `over` ("seeds" or "sets"), with the numbers of `sets` K and `seeds` S and for every
        metric `_difference`, `_low`, `_high`, `_p` and `_equivalent`. Sets that lack the model or the reference are
        left out, and so are seeds that one of the sets lacks. No row where fewer than two sets or no seed are left.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for split, group in results.groupby("split", sort=False):
        order = list(dict.fromkeys(group["dataset"]))
        against = group[group["model"] == reference].set_index(["seed", "dataset"])[list(METRICS)]
        for model in model_order(group["model"]):
            if model == reference:
                continue
            own = group[group["model"] == model].set_index(["seed", "dataset"])[list(METRICS)]
            pairs = own.index.intersection(against.index)
            there = pd.Series(1.0, index=pairs).unstack("dataset").dropna() if len(pairs) else pd.DataFrame()
            sets = [name for name in order if name in there.columns]
            if len(sets) < 2 or not len(there):
                continue
            for over in ("seeds", "sets"):
                row: dict[str, Any] = {"split": split, "model": model, "over": over}
                row |= {"sets": len(sets), "seeds": len(there)}
                for metric in METRICS:
                    mine, other = (
                        _averaged(frame[metric].unstack("dataset").loc[there.index, sets], over)
                        for frame in (own, against)
                    )
                    row |= difference_columns(metric, paired_difference(mine, other, margin=margin))
                rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _averaged(table: pd.DataFrame, over: str) -> NDArray[np.float64]:
    """Means of seeds (rows) or of sets (columns), whichever the statistics go over."""
    means: NDArray[np.float64] = table.to_numpy(float).mean(axis=1 if over == "seeds" else 0)
    return means


def trained_models(frame: pd.DataFrame) -> list[str]:
    """Pretrained models of `across_sets` in order; baselines and untrained rows are context, not the claim."""
    return [name for name in dict.fromkeys(str(name) for name in frame["model"]) if row_kind(name) == "trained"]
