"""A saved model: a folder of model.safetensors, config.json and vocabulary.tsv, and a card for people.

config.json and vocabulary.tsv are written first and never change; only the weights are replaced, in one
rename. So a kill at any moment leaves a folder whose last saved weights still load.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from scgraph._version import __version__
from scgraph.config import ModelConfig, TrainConfig
from scgraph.config_files import parse_config
from scgraph.data import Vocabulary
from scgraph.display import short_repr
from scgraph.errors import ConfigError, ModelFileError, OutputError, argument, flag
from scgraph.files import json_text, write_atomic
from scgraph.models.build import build_model
from scgraph.models.card import UNKNOWN_LICENSE, license_of, model_card, write_card
from scgraph.models.hub import MODEL_FILES, local_folder
from scgraph.models.network import saved_parts
from scgraph.models.tensors import read_tensors, refuse_foreign, write_tensors
from scgraph.nn.conv.registry import conv_names
from scgraph.parsing import parse_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import torch

    from scgraph.nn import CellModel

__all__ = [
    "FORMAT",
    "MODEL_FILES",
    "SavedModel",
    "current_versions",
    "load_model",
    "model_sha256",
    "read_description",
    "save_model",
]

FORMAT = 1
WEIGHTS, CONFIG, VOCABULARY = MODEL_FILES
_KEYS = {"format", "model", "vocabulary", "versions", "metadata"}


@short_repr
@dataclass(frozen=True)
class SavedModel:
    """A model read from its folder.

    Attributes:
        model: the network in evaluation mode.
        vocabulary: its genes; gene i of the vocabulary has the id i + 1.
        model_config: what it was built from.
        metadata: what was recorded when training began: data manifest, seed, training configuration.
        progress: what was recorded with these weights: epoch, step, losses.
        versions: the versions that wrote config.json.
    """

    model: CellModel
    vocabulary: Vocabulary
    model_config: ModelConfig
    metadata: dict[str, Any]
    progress: dict[str, Any]
    versions: dict[str, str]

    def training(self) -> TrainConfig:
        """Return the training settings that it was saved with.

        Raises:
            ConfigError: they are none that this scgraph knows.
        """
        return parse_config(TrainConfig, self.metadata["training"], source="config.json of the model, training")


def save_model(
    folder: str | Path,
    model: CellModel,
    vocabulary: Vocabulary,
    model_config: ModelConfig,
    *,
    metadata: Mapping[str, Any],
    progress: Mapping[str, Any] | None = None,
    license: str | None = None,
) -> None:
    """Save a model, or newer weights of the model that the folder holds already.

    Args:
        folder: created where missing.
        model: the network whose weights are saved, from any device.
        vocabulary: its genes.
        model_config: what rebuilds it.
        metadata: JSON values that stay as they are for all weights saved here (data manifest, seed, ...).
        progress: JSON values that belong to these weights (epoch, losses, ...).
        license: name of the licence for the card; None keeps what the card says, at first ``unknown``.

    Raises:
        OutputError: the folder holds another model, or cannot be written.
    """
    folder = Path(folder)
    write_description(folder, vocabulary, model_config, metadata=metadata)
    header = {"model": _identity(model_config.model_dump(mode="json"), vocabulary), "progress": dict(progress or {})}
    write_tensors(folder / WEIGHTS, model.state_dict(), header)
    card = model_card(
        model,
        vocabulary,
        model_config,
        metadata=metadata,
        progress=progress or {},
        versions=current_versions(),
        license=license or license_of(folder) or UNKNOWN_LICENSE,
    )
    write_card(folder, card)


def write_description(
    folder: Path, vocabulary: Vocabulary, model_config: ModelConfig, *, metadata: Mapping[str, Any]
) -> None:
    """Write vocabulary.tsv and config.json, or check that those of the folder describe the same model.

    Raises:
        OutputError: the folder holds another model, or cannot be written.
    """
    config = {
        "format": FORMAT,
        "model": model_config.model_dump(mode="json"),
        "vocabulary": {"genes": len(vocabulary), "sha256": vocabulary.sha256},
        "versions": current_versions(),
        "metadata": dict(metadata),
    }
    config = json.loads(json_text(config))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created ({error.strerror}).") from error
    path = folder / CONFIG
    if path.exists():
        try:
            old = parse_json(path.read_text())
        except ValueError:
            old = None
        # The versions are of the day the model was begun; a model may be trained on with newer ones.
        differing = [key for key in config if key != "versions" and (old is None or old.get(key) != config[key])]
        if differing:
            raise OutputError(
                f"{folder}: holds another model already ({', '.join(differing)} in {CONFIG} differ). "
                "Save to another folder or remove this one."
            )
        return
    if (folder / WEIGHTS).exists():
        raise OutputError(f"{folder}: holds weights of another model already. Save to another folder.")
    write_atomic(folder / VOCABULARY, vocabulary.to_tsv())
    write_atomic(path, json_text(config))


def load_model(
    folder: str | Path, *, device: str | torch.device = "cpu", allow_conv: Collection[str] = ()
) -> SavedModel:
    """Load a model that `save_model` wrote.

    Nothing that the folder says is ever imported, run or opened: the three files have fixed names, none is
    a pickle, and a convolution is built only where it is registered, here or by an installed package, or stands
    in `allow_conv`.

    Args:
        folder: the folder of the model, or ``hf://org/name`` as `scgraph push` names it, ``@revision`` behind it.
        device: where the weights go.
        allow_conv: convolutions that this model may use though they are not registered, as the model names them:
            ``package.module:Class`` of your own, or ``torch_geometric.nn.SAGEConv``.

    Raises:
        ConfigError: a name is none, or what fetches models by name is not installed.
        ModelFileError: a file is missing, damaged, foreign, of a newer version, or the three do not belong
            together; the message names the file and the tensor or key.
    """
    folder = local_folder(folder)
    _check_folder(folder)
    config = read_description(folder)
    model_config = _model_config(folder, config["model"], allow_conv)
    vocabulary = _read_vocabulary(folder, config["vocabulary"])
    tensors, header = read_tensors(folder / WEIGHTS)
    if header.get("model") != _identity(config["model"], vocabulary):
        raise ModelFileError(
            f"{folder / WEIGHTS}: belongs to another {CONFIG} or {VOCABULARY} than those beside it. "
            "Copy the three files of one model."
        )
    model = _build(folder, model_config, vocabulary, tensors)
    return SavedModel(
        model=model.to(device).eval(),
        vocabulary=vocabulary,
        model_config=model_config,
        metadata=config["metadata"],
        progress=header.get("progress", {}),
        versions=config["versions"],
    )


def model_sha256(folder: Path) -> str:
    """Return the checksum of the files of a model."""
    whole = hashlib.sha256()
    for name in MODEL_FILES:
        with (folder.expanduser() / name).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _check_folder(folder: Path) -> None:
    if folder.is_file():
        refuse_foreign(folder)
        raise ModelFileError(f"{folder}: is a file; give the folder that holds {', '.join(MODEL_FILES)}.")
    if not folder.is_dir():
        raise ModelFileError(f"{folder}: there is no such folder. Give the folder that a model was saved to.")
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    if missing == [WEIGHTS] and (folder / "state").is_dir():
        raise ModelFileError(
            f"{folder}: training was stopped before its first epoch ended, so there are no weights yet. "
            f"Go on with {flag('resume')}."
        )
    if missing:
        for found in sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt")) + sorted(folder.glob("*.ckpt")):
            refuse_foreign(found)
        raise ModelFileError(
            f"{folder}: is no saved model, {', '.join(missing)} missing. A model folder holds {', '.join(MODEL_FILES)}."
        )


def read_description(folder: Path) -> dict[str, Any]:
    """Return what config.json of a model folder holds.

    Raises:
        ModelFileError: it is missing, damaged, foreign, or of a newer format.
    """
    path = folder / CONFIG
    refuse_foreign(path)
    try:
        config = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFileError(f"{path}: is not valid JSON ({error}). Copy it again.") from error
    version = config.get("format") if isinstance(config, dict) else None
    if not isinstance(version, int):
        raise ModelFileError(f"{path}: was not written by scgraph, it has no format number.")
    if version > FORMAT:
        writer = config.get("versions", {}).get("scgraph", "a newer version")
        raise ModelFileError(
            f"{path}: has format {version}, written by scgraph {writer}; this scgraph reads up to format "
            f"{FORMAT}. Upgrade scgraph (pip install --upgrade scgraph-zoo)."
        )
    wrong = sorted(_KEYS.symmetric_difference(config))
    if wrong or not all(isinstance(config[key], dict) for key in _KEYS - {"format"}):
        named = ", ".join(wrong) or "a value of the wrong type"
        raise ModelFileError(f"{path}: missing or unknown keys: {named}. Copy it again from the saved model.")
    return dict(config)


def _model_config(folder: Path, values: dict[str, Any], allow_conv: Collection[str]) -> ModelConfig:
    path = folder / CONFIG
    for conv in [values.get("conv"), *([values["decoder"]] if "decoder" in values else [])]:
        if not isinstance(conv, str) or conv not in {*allow_conv, *conv_names()}:
            raise ModelFileError(
                f"{path}: asks for the convolution {conv!r}, which is not registered here. scgraph never imports "
                "what a file names: import or register it yourself, or allow it by name, "
                f"{argument('allow_conv', [conv])}."
            )
    others = {key: value for key, value in values.items() if key not in ("conv", "decoder")}
    for key, value in _texts("model", others):
        if any(sign in value for sign in ("/", "\\", "..", "~", ":")):
            raise ModelFileError(f"{path}: {key} is {value!r}; a model is never built from paths, so it is refused.")
    try:
        return ModelConfig(**values)
    except (ValidationError, ConfigError, TypeError) as error:
        raise ModelFileError(f"{path}: does not describe a model this scgraph knows: {_first_line(error)}") from error


def _texts(key: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(key, value)]
    if isinstance(value, dict):
        inner = [found for name, item in value.items() for found in _texts(f"{key}.{name}", item)]
        return [*inner, *((key, str(name)) for name in value)]
    if isinstance(value, list):
        return [found for item in value for found in _texts(key, item)]
    return []


def _read_vocabulary(folder: Path, described: dict[str, Any]) -> Vocabulary:
    path = folder / VOCABULARY
    refuse_foreign(path)
    try:
        vocabulary = Vocabulary.from_tsv(path.read_text(encoding="utf-8"))
    except (ModelFileError, ValueError) as error:
        raise ModelFileError(f"{path}: is damaged: {error}") from error
    if vocabulary.sha256 != described.get("sha256"):
        raise ModelFileError(
            f"{path}: is not the vocabulary this model was trained with (sha256 {vocabulary.sha256[:12]}..., "
            f"{CONFIG} says {str(described.get('sha256'))[:12]}...). Copy the three files of one model."
        )
    return vocabulary


def _build(
    folder: Path, model_config: ModelConfig, vocabulary: Vocabulary, tensors: Mapping[str, torch.Tensor]
) -> CellModel:
    import torch

    path = folder / WEIGHTS
    # On the meta device first: a config of absurd sizes is refused by the shapes before it takes any memory.
    layers = sum(blocks for _, blocks, _ in model_config.stacks())
    if layers > len(tensors):
        raise ModelFileError(f"{path}: holds fewer tensors than the {layers:,} layers of {CONFIG}.")
    try:
        arguments = model_config.model_kwargs() | saved_parts(model_config, tensors)
        with torch.device("meta"):
            expected = build_model(len(vocabulary), **arguments).state_dict()
    except ConfigError as error:
        raise ModelFileError(f"{path}: does not fit {CONFIG}: {error}. Copy the three files of one model.") from error
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is unknown" for name in tensors if name not in expected]
    for name, tensor in tensors.items():
        if name in expected and tensor.shape != expected[name].shape:
            problems.append(f"{name} is {list(tensor.shape)} and should be {list(expected[name].shape)}")
        elif tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            problems.append(f"{name} holds NaN or Inf")
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ModelFileError(
            f"{path}: does not fit {CONFIG}: {'; '.join(problems[:3])}{more}. Copy the three files of one model."
        )
    with torch.random.fork_rng(devices=[]):
        model = build_model(len(vocabulary), **arguments)
    model.load_state_dict(dict(tensors), strict=True)
    return model


def _identity(description: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """What the weights belong to: the model as it was described, whatever settings later versions add to it."""
    import hashlib

    text = json.dumps(description, sort_keys=True)
    return {"config": hashlib.sha256(text.encode()).hexdigest(), "vocabulary": vocabulary.sha256}


def current_versions() -> dict[str, str]:
    """Return the versions of this process that a saved model names."""
    from importlib.metadata import version

    return {
        "scgraph": __version__,
        "torch": version("torch"),
        "torch_geometric": version("torch_geometric"),
        "python": platform.python_version(),
    }


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors()[0]
        return f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}."
    return str(error).splitlines()[0]
