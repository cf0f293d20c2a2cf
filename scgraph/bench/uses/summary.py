"""What the rows of the uses say together: over draws, seeds and sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph.bench.results import difference_columns
from scgraph.reporting.escape import csv_text
from scgraph.reporting.rows import REGRESSION, UNTRAINED, model_order
from scgraph.reporting.statistics import mean_sd, paired_difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

__all__ = ["AGAINST", "USES_COLUMNS", "summarise_uses", "uses_across_sets", "uses_csv", "uses_frame"]

USES_COLUMNS = ("dataset", "split", "seed", "model", "use", "level", "draw", "metric", "value")
QUESTION = ["split", "use", "level", "metric"]
AGAINST = {"over_regression": f"minus {REGRESSION}", "over_untrained": "minus untrained"}
"""Paired differences that are shown, by the prefix of their columns."""


def uses_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a frame with the columns of `USES_COLUMNS`."""
    import pandas as pd

    return pd.DataFrame(list(rows), columns=list(USES_COLUMNS))


def uses_csv(uses: pd.DataFrame) -> str:
    """The text of `uses.csv`."""
    return csv_text(uses, float_format="%.10g")


def summarise_uses(uses: pd.DataFrame) -> pd.DataFrame:
    """One row a dataset x split x use x level x metric x model: draws are averaged within a seed first.

    Further columns: `n` (seeds), `value_mean`, `value_sd`, and paired over seeds `over_regression_*` (minus logistic
    regression on principal components) and `over_untrained_*` (minus the untrained row of the model), each with
    `_difference`, `_low`, `_high` (95 % t interval); NaN where there is no such row, or one seed.
    """
    import pandas as pd

    rows = []
    for key, table in _tables(uses, ["dataset", *QUESTION]):
        for model in model_order(table.columns):
            own = mean_sd(table[model])
            row = dict(zip(["dataset", *QUESTION], key, strict=True)) | {"model": model, "n": own.n}
            row |= {"value_mean": own.mean, "value_sd": own.sd}
            for name in AGAINST:
                other = _other(name, model, table)
                row |= difference_columns(name, None if other is None else paired_difference(table[model], other))
            rows.append(row)
    return pd.DataFrame(rows)


def uses_across_sets(uses: pd.DataFrame) -> pd.DataFrame:
    """One row a split x use x level x metric x model: differences averaged over seeds, then over two sets or more.

    With D[s, k] the difference of seed s on set k and d_k = (1/S) Σ_s D[s, k]: the mean of d_k with its t interval over
    the K sets, as `over_regression_*` and `over_untrained_*`, each with `_sets` (K) and `_won` (sets with d_k > 0).
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for key, group in uses.groupby(QUESTION, sort=False):
        tables = [table for _, table in _tables(group, ["dataset"])]
        for model in model_order(group["model"]) if len(tables) > 1 else ():
            row: dict[str, Any] = dict(zip(QUESTION, key, strict=True)) | {"model": model}
            for name in AGAINST:
                pairs = [(table[model], _other(name, model, table)) for table in tables if model in table]
                by_set = pd.Series([(own - other).mean() for own, other in pairs if other is not None]).dropna()
                over = paired_difference(by_set, 0 * by_set) if len(by_set) > 1 else None
                row |= difference_columns(name, over)
                row |= {f"{name}_sets": len(by_set), f"{name}_won": int((by_set > 0).sum())}
            rows.append(row)
    return pd.DataFrame(rows)


def _tables(uses: pd.DataFrame, by: list[str]) -> Iterable[tuple[tuple[Any, ...], pd.DataFrame]]:
    """For every group a table of seeds x models, in order of appearance, means over draws."""
    for key, group in uses.groupby(by, sort=False):
        table = group.pivot_table(index="seed", columns="model", values="value", aggfunc="mean", sort=False)
        yield key, table[list(dict.fromkeys(group["model"]))]


def _other(name: str, model: str, table: pd.DataFrame) -> pd.Series | None:
    """The row that a model is compared with; None where it is the model itself or was not measured."""
    other = REGRESSION if name == "over_regression" else model + UNTRAINED
    return None if other == model or other not in table else table[other]
