"""A whole search: check, begin or go on, run the trials, write what was found, compare the best."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.bench import run_bench
from scgraph.config_files import load_yaml, yaml_text
from scgraph.data.sets.corpus import read_gene_network
from scgraph.display import short_repr
from scgraph.errors import ConfigError, ScgraphError, TrainingError, argument, flag
from scgraph.files import prepare_output_folder, write_atomic
from scgraph.system.locks import FileGuard
from scgraph.train.neighbors import integration_note
from scgraph.tune.objective import data_identity, parts_of, read_data
from scgraph.tune.plan import plan_search
from scgraph.tune.results import best_settings, format_values
from scgraph.tune.space import format_distribution
from scgraph.tune.storage import open_storage, place_of
from scgraph.tune.study import open_board
from scgraph.tune.supervisor import Supervisor
from scgraph.tune.writing import write_study

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from scgraph.bench import BenchResult
    from scgraph.tune.config import TuneConfig
    from scgraph.tune.plan import SearchPlan
    from scgraph.tune.results import BestTrial

__all__ = ["OWNED", "TuneResult", "run_tune"]

OWNED = (
    "journal.log*",
    "trials.csv",
    "study.html",
    "best*.yaml",
    "config.yaml",
    "environment.json",
    "workers",
    "bench",
    "bench.guard",
)
"""What a search writes into its folder, and what `overwrite` may remove."""


@short_repr
@dataclass(frozen=True)
class TuneResult:
    """What a search found.

    Attributes:
        trials: one row a trial, of all models.
        best: by model, the finished trials that no other beats: one, or those of the Pareto front.
        bench: the comparison of the best settings on the test part; None where it was left out or done before.
        bench_margin: largest difference that counts as equal there.
        folder: where it was written.
    """

    trials: pd.DataFrame
    best: dict[str, tuple[BestTrial, ...]]
    bench: BenchResult | None
    bench_margin: float
    folder: Path


def run_tune(
    models: Sequence[str],
    data: Sequence[str | Path],
    *,
    out: str | Path,
    corpus: Sequence[str | Path] = (),
    config: TuneConfig | str | Path | dict[str, Any] = "tune/default",
    storage: str | Path | None = None,
    study: str = "tune",
    workers: int = 1,
    label: str | None = None,
    layer: str | None = None,
    values: str | None = None,
    batch_key: str | None = None,
    drop_leaks: bool = True,
    final: bool = True,
    report: bool = True,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    objective: str = "scgraph.tune.objective:Objective",
    options: dict[str, Any] | None = None,
) -> TuneResult:
    """Search the best settings of models, with the same number of trials for each.

    Trials learn from the train part of every set and are measured on its validation part. The test part is cut off
    before the first trial begins. At the end the best setting of each model is run over all seeds and scored on the
    test part, as in `scgraph.bench`, once.

    The same call goes on with a search that was interrupted, also from several machines at once where they share a
    database.

    Args:
        models: registered names, or ``package.module:Class``.
        data: labelled sets: files, or ``"pbmc68k_reduced"``. The mean over them decides.
        out: folder for the results, and for the journal where `storage` names no other place.
        corpus: files to pretrain on; none: the train part of each set.
        config: a `TuneConfig`, plain data, a YAML file or a name that ships with scgraph; what data or a file leave
            out comes from ``tune/default``.
        storage: a file for a journal, ``sqlite:///FILE`` or ``postgresql://USER@HOST/DATABASE``.
        study: name in the storage; each model has the study ``<study>/<model>``.
        workers: processes on this machine.
        label: column of obs with the classes; ``"cell_type"`` by default.
        layer: layer to read instead of X; ``"raw"`` reads `.raw`.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        batch_key: column of obs with donors or batches, which splits keep whole.
        drop_leaks: leave corpus cells out that stand in a test part; otherwise they are kept.
        final: compare the best settings at the end.
        report: draw and write `study.html`.
        overwrite: begin anew in `out`; a database is never cleared.
        say: told what happens.
        objective: ``module:name`` of what measures a trial, for tests of the machinery.
        options: plain data for it.

    Raises:
        ConfigError: an unknown model or setting, or the search was begun with something else.
        DataError: a file cannot be used as it is.
        OutputError: the folder or the storage cannot be used.
        TrainingError: every trial failed; the message gives the reasons.
        KeyboardInterrupt: Ctrl-C; finished trials are kept and the same call goes on.
    """
    job = plan_search(
        models,
        data,
        config=config,
        workers=workers,
        corpus=corpus,
        study=study,
        label=label,
        layer=layer,
        values=values,
        batch_key=batch_key,
        drop_leaks=drop_leaks,
        objective=objective,
        options=options or {},
    )
    folder = Path(out).expanduser().absolute()
    place = place_of(storage, folder)
    if overwrite and place.kind != "journal":
        raise ConfigError(
            f"{flag('overwrite')} clears a folder, never a database: name another study with {argument('study')}."
        )
    graph = read_gene_network(job.bench)
    sets, sources = read_data(job)
    for probe in sets:  # what cannot be divided or matched is refused before there is a folder
        parts = parts_of(probe, sources, job.bench, seed=job.tune.seed, drop_leaks=job.drop_leaks)
        notes = probe.cells.notes if graph is None else (*probe.cells.notes, *graph.on(parts.train.vocabulary).notes)
        trainings = [job.settings(model).train for model in job.models]
        named = probe.cells.batches is not None
        noted = integration_note(trainings, parts.train, batches_named=named, corpus=bool(sources.names))
        for note in (*notes, parts.how, *filter(None, [noted])):
            say(f"{probe.cells.name}: {note}")
    if note := job.bench.probe.without_effect():
        say(f"bench.{note}")
    identity = data_identity(sets, sources, graph)
    if not drop_leaks:
        identity["leaks"] = "kept"
    job = replace(job, storage=asdict(place), identity=identity)
    del sets, sources
    for model in job.models:
        say(f"{model}: searching {_format_space(job, model)}")
    goes_on = (folder / "config.yaml").is_file() or place.stands_in(folder)
    new = not folder.exists()
    prepare_output_folder(folder, overwrite=overwrite, resume=goes_on and not overwrite, owned=OWNED)
    with _no_empty_folder(folder, new=new), open_storage(place, patience=job.tune.patience_seconds, say=say) as opened:
        boards = {model: open_board(job, model, opened) for model in job.models}
        _write_settings(folder, job)
        finished = sum(len(board.finished()) for board in boards.values())
        total = sum(board.slots for board in boards.values())
        if finished:
            say(f"{finished} of {total} trials are finished already.")
        counter = _Counter(job, say, finished, total)
        try:
            Supervisor(job, boards, workers, folder / "workers", say, counter.count).run()
        except KeyboardInterrupt:
            say(f"{counter.done} of {total} trials are finished and kept; the same command goes on.")
            raise
        results = write_study(folder, job, boards, report=report)
    _refuse_all_failed(results.trials, job, say)
    bench = None
    if final:
        with FileGuard(folder / "bench.guard").held():  # of two commands in one folder one compares
            bench = _final(folder, job, results.best, say)
    return TuneResult(results.trials, results.best, bench, job.bench.equivalence_margin, folder)


@contextmanager
def _no_empty_folder(folder: Path, *, new: bool) -> Iterator[None]:
    """Leave no empty folder behind where a storage could not be opened."""
    try:
        yield
    except ScgraphError:
        if new:
            with suppress(OSError):  # it holds something
                folder.rmdir()
        raise


@dataclass
class _Counter:
    """Counts finished trials and says each in a line."""

    job: SearchPlan
    say: Callable[[str], None]
    done: int
    total: int

    def count(self, model: str, trial: Any) -> None:
        """Count a trial that ended, and say how."""
        self.done += 1
        attributes = trial.user_attrs
        how = {
            "COMPLETE": lambda: format_values(self.job.tune.objective, trial.values),
            "PRUNED": lambda: f"given up after {attributes.get('epochs', 'some')} epochs",
        }.get(trial.state.name, lambda: f"failed: {attributes.get('reason', 'no reason was kept')}")()
        self.say(f"[{self.done}/{self.total}] {model}, trial {trial.number}: {how}")


def _format_space(job: SearchPlan, model: str) -> str:
    return "; ".join(f"{path} ({format_distribution(dimension)})" for path, dimension in job.space(model).items())


def _write_settings(folder: Path, job: SearchPlan) -> None:
    write_atomic(folder / "config.yaml", yaml_text(job.tune))


def _refuse_all_failed(trials: pd.DataFrame, job: SearchPlan, say: Callable[[str], None]) -> None:
    counted = trials[~trials["lost"]]
    texts = []
    for model in job.models:
        own = counted[counted["model"] == model]
        if (own["state"] == "complete").any():
            continue
        reasons = own.loc[own["state"] == "failed", "reason"].fillna("no reason was kept").value_counts()
        shown = [f"{reason} ({count} times)" for reason, count in reasons.head(3).items()]
        pruned = int((own["state"] == "pruned").sum())
        shown += [f"{pruned} were given up early"] if pruned else []
        texts.append(f"None of the {len(own)} trials of {model} was completed: {'; '.join(shown)}.")
    if len(texts) == len(job.models):
        raise TrainingError(f"{' '.join(texts)} Mend what the reasons name, or search another space in a new study.")
    for text in texts:
        say(f"{text} It is left out of the comparison.")


def _final(
    folder: Path, job: SearchPlan, best: dict[str, tuple[BestTrial, ...]], say: Callable[[str], None]
) -> BenchResult | None:
    """Compare the best settings on the test part, unless that was done before."""
    import yaml

    settings = best_settings(job, best)
    target = folder / "bench"
    written = target / "config.yaml"
    same = written.is_file() and load_yaml(written) == yaml.safe_load(yaml.safe_dump(settings.model_dump(mode="json")))
    if same and (target / "report.html").is_file():
        say(f"The best settings were compared already: {target / 'report.html'}")
        return None
    say("comparing the best settings on the test part")
    return run_bench(
        [model for model in job.models if best.get(model)],
        job.data,
        corpus=job.corpus,
        config=settings,
        out=target,
        label=job.label,
        layer=job.layer,
        values=job.values,
        batch_key=job.batch_key,
        drop_leaks=job.drop_leaks,
        overwrite=True,
        say=say,
    )
