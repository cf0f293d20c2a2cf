"""Fonts for labels in any script: of those that are installed, the ones with letters that the usual font lacks."""

from __future__ import annotations

import contextlib
import unicodedata
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontEntry

__all__ = ["fonts_for", "undrawable", "with_fonts"]

_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}


@contextlib.contextmanager
def with_fonts(figure: Figure) -> Iterator[None]:
    """Give every text of a figure that is going to be saved further fonts for letters that the usual one lacks."""
    import matplotlib
    from matplotlib.text import Text

    texts: list[Any] = figure.findobj(Text)
    for axes in figure.axes:  # what stands beside the ticks is made when it is asked for
        texts += [*axes.get_xticklabels(), *axes.get_yticklabels()]
    further, _ = fonts_for("".join(text.get_text() for text in texts))
    families = [*matplotlib.rcParams["font.family"], *further]
    if further:
        for text in texts:
            text.set_fontfamily(families)
    with matplotlib.rc_context({"font.family": families}), warnings.catch_warnings():
        # Drawn as boxes; whoever draws names says so, see `undrawable`.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def undrawable(names: Iterable[str]) -> str:
    """Return the letters in names that no installed font has."""
    return fonts_for("".join(names))[1]


def fonts_for(text: str) -> tuple[tuple[str, ...], str]:
    """Return the families of installed fonts that draw what the usual font cannot, and the letters that none has."""
    return _search("".join(sorted(set(text))))


@cache
def _search(letters: str) -> tuple[tuple[str, ...], str]:
    from matplotlib.font_manager import FontProperties, findfont, fontManager
    from matplotlib.ft2font import FT2Font

    lacking = {letter for letter in letters if unicodedata.category(letter) not in _INVISIBLE}
    lacking -= {chr(code) for code in FT2Font(findfont(FontProperties())).get_charmap()}
    families: list[str] = []

    def unusual(font: FontEntry) -> tuple[bool, int, str]:
        weight = font.weight if isinstance(font.weight, int) else 400
        return font.style != "normal", abs(weight - 400), font.name

    # Of a family the upright one of usual weight first, which is the one that is drawn.
    for font in sorted(fontManager.ttflist, key=unusual):
        if not lacking:
            break
        if font.name.lower().replace(" ", "").lstrip(".").startswith("lastresort"):
            continue  # has a box for every letter
        try:
            found = lacking & {chr(code) for code in FT2Font(font.fname).get_charmap()}
        except (OSError, RuntimeError):  # removed since the list was made, or damaged
            continue
        if found:
            families.append(font.name)
            lacking -= found
    return tuple(families), "".join(sorted(lacking))
