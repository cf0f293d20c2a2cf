"""How good frozen features are, step by step from the paper's recipe to ours, each step a bench of its own.

Usage: python -m benchmarks.ablation.run --data A.h5ad --corpus ATLAS.h5ad --out FOLDER
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from benchmarks.harness.folder import kept_rows, resumable_folder
from benchmarks.harness.options import FEW_BASELINES, Corpus, Out
from benchmarks.harness.script import command_line, entry_point, origin
from benchmarks.harness.text import as_rows, markdown_table, number
from scgraph.bench.measure import measure
from scgraph.bench.plan import plan_bench
from scgraph.bench.results import results_csv, results_frame, summarise
from scgraph.cli.options import BatchKey, DropLeaks, Label, Layer, Overwrite, Set, bench_settings
from scgraph.cli.terminal import say, show
from scgraph.data.sets.corpus import read_corpus
from scgraph.data.sets.labelled import read_probe_sets
from scgraph.errors import ConfigError
from scgraph.files import json_text, write_atomic
from scgraph.models.settings import settings_by_model

if TYPE_CHECKING:
    import pandas as pd

    from scgraph.config import BenchConfig

BASE = "bench/paper"
STEPS = Path(__file__).with_name("steps.yaml")
OWNED = ("results.csv", "ablation.md", "steps.json", "config.yaml", "environment.json")

app = command_line()


@app.command()
def ablation(
    data: Annotated[list[str], typer.Option(help="Labelled set to probe.")],
    out: Out,
    corpus: Corpus = None,
    model: Annotated[str, typer.Option(help="The model.")] = "gnn",
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions: split, pretraining and probe.")] = 3,
    steps: Annotated[Path, typer.Option(help="The steps, as benchmarks/ablation/steps.yaml.")] = STEPS,
    set_: Set = None,
    label: Label = None,
    layer: Layer = None,
    batch_key: BatchKey = None,
    drop_leaks: DropLeaks = True,
    overwrite: Overwrite = False,
) -> None:
    """Measure every step; the same command goes on after an interruption."""
    listed = read_steps(steps)
    plans = []
    for name, words in listed:
        assigned = [FEW_BASELINES, *words, *(set_ or [])]
        plans.append((name, words, bench_settings(BASE, assigned, model={}, train={}, seeds=seeds)))
    configs = {name: settings_by_model([model], settings) for name, _, settings in plans}
    sets = read_probe_sets(data, layer=layer, label=label, batch_key=batch_key)
    sources = read_corpus(corpus or [], layer=layer)
    request = {
        "data": data,
        "corpus": corpus or [],
        "model": model,
        "drop_leaks": drop_leaks,
        "steps": {name: settings.model_dump(mode="json") for name, _, settings in plans},
    }
    results = resumable_folder("ablation", out, request, overwrite=overwrite, owned=OWNED)
    folder, path = results.folder, results.folder / "steps.json"
    done: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    rows = kept_rows(folder, "step", list(done))
    options = ["--models", model, "--data", *data, *(["--corpus", *corpus] if corpus else [])]
    options += [] if drop_leaks else ["--keep-leaks"]
    for name, words, settings in plans:
        if name in done:
            continue
        start = time.perf_counter()
        frame = measured_step(name, configs[name], sets, sources, settings, drop_leaks=drop_leaks)
        rows += as_rows(frame)
        write_atomic(folder / "results.csv", results_csv(_frame(rows)))
        command = ["scgraph", "bench", "--config", BASE, *options, "--seeds", str(seeds)]
        done[name] = {
            "command": " ".join([*command, *(f"--set {word}" for word in [*words, *(set_ or [])])]),
            "seconds": round(time.perf_counter() - start, 1),
            "git": origin("ablation")["git"],
        }
        write_atomic(path, json_text(done))
    page = ablation_markdown(_frame(rows), done, model=model)
    show(results.finish(page, "ablation", seconds=round(sum(entry["seconds"] for entry in done.values()), 1)))


def read_steps(path: Path) -> list[tuple[str, list[str]]]:
    """Return the name of each step and all assignments that hold at it, the later over the earlier.

    Raises:
        ConfigError: the file cannot be read or is no list of steps.
    """
    try:
        steps = yaml.safe_load(path.read_text(encoding="utf-8"))
        held: dict[str, Any] = {}
        found = []
        for step in steps:
            held = {key: value for key, value in held.items() if key not in step["set"]} | step["set"]
            words = [f"{key}={json.dumps(value) if value is None else value}" for key, value in held.items()]
            found.append((str(step["step"]), words))
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: is no list of steps like benchmarks/ablation/steps.yaml ({error}).") from error
    if not found or len({name for name, _ in found}) < len(found):
        raise ConfigError(f"{path}: needs one step or more, each with a name of its own.")
    return found


def measured_step(
    name: str, configs: Any, sets: Any, sources: Any, settings: BenchConfig, *, drop_leaks: bool
) -> pd.DataFrame:
    """Run the protocol of the bench at one step."""
    plan = plan_bench(configs, sets, sources, settings, drop_leaks=drop_leaks)
    found = measure(plan, say=lambda text: say(f"{name}: {text}"))
    frame = results_frame(found.rows)
    frame.insert(0, "step", name)
    return frame


def ablation_markdown(results: pd.DataFrame, steps: dict[str, Any], *, model: str) -> str:
    """Return the table of the steps, the baseline below it, and the command of every row."""
    lines = []
    baseline: Any = {}
    for name, group in results.groupby("step", sort=False):
        summary = summarise(group.drop(columns="step")).set_index("model")
        baseline = summary.loc["pca+logreg"]
        trained: Any = summary.loc[model]
        blank: Any = summary.loc[f"{model} untrained"]
        lines.append(
            [str(name), _score(trained, "macro_f1"), _score(trained, "accuracy"), _score(blank, "macro_f1"),
             number(trained["validation_mvp_loss"]), number(trained["seconds_pretrain"], ".0f")]
        )  # fmt: skip
    lines.append(["pca+logreg", _score(baseline, "macro_f1"), _score(baseline, "accuracy"), "-", "-", "-"])
    header = ["step", "macro-F1", "accuracy", "macro-F1 untrained", "MVP loss", "pretraining s"]
    commands = [f"{place}. {name}: `{entry['command']}`" for place, (name, entry) in enumerate(steps.items(), 1)]
    return "\n".join([markdown_table(header, lines), *commands]) + "\n"


def _score(row: Any, metric: str) -> str:
    return f"{number(row[f'{metric}_mean'])} ± {number(row[f'{metric}_sd'])}"


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)


main = entry_point(app, "ablation")

if __name__ == "__main__":
    main()
