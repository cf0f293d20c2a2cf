"""The studies of a search: one a model, begun or continued, with what they were begun with."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from scgraph.config import BenchConfig
from scgraph.errors import ConfigError, argument
from scgraph.tune.config import DIRECTIONS
from scgraph.tune.slots import Board
from scgraph.tune.space import distributions, format_distribution

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.storages import BaseStorage

    from scgraph.tune.config import TuneConfig
    from scgraph.tune.plan import SearchPlan
    from scgraph.tune.space import Space

__all__ = ["load_study", "open_board", "sample_params", "study_name"]

FINGERPRINT = "scgraph"
# What may differ between a study and its continuation: where it runs, what is drawn, and the repetitions at the end.
FREE = {
    "train.device",
    "train.compile",
    "train.checkpoint_every",
    "train.num_workers",
    "network",  # its content is part of the identity, not where it lies
    "seeds",
    "components",
    "projection",
    "equivalence_margin",
}
# What settings were called in studies that were begun before they had their name.
RENAMED = {"graph": "network", "bench.graph_undirected": "bench.network_undirected"}


def study_name(job: SearchPlan, model: str) -> str:
    """Return the name of a model's study."""
    return f"{job.study}/{model}"


def open_board(job: SearchPlan, model: str, storage: BaseStorage) -> Board:
    """Begin the study of a model or go on with it; every slot then has a trial.

    Raises:
        ConfigError: the study was begun with another space, direction, data or settings; lists the differences.
    """
    import optuna

    name, config = study_name(job, model), job.tune
    directions = list(DIRECTIONS[config.objective])
    now = fingerprint(job, model)
    if any(known.study_name == name for known in storage.get_all_studies()):  # a look writes nothing
        study = optuna.load_study(study_name=name, storage=storage)
    else:
        study = optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
    trials = study.get_trials(deepcopy=False)  # before the mark: who begins a study at the same time sets it first
    before = study.user_attrs.get(FINGERPRINT)
    if before is None and trials:
        raise ConfigError(
            f"{job.storage['shown']}: {name!r} is a study of something else. Name another one with {argument('study')}."
        )
    if before is None:
        study.set_user_attr(FINGERPRINT, now)
    else:
        _check_same(before, now, f"{job.storage['shown']}: study {name!r}")
    board = Board(storage, name, config.trials, config.attempts, job.first[model])
    board.fill()
    return board


def load_study(job: SearchPlan, model: str, storage: BaseStorage, *, slot: int = 0) -> Study:
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


def sample_params(study: Study, identity: int, space: Space) -> tuple[Any, dict[str, Any]]:
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


def fingerprint(job: SearchPlan, model: str) -> dict[str, str]:
    """Return what decides the trials of a study, as flat text under names a user knows."""
    config = job.tune
    return {
        "model": model,
        "objective": config.objective,
        "directions": ", ".join(DIRECTIONS[config.objective]),
        "seed": str(config.seed),
        "startup_trials": str(config.startup_trials),
        "pruner": ", ".join(f"{key} {value}" for key, value in config.pruner.model_dump().items()),
        **{f"space.{path}": format_distribution(dimension) for path, dimension in job.space(model).items()},
        **{f"bench.{key}": str(value) for key, value in _flat(job.by_model[model]).items() if key not in FREE},
        **job.identity,
    }


def _check_same(before: dict[str, str], now: dict[str, str], what: str) -> None:
    before = {RENAMED.get(key, key): value for key, value in before.items()}
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
            f"Continue with what it was begun with, or name another study with {argument('study')}."
        )


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    by_path = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            by_path.update(_flat(value, f"{prefix}{key}."))
        else:
            by_path[prefix + key] = value
    return by_path


def _pruner(config: TuneConfig, base: BenchConfig) -> BasePruner:
    from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

    settings = config.pruner
    if settings.kind == "none" or len(DIRECTIONS[config.objective]) > 1:
        return NopPruner()
    if settings.kind == "hyperband":
        least = max(1, settings.warmup_epochs)
        return HyperbandPruner(min_resource=least, max_resource=max(least + 1, base.train.epochs))
    return MedianPruner(n_startup_trials=settings.startup_trials, n_warmup_steps=settings.warmup_epochs)
