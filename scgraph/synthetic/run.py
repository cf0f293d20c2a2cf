"""The synthetic example from configuration to output folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from scgraph.display import short_repr
from scgraph.files import prepare_output_folder
from scgraph.synthetic import report, tables
from scgraph.synthetic.config import SyntheticConfig
from scgraph.synthetic.data import Sign, generate, loss_floor
from scgraph.synthetic.models import Layer, Model
from scgraph.synthetic.train import all_settings, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from scgraph.synthetic.train import Curves, Setting

__all__ = ["SyntheticResult", "run_synthetic", "run_variants"]

OWNED = ("*.csv", "table1.md", "variants.md", "figure3*.png", "figure3*.svg", "config.yaml", "environment.json")
REFERENCE = "tf"


@short_repr
class SyntheticResult(NamedTuple):
    """What a run of the synthetic example found.

    Attributes:
        losses: one row a model, setting and seed; see `loss_table`.
        table: Table I, one row a setting (`run_synthetic`), or one row a sign, model and e_p (`run_variants`).
        seconds: wall time of all training.
    """

    losses: pd.DataFrame
    table: pd.DataFrame
    seconds: float


def run_synthetic(
    *,
    out: Path | None = None,
    config: SyntheticConfig | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] | None = None,
    on_epoch: Callable[[str, int, int], None] | None = None,
    command: Sequence[str] | None = None,
) -> SyntheticResult:
    """Reproduce Table I and Figure 3: train the GNN and the Transformer in every setting of a grid.

    Args:
        out: folder for `table1.csv`, `table1.md`, `losses.csv`, `curves.csv`, `figure3a` and `figure3b` (png, svg),
            `config.yaml` and `environment.json`; None writes nothing.
        config: the paper's settings by default.
        overwrite: whether files of an earlier run may be replaced.
        say: gets one line about what goes on.
        on_epoch: called with the model, the finished epochs and all epochs, from the thread of that model.
        command: words for `environment.json`; by default those of this process.

    Raises:
        ConfigError: the configuration names an impossible variant.
        OutputError: the folder cannot be used; told before anything is trained.
        TrainingError: a loss is not a number.
    """
    chosen = config or SyntheticConfig()
    models = {kind: chosen.model(kind) for kind in ("gnn", "tf")}
    folder = _folder(out, overwrite=overwrite)
    curves, settings, seconds = _train_all(chosen, models, say=say, on_epoch=on_epoch)
    losses = loss_table(chosen, settings, curves)
    table = tables.table1(losses)
    if folder is not None:
        report.write_run(folder, chosen, settings, curves, losses, table, seconds=seconds, command=command)
    return SyntheticResult(losses, table, seconds)


def run_variants(
    *,
    out: Path | None = None,
    config: SyntheticConfig | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] | None = None,
    on_epoch: Callable[[str, int, int], None] | None = None,
    command: Sequence[str] | None = None,
) -> SyntheticResult:
    """Train every reading of the paper on the grid: both signs of Eq. 16, every GNN layer, with and without positions.

    The ratio of a variant is its loss over that of the Transformer of Eq. 9 with positions, of the same sign.

    Args:
        out: folder for `variants.csv`, `variants.md`, `losses.csv`, `config.yaml` and `environment.json`.
        config: grid and training; sign and variant are not read.
        overwrite: see `run_synthetic`.
        say: see `run_synthetic`.
        on_epoch: see `run_synthetic`.
        command: see `run_synthetic`.

    Raises:
        OutputError: the folder cannot be used; told before anything is trained.
        TrainingError: a loss is not a number.
    """
    import pandas as pd

    chosen = config or SyntheticConfig()
    folder = _folder(out, overwrite=overwrite)
    parts = []
    seconds = 0.0
    for sign in get_args(Sign):
        signed = chosen.model_copy(update={"sign": sign})
        curves, settings, spent = _train_all(signed, variants(chosen.channels), say=say, on_epoch=on_epoch)
        parts.append(loss_table(signed, settings, curves))
        seconds += spent
    losses = pd.concat(parts, ignore_index=True)
    table = tables.variant_table(losses, reference=REFERENCE)
    if folder is not None:
        report.write_variants(folder, chosen, losses, table, seconds=seconds, command=command)
    return SyntheticResult(losses, table, seconds)


def variants(channels: int = 8) -> dict[str, Model]:
    """Every model that `run_variants` trains, by the name its tables use."""
    tf = Model("tf", channels=channels)
    models = {REFERENCE: tf, "tf, no positions": replace(tf, positions=False)}
    for layer in get_args(Layer):
        gnn = Model("gnn", layer=layer, channels=channels)
        models |= {f"gnn {layer}": gnn, f"gnn {layer}, no positions": replace(gnn, positions=False)}
    models["gnn plain, A of positions"] = Model("gnn", adjacency="position", channels=channels)
    return models


def loss_table(config: SyntheticConfig, settings: Sequence[Setting], curves: Mapping[str, Curves]) -> pd.DataFrame:
    """One row a model, setting and seed.

    Columns: sign, model, e_p, sigma, seed; `best` and `best_epoch`, the smallest test loss over epochs (the paper's
    way); `selected` and `selected_epoch`, the test loss at the epoch with the smallest validation loss; `last`;
    `floor`, the smallest loss any model can reach; and `constant`, the loss of predicting the mean of every token.
    """
    import pandas as pd

    limits = []
    for s in settings:
        samples = generate(config.samples, e_p=s.e_p, sigma=s.sigma, seed=s.seed, sign=config.sign)
        floor = loss_floor(samples.coefficients, e_p=s.e_p, sigma=s.sigma, sign=config.sign)
        limits.append({"floor": floor, "constant": float(samples.values.var(0).mean())})
    rows: list[dict[str, Any]] = []
    for name, curve in curves.items():
        for run, s in enumerate(settings):
            test = curve.test[run]
            best, selected = int(test.argmin()), int(curve.validation[run].argmin())
            rows.append(
                {
                    "sign": config.sign,
                    "model": name,
                    "e_p": s.e_p,
                    "sigma": s.sigma,
                    "seed": s.seed,
                    "best": test[best],
                    "best_epoch": best + 1,
                    "selected": test[selected],
                    "selected_epoch": selected + 1,
                    "last": test[-1],
                    **limits[run],
                }
            )
    return pd.DataFrame(rows)


def _train_all(
    config: SyntheticConfig,
    models: Mapping[str, Model],
    *,
    say: Callable[[str], None] | None,
    on_epoch: Callable[[str, int, int], None] | None,
) -> tuple[dict[str, Curves], list[Setting], float]:
    import time

    settings = all_settings(config)
    if say is not None:
        say(f"Training {', '.join(models)} in {len(settings)} settings at once, sign {config.sign!r}.")

    def one(item: tuple[str, Model]) -> Curves:
        name, model = item
        report_epoch = None if on_epoch is None else lambda done: on_epoch(name, done, config.epochs)
        return train(config, model, settings, on_epoch=report_epoch)

    started = time.perf_counter()
    with _one_thread_an_operation(), ThreadPoolExecutor(2) as pool:
        curves = dict(zip(models, pool.map(one, models.items()), strict=True))
    return curves, settings, time.perf_counter() - started


@contextmanager
def _one_thread_an_operation() -> Iterator[None]:
    # Tensors are too small to be worth splitting: two models side by side use two cores better.
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _folder(out: Path | None, *, overwrite: bool) -> Path | None:
    return None if out is None else prepare_output_folder(out, overwrite=overwrite, owned=OWNED)
