"""From a folder to a name that others can use: models and classifiers pushed to Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.annotate.card import classifier_card
from scgraph.annotate.saved import is_classifier, load_classifier
from scgraph.errors import ConfigError
from scgraph.files import json_text
from scgraph.models import load_model
from scgraph.models.card import (
    ADDRESS,
    CARD,
    UNKNOWN_LICENSE,
    check_license,
    model_card,
    name_of,
    with_license,
)
from scgraph.models.hub import CLASSIFIER_FILES, MODEL_FILES, check_repository, is_address, send

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["push"]


def push(
    model: str | Path,
    repository: str,
    *,
    private: bool | None = None,
    license: str | None = None,
    allow_conv: Collection[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> str:
    """Push a saved model or classifier to Hugging Face, where ``hf://org/name`` names it from then on.

    The files of the model and its card are sent in one commit, nothing else that lies in the folder. Of the files that
    it learned from their names are sent, never their places on this machine. huggingface_hub takes the token from
    ``HF_TOKEN`` or from its own log-in.

    Args:
        model: a folder of a saved model or classifier.
        repository: ``org/name``; it is made where it is missing.
        private: whether one that is made is private; None makes it as Hugging Face does: public, unless the
            organisation wants them private.
        license: for the card, as Hugging Face names it; None keeps what the card says.
        allow_conv: convolutions of your own that the model uses, see `scgraph.load_model`.
        say: told what is sent, before it is.

    Returns:
        The address of its page.

    Raises:
        ConfigError: a name is wrong, huggingface_hub is not installed, nobody is logged in or may write there, or the
            repository is public and is wanted private, or the other way.
        ModelFileError: the folder is no saved model.
    """
    if is_address(model):
        raise ConfigError(f"{model}: is on a server already. Give the folder of a saved model.")
    folder = Path(model).expanduser()
    check_license(license, folder)
    files = _files(folder, allow_conv)
    files[CARD] = _card(folder, repository, license, allow_conv)
    there = check_repository(repository, private=private)
    seen = {None: "", True: ", private", False: ", public"}[private]
    where = "which is there" if there is not None else f"which is made{seen}"
    say(f"pushing to {repository}, {where}: {', '.join(files)}")
    return send(files, repository, private=private, there=there)


def _files(folder: Path, allow_conv: Collection[str]) -> dict[str, bytes | Path]:
    """Return the files of a model or classifier that loads, descriptions without places on this machine."""
    if is_classifier(folder):
        load_classifier(folder, device="cpu", allow_conv=allow_conv)
        names = [name for name in (*MODEL_FILES, *CLASSIFIER_FILES) if (folder / name).is_file()]
    else:
        load_model(folder, allow_conv=allow_conv)
        names = list(MODEL_FILES)
    files: dict[str, bytes | Path] = {}
    for name in names:
        path = folder / name
        files[name] = path
        if path.suffix == ".json":
            described = json.loads(path.read_text(encoding="utf-8"))
            files[name] = json_text(_without_places(described, _sources(described))).encode()
    return files


def _card(folder: Path, repository: str, license: str | None, allow_conv: Collection[str]) -> bytes:
    """Return the README.md of a folder, or a card for what was saved without one."""
    path = folder / CARD
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    elif is_classifier(folder):
        text = classifier_card(load_classifier(folder, device="cpu", allow_conv=allow_conv), license=UNKNOWN_LICENSE)
    else:
        saved = load_model(folder, allow_conv=allow_conv)
        text = model_card(
            saved.model,
            saved.vocabulary,
            saved.model_config,
            metadata=saved.metadata,
            progress=saved.progress,
            versions=saved.versions,
            license=UNKNOWN_LICENSE,
        )
    if license is not None:
        text = with_license(text, license)
    return text.replace(ADDRESS, f"hf://{repository.removeprefix('hf://')}").encode()


def _sources(value: Any) -> dict[str, str]:
    """Return the files that a description names, with the names that they have without their places."""
    if isinstance(value, list):
        return {path: name for one in value for path, name in _sources(one).items()}
    if not isinstance(value, dict):
        return {}
    own = {value[key]: name_of(value[key]) for key in ("source", "reference") if isinstance(value.get(key), str)}
    return {path: name for one in value.values() for path, name in _sources(one).items()} | own


def _without_places(value: Any, sources: dict[str, str]) -> Any:
    """Return a description whose texts name files without their places, notes included."""
    if isinstance(value, dict):
        return {key: _without_places(one, sources) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_places(one, sources) for one in value]
    if isinstance(value, str):
        for path in sorted(sources, key=len, reverse=True):
            value = value.replace(path, sources[path]) if path != sources[path] else value
    return value
