"""The one table of the front page: six claims, what was measured, and a verdict that follows from the intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from docs.make.front_sources import COMPONENTS, NEWEST, read_benches
from docs.make.shallow_picture import picture_lines
from docs.make.sources import RESULTS
from scgraph.bench.across_sets import across_sets
from scgraph.reporting.rows import BESIDE
from scgraph.reporting.statistics import paired_difference

if TYPE_CHECKING:
    from docs.make.front_sources import Benches
    from scgraph.reporting.statistics import PairedDifference

__all__ = [
    "accuracy_verdict",
    "compute_verdict",
    "front_block",
    "front_rows",
    "graph_verdict",
    "memory_verdict",
    "use_verdict",
    "vectors_verdict",
]

MARGIN = 0.01
"""One point of accuracy."""
USES = {
    "at 20 % of the counts": ("shallow", "0.2", "macro_f1"),
    "with 5 labels a class": ("few", "5", "macro_f1"),
    "with all labels": ("labels", "", "macro_f1"),
    "by 15 neighbors": ("neighbors", "", "macro_f1"),
}
"""What a biologist does with features, and the question of the benches that asks it."""
HELD_OUT = ("batches", "", "macro_f1")


def front_block(part: str) -> str:
    """Return a part of the front page, ``picture`` or ``table``."""
    if part == "picture":
        return picture_lines()
    lines = ["| claim | measured here | |", "|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in front_rows())]) + "\n"


def front_rows() -> list[tuple[str, str, str]]:
    """Return claim, measurement and verdict of the six rows."""
    costs = pd.read_csv(RESULTS / NEWEST.costs / "costs.csv")
    names = (NEWEST.features, NEWEST.batches, NEWEST.graph)
    features, batches, trained = (read_benches(name, RESULTS) for name in names)
    return [*_costs(costs), _accuracy(trained), _features(features, batches), _beside(features), _graph(trained)]


def compute_verdict(ratios: pd.Series) -> str:
    """A Transformer's multiply-adds over the GNN's: 1/4 to 1/2 of the compute is a ratio of at least 2 everywhere."""
    return "holds" if ratios.min() >= 2 else f"in {int((ratios >= 2).sum())} of {len(ratios)} sizes"


def memory_verdict(unfused: pd.Series, fused: pd.Series) -> str:
    """What a Transformer saves for backward over what the GNN saves: 1/8 is a ratio of at least 8."""
    if fused.min() >= 8:
        return "holds"
    reached = int((unfused >= 8).sum())
    if not reached:
        return "does not hold"
    where = "" if reached == len(unfused) else f"in {reached} of {len(unfused)} sizes, "
    return f"{where}against unfused attention only"


def accuracy_verdict(low: float, high: float, *, equivalent: bool) -> str:
    """Whether gnn and tf are equal over sets, from the interval of their difference."""
    if equivalent:
        return f"holds within ± {100 * MARGIN:g} point"
    if low > 0:
        return "the GNN is ahead"
    return "the GNN is behind" if high < 0 else "no difference shown, nor equality"


def vectors_verdict(found: dict[str, PairedDifference]) -> str:
    """In which uses the vectors of gnn and tf are equal over sets, and in which one of them is ahead."""
    equal = [use for use, one in found.items() if one.equivalent]
    apart = [use for use, one in found.items() if not one.equivalent and (one.low > 0 or one.high < 0)]
    said = [f"of vectors too {', '.join(equal)}"] if equal else []
    if apart:
        said.append("not " + ", ".join(apart))
    if len(equal) + len(apart) < len(found):
        said.append("no difference shown " + ("else" if said else "in any use"))
    return "; ".join(said)


def use_verdict(found: dict[str, PairedDifference]) -> str:
    """In which uses an interval over sets leaves out 0."""
    ahead = [use for use, one in found.items() if one.low > 0]
    behind = [use for use, one in found.items() if one.high < 0]
    said = []
    if ahead:
        said.append("yes " + ", ".join(ahead))
    if behind:
        said.append("behind " + ", ".join(behind))
    if len(ahead) + len(behind) < len(found):
        said.append("no difference shown " + ("else" if said else "in any use"))
    return "; ".join(said)


def graph_verdict(found: dict[str, PairedDifference]) -> str:
    """Whether `gnn` is ahead of `none`, from the intervals of `none` minus `gnn`."""
    shown = [use for use, one in found.items() if one.high < 0]
    return "shown " + ", ".join(shown) if shown else "not shown"


def _costs(costs: pd.DataFrame) -> list[tuple[str, str, str]]:
    wide = costs.pivot(index=["channels", "genes"], columns="row", values=["multiply_adds", "saved_mb"])
    adds = wide["multiply_adds"]["tf, fused"] / wide["multiply_adds"]["gnn"]
    unfused, fused = (wide["saved_mb"][f"tf, {kind}"] / wide["saved_mb"]["gnn"] for kind in ("math", "fused"))
    return [
        (
            "the GNN needs 1/4 to 1/2 of the compute",
            f"{len(adds)} sizes: the Transformer needs {_range(adds)} times the multiply-adds ([claim by "
            "claim](docs/reproduction.md))",
            compute_verdict(adds),
        ),
        (
            "it needs 1/8 of the memory",
            f"the Transformer saves {_range(unfused)} times as much for backward where attention keeps its scores, "
            f"{_range(fused)} times with fused attention",
            memory_verdict(unfused, fused),
        ),
    ]


def _accuracy(trained: Benches) -> tuple[str, str, str]:
    tables = [pd.read_csv(RESULTS / name / "results.csv") for name in NEWEST.accuracy]
    rows = across_sets(pd.concat(tables), margin=MARGIN)
    (row,) = rows[(rows["model"] == "gnn") & (rows["over"] == "sets")].to_dict("records")
    mean, low, high = (100 * float(row[f"accuracy_{name}"]) for name in ("difference", "low", "high"))
    found = {use: _difference(trained, "gnn", "tf", question) for use, question in USES.items()}
    texts = [f"{use} {_said(one)}" for use, one in found.items()]
    seeds = trained.values["seed"].nunique()
    return (
        "both reach the same accuracy",
        f"{row['sets']} sets, {row['seeds']} seeds, small sizes, masked value prediction: `gnn` minus `tf` "
        f"{_interval(mean, low, high, '.2f')} points of accuracy over sets; default settings, "
        f"{len(trained.sets)} sets, {seeds} seeds, points of macro-F1: {', '.join(texts)}",
        f"{accuracy_verdict(low, high, equivalent=bool(row['accuracy_equivalent']))}; {vectors_verdict(found)}",
    )


def _features(features: Benches, batches: Benches) -> tuple[str, str, str]:
    kept = features.of(features.kept)
    found = {use: _over_components(kept, question) for use, question in USES.items()}
    texts = [f"{use} {_said(one)}" for use, one in found.items()]
    found["in a new batch"] = _over_components(batches, HELD_OUT)
    return (
        "the embeddings are worth taking",
        f"{len(kept.sets)} sets, macro-F1 of `gnn` minus the strongest of six kinds of principal components, in "
        f"points: {', '.join(texts)}; batches brought together, {len(batches.sets)} sets, in a new batch "
        f"{_said(found['in a new batch'])} ([features](docs/features.md))",
        use_verdict(found),
    )


def _beside(features: Benches) -> tuple[str, str, str]:
    """Components and the vectors of `gnn` side by side, so twice as many numbers."""
    kept = features.of(features.kept)
    found = {use: _over_components(kept, question, model=BESIDE + "gnn") for use, question in USES.items()}
    texts = [f"{use} {_said(one)}" for use, one in found.items()]
    return (
        "beside components they add to them",
        f"the same of `{BESIDE}gnn`, both side by side: {', '.join(texts)}",
        use_verdict(found),
    )


def _graph(features: Benches) -> tuple[str, str, str]:
    found = {use: _difference(features, "none", "gnn", question) for use, question in USES.items()}
    texts = [f"{use} {_said(one)}" for use, one in found.items()]
    return (
        "it is the graph that does it",
        f"{len(features.sets)} sets, `none`, whose genes hear nothing of each other, minus `gnn`, in points: "
        f"{', '.join(texts)}",
        graph_verdict(found),
    )


def _over_components(benches: Benches, question: tuple[str, str, str], *, model: str = "gnn") -> PairedDifference:
    """Return a row minus the components that leave the least to it."""
    found = [_difference(benches, model, name, question) for name in COMPONENTS]
    return min(found, key=lambda one: one.mean)


def _difference(benches: Benches, model: str, other: str, question: tuple[str, str, str]) -> PairedDifference:
    """Return a difference over sets, in points."""
    from benchmarks.embeddings.page import differences

    use, level, metric = question
    frame = differences(benches.values, model, other)
    here = frame[(frame["use"] == use) & (frame["level"] == level) & (frame["metric"] == metric)]["difference"]
    return paired_difference(here, 0 * here, margin=100 * MARGIN)


def _said(found: PairedDifference) -> str:
    return _interval(found.mean, found.low, found.high, ".1f")


def _interval(mean: float, low: float, high: float, form: str) -> str:
    return f"{mean:+{form}} [{low:+{form}}, {high:+{form}}]"


def _range(ratios: Any) -> str:
    return f"{ratios.min():.2f} to {ratios.max():.2f}"
