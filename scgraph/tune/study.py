"""The studies of a search: one a model, begun or continued, with what they were begun with."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scgraph.config import BenchConfig, parse_config
from scgraph.errors import ConfigError
from scgraph.tune.config import DIRECTIONS, Range, TuneConfig
from scgraph.tune.slots import Board
from scgraph.tune.space import default_values, distributions, said_of, search_space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

    from scgraph.tune.space import Space

__all__ = ["Job", "begin", "described", "loaded", "study_name", "suggested"]

FINGERPRINT = "scgraph"
# What may differ between a study and its continuation: where it runs, what is drawn, and the repetitions at the end.
FREE = {
    "train.device",
    "train.compile",
    "train.checkpoint_every",
    "train.num_workers",
    "graph",  # its content is part of the identity, not where it lies
    "seeds",
    "components",
    "projection",
    "equivalence_margin",
}


@dataclass(frozen=True)
class Job:
    """All that a worker must know, plain data.

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
        batch_key: column of obs with batches.
        drop_leaks: leave corpus cells out that stand in a test part.
        identity: what the data are, see `scgraph.tune.objective.data_identity`.
        spaces: the search space, by model.
        first: what the first trial runs, by model.
        fingerprints: what decides the trials, by model.
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
    batch_key: str | None = None
    drop_leaks: bool = True
    identity: dict[str, str] = field(default_factory=dict)
    spaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    first: dict[str, dict[str, Any]] = field(default_factory=dict)
    fingerprints: dict[str, dict[str, str]] = field(default_factory=dict)
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

    def space(self, model: str) -> Space:
        """Return the search space of a model."""
        return {
            path: parse_config(Range, written, source=path) if isinstance(written, dict) else tuple(written)
            for path, written in self.spaces[model].items()
        }


def described(job: Job) -> Job:
    """Return the job with the search space, the first trial and the fingerprint of every model.

    Workers then need no torch before their first trial.

    Raises:
        ConfigError: something is wrong with a search space.
    """
    spaces = {model: search_space(model, job.tune, job.bench) for model in job.models}
    return replace(
        job,
        spaces={
            model: {
                path: list(one) if isinstance(one, tuple) else one.model_dump(mode="json")
                for path, one in space.items()
            }
            for model, space in spaces.items()
        },
        first={model: default_values(model, space, job.bench) for model, space in spaces.items()},
        fingerprints={model: fingerprint(job, model, space) for model, space in spaces.items()},
    )


def study_name(job: Job, model: str) -> str:
    """Return the name of a model's study."""
    return f"{job.study}/{model}"


def begin(job: Job, model: str, storage: BaseStorage) -> Board:
    """Begin the study of a model or go on with it; every slot then has a trial.

    Raises:
        ConfigError: the study was begun with another space, direction, data or settings; lists the differences.
    """
    import optuna

    name, config = study_name(job, model), job.tune
    directions = list(DIRECTIONS[config.objective])
    now = job.fingerprints[model]
    if any(known.study_name == name for known in storage.get_all_studies()):  # a look writes nothing
        study = optuna.load_study(study_name=name, storage=storage)
    else:
        study = optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
    before = study.user_attrs.get(FINGERPRINT)
    if before is None and study.get_trials(deepcopy=False):
        raise ConfigError(
            f"{job.storage['shown']}: {name!r} is a study of something else. Name another one with --study."
        )
    if before is None:
        study.set_user_attr(FINGERPRINT, now)
    else:
        _check_same(before, now, f"{job.storage['shown']}: study {name!r}")
    board = Board(storage, name, config.trials, config.attempts, job.first[model])
    board.fill()
    return board


def loaded(job: Job, model: str, storage: BaseStorage, *, slot: int = 0) -> Study:
    """Return the study of a model with the sampler of a slot and the pruner of the job.

    The sampler of a slot has a seed of its own. With one worker a study is then the same whether it was interrupted
    or not; with several, what a trial can learn from depends on who was quicker.
    """
    import optuna

    config = job.tune
    digest = hashlib.sha256(f"{config.seed}/{model}/{slot}".encode()).digest()
    sampler = optuna.samplers.TPESampler(
        seed=int.from_bytes(digest[:4], "big"), n_startup_trials=config.startup_trials, constant_liar=True
    )
    return optuna.load_study(
        study_name=study_name(job, model), storage=storage, sampler=sampler, pruner=_pruner(config, job.bench)
    )


def suggested(study: Study, identity: int, space: Space) -> tuple[Any, dict[str, Any]]:
    """Return a trial that was taken, and a value for every setting of its space."""
    import optuna

    trial = optuna.trial.Trial(study, identity)
    values = {}
    for path, distribution in distributions(space).items():
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            values[path] = trial.suggest_categorical(path, distribution.choices)
        elif isinstance(distribution, optuna.distributions.IntDistribution):
            values[path] = trial.suggest_int(
                path, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        elif isinstance(distribution, optuna.distributions.FloatDistribution):
            values[path] = trial.suggest_float(
                path, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
    return trial, values


def fingerprint(job: Job, model: str, space: Space) -> dict[str, str]:
    """Return what decides the trials of a study, as flat text under names a user knows."""
    from scgraph.bench.protocol import settings_of

    config = job.tune
    settings = _flat(settings_of(model, job.bench).model_dump(mode="json"))
    return {
        "model": model,
        "objective": config.objective,
        "directions": ", ".join(DIRECTIONS[config.objective]),
        "seed": str(config.seed),
        "startup_trials": str(config.startup_trials),
        "pruner": ", ".join(f"{key} {value}" for key, value in config.pruner.model_dump().items()),
        **{f"space.{path}": said_of(dimension) for path, dimension in space.items()},
        **{f"bench.{key}": str(value) for key, value in settings.items() if key not in FREE},
        **job.identity,
    }


def _check_same(before: dict[str, str], now: dict[str, str], what: str) -> None:
    # A setting that a newer scgraph has besides is what it does by default.
    usual = {f"bench.{key}": str(value) for key, value in _flat(BenchConfig().model_dump(mode="json")).items()}
    differing = [
        f"{key} was {before.get(key, 'not there')} and is {now.get(key, 'not there')}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key, usual.get(key)) != now.get(key)
    ]
    if differing:
        raise ConfigError(
            f"{what} cannot be continued, it was begun with something else: {'; '.join(differing)}. "
            "Continue with what it was begun with, or name another study with --study."
        )


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{key}."))
        else:
            found[prefix + key] = value
    return found


def _pruner(config: TuneConfig, base: BenchConfig) -> BasePruner:
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    settings = config.pruner
    if settings.kind == "none" or len(DIRECTIONS[config.objective]) > 1:
        return NopPruner()
    if settings.kind == "hyperband":
        least = max(1, settings.warmup_epochs)
        return HyperbandPruner(min_resource=least, max_resource=max(least + 1, base.train.epochs))
    return MedianPruner(n_startup_trials=settings.startup_trials, n_warmup_steps=settings.warmup_epochs)
