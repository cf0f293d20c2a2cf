"""Models by name: ``hf://org/name`` in place of a folder, and folders pushed to where such names lead.

huggingface_hub does the work: its cache, its log-in, its servers (``HF_ENDPOINT``). Only files of a saved model are
fetched or sent, and what is fetched is read by `scgraph.load_model`, which runs nothing.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from scgraph._version import __version__
from scgraph.errors import ConfigError, ModelFileError
from scgraph.models.card import CARD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CLASSIFIER_FILES", "MODEL_FILES", "SHARED", "check_repository", "is_address", "local_folder", "send"]

# Weights first: a folder cleared in this order never holds weights without their config.
MODEL_FILES = ("model.safetensors", "config.json", "vocabulary.tsv")
CLASSIFIER_FILES = ("classifier.json", "classifier.safetensors", "classes.tsv")
SHARED = (*MODEL_FILES, *CLASSIFIER_FILES, CARD)
"""Files that are fetched and sent; nothing else of a folder or a repository is."""

_DESCRIPTIONS = ("config.json", "classifier.json", "vocabulary.tsv")
_PREFIX = re.compile(r"hf:/{1,2}")  # a `Path` has one slash left of two
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_LOG_IN = "log in (hf auth login) or set HF_TOKEN"


def is_address(model: object) -> bool:
    """Tell whether a text names a model of a server, as ``hf://org/name``.

    >>> is_address("hf://lab/blood"), is_address("blood")
    (True, False)
    """
    return isinstance(model, str | os.PathLike) and _PREFIX.match(os.fspath(model)) is not None


def local_folder(model: str | Path) -> Path:
    """Return the folder of a model on this machine; one that is named ``hf://org/name`` is fetched into the cache.

    Where there is no connection, what the cache holds is taken.

    Args:
        model: a folder, or ``hf://org/name`` with ``@revision`` where that is not the newest.

    Raises:
        ConfigError: huggingface_hub is not installed, or the name is none.
        ModelFileError: there is no such model, no access to it, no connection, or what is there is no saved model.
    """
    if not is_address(model):
        return Path(model).expanduser()
    name, sign, revision = _PREFIX.sub("", os.fspath(model)).partition("@")
    _check_name(name, f"hf://{name}{sign}{revision}")
    if sign and not revision:
        raise ConfigError(f"hf://{name}@: the revision behind the @ is missing.")
    return _fetched(name, revision or None)


def check_repository(repository: str, *, private: bool | None) -> frozenset[str] | None:
    """Look at the place that a model is to be pushed to.

    Args:
        repository: ``org/name``.
        private: as it is wanted; None takes it as it is.

    Returns:
        The names of the files that are there; None where there is no such repository yet.

    Raises:
        ConfigError: the name is none, nobody is logged in, or it is public and is wanted private, or the other way.
    """
    from_address = _PREFIX.sub("", repository)
    _check_name(from_address, repository)
    hub: Any = _library(repository)
    with _explained(repository, ConfigError):
        try:
            info = _api(hub).repo_info(from_address)
        except hub.errors.GatedRepoError:
            raise
        except hub.errors.RepositoryNotFoundError:
            _api(hub).whoami()  # nobody who is not logged in is told that there is none
            return None
    if private is not None and bool(info.private) != private:
        now, wanted = ("private", "--public") if info.private else ("public", "--private")
        raise ConfigError(
            f"{repository}: is there and is {now}, so {wanted} cannot be kept. Change it in its settings on the site, "
            "or push without this option."
        )
    return frozenset(one.rfilename for one in info.siblings or ())


def send(
    files: Mapping[str, bytes | Path],
    repository: str,
    *,
    private: bool | None,
    there: frozenset[str] | None,
) -> str:
    """Push files in one commit, and take away those of a model that stood there before and has other files.

    Args:
        files: by name in the repository.
        repository: ``org/name``.
        private: for a repository that is made; None makes it as Hugging Face does: public, unless the organisation
            wants them private.
        there: what `check_repository` returned.

    Returns:
        The address of its page.

    Raises:
        ConfigError: nobody is logged in or may write there, there is no connection, or the server refuses a file.
    """
    hub: Any = _library(repository)
    name = _PREFIX.sub("", repository)
    operations = [
        hub.CommitOperationAdd(path_in_repo=file, path_or_fileobj=data if isinstance(data, bytes) else str(data))
        for file, data in files.items()
    ]
    operations += [
        hub.CommitOperationDelete(path_in_repo=file)
        for file in sorted((there or frozenset()) & frozenset(SHARED))
        if file not in files
    ]
    with _explained(repository, ConfigError):
        api = _api(hub)
        if there is None:
            api.create_repo(name, private=private)
        api.create_commit(name, operations, commit_message=f"Saved by scgraph {__version__}")
        return f"{api.endpoint}/{name}"


def _fetched(name: str, revision: str | None) -> Path:
    address = f"hf://{name}" + (f"@{revision}" if revision else "")
    hub: Any = _library(address)
    how = {"library_name": "scgraph", "library_version": __version__, "endpoint": os.environ.get("HF_ENDPOINT")}
    with _explained(address, ModelFileError):
        # The small files first: the weights of a model of something else are never fetched.
        folder = Path(hub.snapshot_download(name, revision=revision, allow_patterns=list(_DESCRIPTIONS), **how))
        missing = [file for file in ("config.json", "vocabulary.tsv") if not (folder / file).is_file()]
        if missing and (folder / "classifier.json").is_file():
            missing.remove("config.json")
        if missing:
            raise ModelFileError(
                f"{address}: is no saved model of scgraph, {', '.join(missing)} missing. Push one with scgraph push."
            )
        # By its commit: whatever is pushed meanwhile, all files are of one model.
        return Path(hub.snapshot_download(name, revision=folder.name, allow_patterns=list(SHARED), **how))


def _check_name(name: str, given: str) -> None:
    if not _REPOSITORY.fullmatch(name) or ".." in name:
        raise ConfigError(f"{given}: is no name of a model. Write hf://ORG/NAME, or hf://ORG/NAME@REVISION.")


def _library(address: str) -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise ConfigError(
            f"{address}: needs huggingface_hub, which cannot be imported ({error}). Install it: pip install "
            '"scgraph-zoo[hub]"'
        ) from error
    return huggingface_hub


def _api(hub: Any) -> Any:
    return hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="scgraph", library_version=__version__)


@contextmanager
def _explained(address: str, kind: type[ModelFileError] | type[ConfigError]) -> Iterator[None]:
    """Turn what huggingface_hub raises into one message that says what to do."""
    errors: Any = _library(address).errors

    def say(what: str, error: Exception) -> NoReturn:
        raise kind(f"{address}: {what}") from error

    try:
        yield
    except errors.GatedRepoError as error:
        say(f"is gated: accept its terms on its page, then {_LOG_IN}.", error)
    except errors.RevisionNotFoundError as error:
        say("has no such revision. Name a branch, a tag or a commit behind the @.", error)
    except errors.RepositoryNotFoundError as error:
        say(f"there is no such model, or it is private and you may not see it: {_LOG_IN}.", error)
    except errors.LocalEntryNotFoundError as error:
        say("cannot be reached, and is not whole in the cache. Look at the connection (and at HF_HUB_OFFLINE).", error)
    except errors.LocalTokenNotFoundError as error:
        say(f"nobody is logged in: {_LOG_IN}.", error)
    # HfHubHTTPError is an error of the library of HTTP, whose name differs between versions, and an OSError.
    except (*errors.HfHubHTTPError.__bases__, ValueError, RuntimeError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            say(f"you may not do this: {_LOG_IN}, with the right to write there.", error)
        what = " ".join(f"{error} {error.__cause__ or ''}".split())
        say(f"the server or the connection failed ({what[:300]}).", error)
