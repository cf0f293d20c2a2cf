"""Where a training is followed: Lightning's own loggers by name, where each writes, and how a run goes on in it."""

from __future__ import annotations

import importlib
import json
import logging
import os
import secrets
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scgraph.errors import ConfigError, did_you_mean, flag
from scgraph.files import json_text, write_atomic
from scgraph.reporting.redact import without_passwords

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lightning.pytorch.loggers import Logger

__all__ = ["LOGGERS", "OWNED", "check_loggers", "close_loggers", "is_begun", "logs_folder", "make_loggers", "places"]

LOGGERS = ("tensorboard", "wandb", "mlflow")
"""The names: of the logger, of its package, and of the extra that brings it."""
PROJECT = "scgraph"
"""Project of Weights & Biases, experiment of MLflow, where the environment names no other."""
RUNS = "runs.json"
"""File of the names that a run has in the loggers, by which it goes on in them."""
OWNED = (*LOGGERS, RUNS)


def check_loggers(log: str | Sequence[str], out: str | Path | None) -> tuple[str, ...]:
    """Return the names of loggers, checked; their packages are imported, so that what is missing is told at once.

    Args:
        log: a name, names with commas between, or a list of them.
        out: folder of the run.

    Raises:
        ConfigError: an unknown name, one that stands twice, a package that cannot be imported, or no folder.
    """
    words = log.split(",") if isinstance(log, str) else log
    names = [word.strip() for word in words if word.strip()]
    for name in names:
        if name not in LOGGERS:
            raise ConfigError(f"log: there is no logger {name!r}.{did_you_mean(name, LOGGERS)}")
        if names.count(name) > 1:
            raise ConfigError(f"log: {name} is named twice.")
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"log: {name} needs a package that cannot be imported ({error}). "
                f'Install it: pip install "scgraph-zoo[{name}]"'
            ) from error
    if names and out is None:
        raise ConfigError("log: logs go beside the folder of the model; name one as out.")
    return tuple(names)


def logs_folder(out: Path) -> Path:
    """Return where the loggers of a run write: beside the folder of its model, which holds the model alone."""
    return out.with_name(f"{out.name}-logs")


def places(names: Sequence[str], out: Path) -> list[str]:
    """Say where each logger writes, and what shows it."""
    folder = logs_folder(out)
    notes = []
    for name in names:
        where, how = str(folder / name), f"tensorboard --logdir {folder / name}"
        if name == "mlflow":
            where = without_passwords(_tracking_uri(folder), whole=True)
            how = f"mlflow ui --backend-store-uri {where}"
        if name == "wandb":
            where += f", project {_project()}"
            how = "wandb sync, where the run is offline"
        notes.append(f"log: {name} in {where} ({how})")
    return notes


def is_begun(name: str, out: Path) -> bool:
    """Tell whether a run has been in a logger already."""
    if name == "tensorboard":
        return any((logs_folder(out) / name).glob("events.out.tfevents.*"))
    return name in _runs(out)


def make_loggers(names: Sequence[str], out: Path, *, step: int) -> list[Logger]:
    """Make the loggers of a run and open them; one that the run has been in goes on.

    Args:
        names: as `check_loggers` returned them.
        out: folder of the run.
        step: optimizer steps that are done; what TensorBoard got of later ones is taken back.

    Raises:
        ConfigError: one cannot be opened, as without a log-in or a connection.
    """
    folder = logs_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    makers = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
    loggers: list[Logger] = []
    for name in names:
        try:
            with _quiet():
                loggers.append(makers[name](folder, out, step))
        except Exception as error:
            for opened in loggers:
                opened.finalize("failed")
            what = " ".join(without_passwords(str(error)).split())
            raise ConfigError(
                f"log: {name} cannot be opened ({type(error).__name__}: {what}). Mend that, or train without it and "
                f"go on with {flag('resume')}."
            ) from error
    return loggers


def close_loggers(loggers: Sequence[Logger], out: Path, *, failed: bool) -> None:
    """End what Lightning leaves open: the next training of this process would go into the same run."""
    number = _runs(out).get("wandb")
    for logger in loggers:
        if number is not None and type(logger).__name__ == "WandbLogger" and logger.version == number:
            logger.experiment.finish(exit_code=int(failed))  # type: ignore[attr-defined]


def _tensorboard(folder: Path, out: Path, step: int) -> Logger:
    from lightning.pytorch.loggers import TensorBoardLogger

    goes_on: dict[str, Any] = {"purge_step": step + 1} if is_begun("tensorboard", out) else {}
    logger = TensorBoardLogger(folder, name="tensorboard", version="", **goes_on)
    _ = logger.experiment
    return logger


def _wandb(folder: Path, out: Path, step: int) -> Logger:
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    if wandb.run is not None:  # of the script that calls: it is told, and stays open
        return WandbLogger(experiment=wandb.run, project=wandb.run.project)
    number = _runs(out).get("wandb") or secrets.token_hex(4)
    logger = WandbLogger(name=out.name, save_dir=folder, project=_project(), id=number)
    _ = logger.experiment
    _remember(out, "wandb", number)
    return logger


def _mlflow(folder: Path, out: Path, step: int) -> Logger:
    from lightning.pytorch.loggers import MLFlowLogger

    uri, local = _tracking_uri(folder), folder / "mlflow"
    if uri == _database(folder):
        local.mkdir(exist_ok=True)
    logger = MLFlowLogger(
        experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT,
        run_name=out.name,
        tracking_uri=uri,
        artifact_location=(local / "artifacts").as_uri() if uri == _database(folder) else None,
        run_id=_runs(out).get("mlflow"),
    )
    _remember(out, "mlflow", str(logger.run_id))
    return logger


def _project() -> str:
    return os.environ.get("WANDB_PROJECT") or PROJECT


def _tracking_uri(folder: Path) -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or _database(folder)


def _database(folder: Path) -> str:
    return f"sqlite:///{(folder / 'mlflow' / 'mlflow.db').absolute().as_posix()}"


def _runs(out: Path) -> dict[str, str]:
    try:
        found = json.loads((logs_folder(out) / RUNS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _remember(out: Path, name: str, number: str) -> None:
    known = _runs(out)
    if known.get(name) != number:
        write_atomic(logs_folder(out) / RUNS, json_text({**known, name: number}))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what Lightning says of an experiment that is new, and what packages tell their developers."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch.loggers", "mlflow")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
