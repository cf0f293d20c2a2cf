"""Errors a user can mend.

The command line prints the message of a `ScgraphError` alone and exits with 2, so every message
names the file, key or cell at fault and says what to do. Anything else that escapes is a bug.
What to do is said in the words of who reads it: `argument`, `flag` and `setting` name options on the command line, and
arguments elsewhere.
"""

from __future__ import annotations

import contextlib
import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "ConfigError",
    "ContractError",
    "DataError",
    "ModelFileError",
    "OutputError",
    "ScgraphError",
    "TrainingError",
    "argument",
    "did_you_mean",
    "flag",
    "setting",
    "speaking_options",
]


class ScgraphError(Exception):
    """Base of all errors that a user can mend."""


class DataError(ScgraphError):
    """A data file or an AnnData object cannot be used as it is."""


class ConfigError(ScgraphError):
    """An option, a configuration key or a name is wrong."""


class ModelFileError(ScgraphError):
    """A saved model is damaged, foreign or of another version."""


class OutputError(ScgraphError):
    """The place to write results to cannot be used."""


class TrainingError(ScgraphError):
    """Training cannot go on, for example because the loss is not a number."""


class ContractError(ScgraphError):
    """A convolution breaks the contract that `scgraph.nn.GeneConv` states."""


_OPPOSITES = {"drop_leaks": "keep_leaks"}
_speaks_options = False


@contextlib.contextmanager
def speaking_options() -> Iterator[None]:
    """Let `argument` and `setting` name options of the command line while the block runs."""
    global _speaks_options
    before, _speaks_options = _speaks_options, True
    try:
        yield
    finally:
        _speaks_options = before


def argument(name: str, value: object = None) -> str:
    """Name an argument, and what to give for it, as the reader of a message writes it.

    >>> argument("batch_key"), argument("layer", "raw"), argument("allow_conv", ["mine:Conv"])
    ('batch_key', "layer='raw'", "allow_conv=['mine:Conv']")
    >>> with speaking_options():
    ...     argument("batch_key"), argument("layer", "raw"), argument("allow_conv", ["mine:Conv"])
    ('--batch-key', '--layer raw', '--allow-conv mine:Conv')
    """
    if not _speaks_options:
        return name if value is None else f"{name}={value!r}"
    option = f"--{name.replace('_', '-')}"
    if value is None:
        return option
    return f"{option} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def flag(name: str, *, value: bool = True) -> str:
    """Name an argument that is true or false, as the reader of a message gives it.

    >>> flag("overwrite"), flag("drop_leaks", value=False)
    ('overwrite=True', 'drop_leaks=False')
    >>> with speaking_options():
    ...     flag("overwrite"), flag("drop_leaks", value=False)
    ('--overwrite', '--keep-leaks')
    """
    if not _speaks_options:
        return f"{name}={value}"
    return argument(name if value else _OPPOSITES[name])


def setting(path: str, value: object) -> str:
    """Name a setting by its dotted path, and what to give for it, as the reader of a message writes it.

    >>> setting("drop_classes_below", 3)
    'drop_classes_below: 3 in the settings'
    >>> with speaking_options():
    ...     setting("drop_classes_below", 3)
    '--set drop_classes_below=3'
    """
    return f"--set {path}={value}" if _speaks_options else f"{path}: {value} in the settings"


_LISTED = 60
"""Names that a message has room for: what is looked up may be cells or genes."""


def did_you_mean(name: str, known: Iterable[str], meant: Mapping[str, str] | None = None) -> str:
    """Return ``" Did you mean 'gnn'?"`` for the closest known name, or the list of known names.

    Args:
        name: what was given.
        known: names that exist.
        meant: by other words that people may use, the known name that is meant.

    >>> did_you_mean("gnm", ["gnn", "tf"])
    " Did you mean 'gnn'?"
    >>> did_you_mean("zzz", ["gnn", "tf"])
    ' Known: gnn, tf.'
    >>> did_you_mean("Transformer", ["gnn", "tf"], {"transformer": "tf"})
    " Did you mean 'tf'?"
    >>> did_you_mean("zzz", map(str, range(2000)))[-15:]
    'and 1,940 more.'
    """
    names = sorted(known)
    others = {word.lower(): right for word, right in (meant or {}).items() if right in names}
    lowered = others | {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    if near:
        return f" Did you mean {lowered[near[0]]!r}?"
    shown = ", ".join(names[:_LISTED])
    return f" Known: {shown}." if len(names) <= _LISTED else f" Known: {shown} and {len(names) - _LISTED:,} more."
