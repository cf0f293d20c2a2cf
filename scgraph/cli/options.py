"""Options that commands share, and what the words of a command line mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scgraph.catalogue import check_name
from scgraph.errors import ConfigError
from scgraph.parsing import DEEPEST, parse_yaml

if TYPE_CHECKING:
    from scgraph.config import BenchConfig

CELLS = "Cells: .h5ad, .zarr, .h5mu (FILE.h5mu/MODALITY), 10x .h5, a folder of Cell Ranger, .mtx or TileDB-SOMA."

Models = Annotated[str, typer.Option(help="Models by name, separated by commas; see `scgraph models`.")]
Layer = Annotated[str | None, typer.Option(help="Layer to read instead of X; raw, or raw/X, reads .raw.")]
ValuesAs = Annotated[
    str | None,
    typer.Option("--values", help="What the values are: counts, linear, log1p, log2, log10 or sqrt.  [default: told]"),
]
ObsValueFilter = Annotated[
    str | None, typer.Option(help="Which cells of TileDB-SOMA to read, as 'tissue == \"blood\"'.")
]
Label = Annotated[str | None, typer.Option(help="Column of obs with the classes.  [default: cell_type]")]
BatchKey = Annotated[str | None, typer.Option(help="Column of obs with donors or batches; splits keep them whole.")]
DropLeaks = Annotated[
    bool, typer.Option("--drop-leaks/--keep-leaks", help="Leave cells of a test part out of the corpus, or keep them.")
]
Config = Annotated[str | None, typer.Option(help="YAML file, or a name that ships with scgraph such as bench/default.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Any setting, as train.epochs=5; may be repeated.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Devices = Annotated[int | None, typer.Option(help="Devices of a machine that share every batch.  [default: 1]")]
Nodes = Annotated[int | None, typer.Option(help="Machines, as srun started them; torchrun needs no word.")]
Strategy = Annotated[str | None, typer.Option(help="auto, ddp or ddp_find_unused_parameters_true.")]
Precision = Annotated[str | None, typer.Option(help="32-true, bf16-mixed, 16-mixed or 64-true.")]
Epochs = Annotated[int | None, typer.Option(help="Passes of pretraining over the cells.")]
Channels = Annotated[int | None, typer.Option(help="Width C of the features.")]
Layers = Annotated[int | None, typer.Option(help="Number of blocks L.")]
Genes = Annotated[int | None, typer.Option(help="Expressed genes sampled a cell, G.")]
Seed = Annotated[int | None, typer.Option(help="Seed of weights, order, samples and masks.")]
Network = Annotated[Path | None, typer.Option(help="Gene network that layers keep to: .tsv, .csv or .graphml.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON; - is standard output.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what stands in the output folder.")]
Model = Annotated[str, typer.Argument(help="Folder of a saved model, or hf://ORG/NAME.")]
License = Annotated[
    str | None, typer.Option("--license", help="Licence for the card of the model, such as mit or cc-by-4.0.")
]
AllowConv = Annotated[list[str] | None, typer.Option(help="A conv of your own that the saved model may use.")]


LISTS_MODELS = ("bench", "profile", "tune")
NAMES_ONE_MODEL = ("drugs", "perturb", "pretrain")
TAKES_FOLDER = ("denoise", "embed", "graph", "probe")


def repeat_lists(words: list[str]) -> list[str]:
    """Let ``--data A B`` stand for ``--data A --data B``."""
    repeated: list[str] = []
    option = ""
    for word in words:
        if word in ("--data", "--corpus", "--transfer"):
            option, first = word, True
            repeated.append(word)
        elif option and not word.startswith("-"):
            repeated += [word] if first else [option, word]
            first = False
        else:
            option = ""
            repeated.append(word)
    return repeated


def other_words(words: list[str]) -> list[str]:
    """Let ``--model`` and ``--models`` both stand where a command knows the other, or takes a folder as an argument."""
    command, rest = next((word for word in words if not word.startswith("-")), ""), list(words)
    for number, word in enumerate(words):
        option, sign, value = word.partition("=")
        if option not in ("--model", "--models"):
            continue
        if command in LISTS_MODELS:
            rest[number] = f"--models{sign}{value}"
        elif command in NAMES_ONE_MODEL:
            rest[number] = f"--model{sign}{value}"
        elif command in TAKES_FOLDER and (sign or number + 1 < len(words)):
            rest[number : number + (1 if sign else 2)] = []
            rest.insert(rest.index(command) + 1, value if sign else words[number + 1])
            break
    return rest


def model_names(text: str) -> list[str]:
    """Return the names of models in a list with commas; a typo is told before torch is imported.

    Raises:
        ConfigError: there is none, one twice, or one that does not exist.
    """
    names = _names("--models", text, "model, for example gnn,tf")
    for name in names:
        check_name(name)
    return names


def use_names(text: str) -> list[str]:
    """Return the names of uses in a list with commas; the word none stands for no use.

    Raises:
        ConfigError: there is none, or one twice.
    """
    return [] if text.strip() == "none" else _names("--uses", text, "use, for example few,shallow, or none")


def _names(option: str, text: str, example: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"{option}: name at least one {example}.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{option}: {', '.join(twice)} is named twice.")
    return names


def assignments(words: list[str] | None) -> dict[str, Any]:
    """Return what ``--set a.b=value`` says as nested data.

    A key that holds dots stands in double quotes.

    Raises:
        ConfigError: a word is no assignment.
    """
    from scgraph.config_files import merged

    written: dict[str, Any] = {}
    for word in words or []:
        path, sign, text = word.partition("=")
        if not sign:
            raise ConfigError(f"--set {word}: write it as key=value, for example train.epochs=5.")
        try:
            value: Any = parse_yaml(text)
        except ValueError as error:
            raise ConfigError(f"--set {_short(word)}: the value cannot be read as YAML: {error}.") from error
        keys = _keys(path)
        if len(keys) > DEEPEST:
            raise ConfigError(f"--set {_short(word)}: the key has {len(keys):,} parts; no setting lies so deep.")
        for key in reversed(keys):
            value = {key: value}
        written = merged(written, value)
    return written


def _short(word: str) -> str:
    return word if len(word) <= 200 else f"{word[:200]}..."


def _keys(path: str) -> list[str]:
    """Return the keys of a dotted path; quotes keep the dots of a key: per_model."my_lab.layers:MyConv".rank."""
    return [quoted or plain for quoted, plain in re.findall(r'(?:^|\.)(?:"([^"]*)"|([^.]*))', path)]


def bench_settings(
    name: str | None, words: list[str] | None, *, model: dict[str, Any], train: dict[str, Any], **top: Any
) -> BenchConfig:
    """Return the settings of a configuration, ``--set`` and options that were given, the later over the earlier.

    Raises:
        ConfigError: an unknown configuration or key, or an impossible value.
    """
    from scgraph.config import BenchConfig
    from scgraph.config_files import as_bench_config, laid_over, parse_config

    def present(values: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if value is not None}

    given = {**present(top), "model": present(model), "train": present(train)}
    written = assignments(words)
    base = as_bench_config(name or {}).model_dump()
    if any("epochs" in train for train in (given["train"], written.get("train")) if isinstance(train, dict)):
        base["max_steps"] = None  # epochs that are asked for by hand are not cut
    return parse_config(BenchConfig, laid_over(base, written, given, source="options"), source="options")
