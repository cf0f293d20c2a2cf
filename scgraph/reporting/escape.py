"""Names of somebody else made harmless where they are shown: in a terminal, in Markdown, in a spreadsheet.

Genes, cells, classes and files may be called anything, also what a terminal or a spreadsheet takes for a command.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["csv_text", "for_markdown", "for_spreadsheet", "for_terminal", "from_spreadsheet"]

# Control characters, signs that turn the direction of writing around, and halves of characters (undecodable names).
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = re.compile(r"['\s]*[=+\-@]|[\t\r]")
_GUARDED = re.compile(r"'(?=['\s]*[=+\-@]|[\t\r])")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]|[+-]?(inf|nan)")


def for_terminal(text: str, *, lines: bool = False) -> str:
    r"""Return a text in which every control character is written out.

    Args:
        text: any text.
        lines: keep the ends of lines.

    >>> for_terminal("GENE\x1b[2J")
    'GENE\\x1b[2J'
    """

    def written_out(match: re.Match[str]) -> str:
        return match[0] if lines and match[0] == "\n" else match[0].encode("unicode_escape").decode()

    return _CONTROL.sub(written_out, text)


def for_markdown(text: str) -> str:
    r"""Return a text as Markdown that shows it, in one line: no tag, link, emphasis or cell of a table begins in it.

    >>> for_markdown("<b>a|b</b> *c* a_b")
    '&lt;b>a\\|b&lt;/b> \\*c\\* a_b'
    """
    text = for_terminal(" ".join(text.split("\n")))
    text = re.sub(r"[\\`*|]|(?<=\])\(|(?<!\w)_|_(?!\w)|^#", lambda match: "\\" + match[0], text)
    return re.sub(r"&(?=#?\w+;)", "&amp;", text).replace("<", "&lt;")


def for_spreadsheet(text: str) -> str:
    """Return a cell of a table that no spreadsheet takes for a formula: one that begins like one gets a ``'`` in front.

    Numbers stay as they are.

    >>> [for_spreadsheet(text) for text in ("=1+1", "-AS1", "-1.5", "CD8")]
    ["'=1+1", "'-AS1", '-1.5', 'CD8']
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def from_spreadsheet(text: str) -> str:
    """Undo `for_spreadsheet`.

    >>> from_spreadsheet("'=1+1"), from_spreadsheet("5'-AS1")
    ('=1+1', "5'-AS1")
    """
    return _GUARDED.sub("", text, count=1) if text.startswith("'") else text


def csv_text(frame: pd.DataFrame, *, sep: str = ",", index: bool = False, **how: Any) -> str:
    """Return a table as text with commas or tabs, every text in it as `for_spreadsheet` has it.

    Args:
        frame: the table.
        sep: what stands between two cells.
        index: write the index in front.
        **how: of `pandas.DataFrame.to_csv`.
    """

    def guarded(value: Any) -> Any:
        return for_spreadsheet(value) if isinstance(value, str) else value

    safe = frame.rename(columns=guarded, index=guarded) if index else frame.rename(columns=guarded)
    for place, kind in enumerate(safe.dtypes):
        if not hasattr(kind, "kind") or kind.kind not in "biufc":
            safe.isetitem(place, [guarded(value) for value in safe.iloc[:, place]])
    return str(safe.to_csv(sep=sep, index=index, lineterminator="\n", **how))
