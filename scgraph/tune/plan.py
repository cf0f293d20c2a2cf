"""What a search will do, with everything refused that can be refused before cells are read."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scgraph.config import BenchConfig
from scgraph.config_files import parse_config
from scgraph.errors import ConfigError, argument
from scgraph.models.per_model import check_model_keys
from scgraph.models.settings import settings_by_model
from scgraph.train import resolve_device
from scgraph.tune.config import Range, TuneConfig, as_tune_config, base_settings
from scgraph.tune.space import default_values, search_space

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scgraph.tune.space import Space

__all__ = ["SearchPlan", "plan_search", "with_spaces"]


@dataclass(frozen=True)
class SearchPlan:
    """All that a search needs and a worker must know, plain data: made once, handed on.

    Attributes:
        storage: kind, address and shown name of the place.
        study: common part of the names of the studies.
        models: names, in the order in which slots are taken.
        config: of `TuneConfig`.
        base: of `BenchConfig`, the settings the search starts from.
        data: files of the labelled sets.
        corpus: files to pretrain on.
        label: column of obs with the classes.
        layer: layer to read.
        values: what the values are declared to be.
        batch_key: column of obs with batches.
        drop_leaks: leave corpus cells out that stand in a test part.
        identity: what the data are, see `scgraph.tune.objective.data_identity`.
        by_model: of `BenchConfig`, the same as each model sees them.
        spaces: the search space, by model.
        first: what the first trial runs, by model.
        objective: ``module:name`` of what is called with a job and returns what measures a trial.
        options: further plain data for it.
    """

    storage: dict[str, str]
    study: str
    models: list[str]
    config: dict[str, Any]
    base: dict[str, Any]
    data: list[str]
    corpus: list[str] = field(default_factory=list)
    label: str | None = None
    layer: str | None = None
    values: str | None = None
    batch_key: str | None = None
    drop_leaks: bool = True
    identity: dict[str, str] = field(default_factory=dict)
    by_model: dict[str, dict[str, Any]] = field(default_factory=dict)
    spaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    first: dict[str, dict[str, Any]] = field(default_factory=dict)
    objective: str = "scgraph.tune.objective:Objective"
    options: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @cached_property
    def tune(self) -> TuneConfig:
        """The settings of the search."""
        return parse_config(TuneConfig, self.config, source="job")

    @cached_property
    def bench(self) -> BenchConfig:
        """The settings the search starts from."""
        return parse_config(BenchConfig, self.base, source="job")

    def settings(self, model: str) -> BenchConfig:
        """Return the settings the search of a model starts from."""
        return parse_config(BenchConfig, self.by_model[model], source="job")

    def space(self, model: str) -> Space:
        """Return the search space of a model."""
        return {
            path: parse_config(Range, written, source=path) if isinstance(written, dict) else tuple(written)
            for path, written in self.spaces[model].items()
        }


def with_spaces(job: SearchPlan) -> SearchPlan:
    """Return the plan with the settings, the search space and the first trial of every model.

    A worker is told them, and lays nothing over anything again.

    Raises:
        ConfigError: an unknown model, or something is wrong with its settings or its search space.
    """
    by_model = settings_by_model(job.models, job.bench)
    spaces = {model: search_space(model, job.tune, settings) for model, settings in by_model.items()}
    return replace(
        job,
        by_model={model: settings.model_dump(mode="json") for model, settings in by_model.items()},
        spaces={
            model: {
                path: list(one) if isinstance(one, tuple) else one.model_dump(mode="json")
                for path, one in space.items()
            }
            for model, space in spaces.items()
        },
        first={model: default_values(model, space, by_model[model]) for model, space in spaces.items()},
    )


def plan_search(
    models: Sequence[str],
    data: Sequence[str | Path],
    *,
    config: TuneConfig | str | Path | dict[str, Any],
    workers: int,
    corpus: Sequence[str | Path],
    **more: Any,
) -> SearchPlan:
    """Return the plan of a search, with everything refused that can be told without reading cells.

    Args:
        models: names.
        data: labelled sets.
        config: a `TuneConfig`, plain data, a YAML file or a name that ships with scgraph.
        workers: processes on this machine.
        corpus: files to pretrain on.
        more: further fields of `SearchPlan`.

    Raises:
        ConfigError: an unknown model or setting, or something is missing on this machine.
    """
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError("tune needs the package optuna: install it beside scgraph-zoo.")
    if not models or not data:
        raise ConfigError("tune needs at least one model and one set of cells.")
    if workers < 1:
        raise ConfigError(f"{argument('workers')}: at least 1, not {workers}.")
    settings = as_tune_config(config)
    base = base_settings(settings)
    check_model_keys("space_per_model", settings.space_per_model, models)
    resolve_device(base.train.device)
    words = [str(source) for source in data], [str(source) for source in corpus]
    job = SearchPlan(
        storage={},
        models=list(models),
        config=settings.model_dump(mode="json"),
        base=base.model_dump(mode="json"),
        data=words[0],
        corpus=words[1],
        **more,
    )
    return with_spaces(job)
