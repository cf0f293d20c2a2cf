"""Errors a user can mend.

The command line prints the message of a `ScgraphError` alone and exits with 2, so every message
names the file, key or cell at fault and says what to do. Anything else that escapes is a bug.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ConfigError",
    "ContractError",
    "DataError",
    "ModelFileError",
    "OutputError",
    "ScgraphError",
    "TrainingError",
    "did_you_mean",
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
    """
    names = sorted(known)
    others = {word.lower(): right for word, right in (meant or {}).items() if right in names}
    lowered = others | {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    if near:
        return f" Did you mean {lowered[near[0]]!r}?"
    return f" Known: {', '.join(names)}."
