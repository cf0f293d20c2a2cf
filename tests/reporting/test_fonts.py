"""Labels in any script: drawn with an installed font that has their letters, or named where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scgraph.bench import run_bench
from scgraph.bench.figures import confusion_matrices
from scgraph.reporting import fonts
from scgraph.reporting.drawing import image_bytes
from tests.helpers import QUICK, make_cells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LETTER = "\U000f1234"  # for private use: no real font has it


@pytest.fixture
def _own_font(tmp_path: Path) -> Iterator[None]:
    """Install a font that has one letter, a square."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from matplotlib.font_manager import fontManager

    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(LETTER): "square"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (800, 0), "square": (800, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "One Square", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "square.ttf")
    before = list(fontManager.ttflist)
    fontManager.addfont(tmp_path / "square.ttf")
    fonts._search.cache_clear()
    yield
    fontManager.ttflist = before
    fonts._search.cache_clear()


def drawn(letter: str) -> bytes:
    return image_bytes(confusion_matrices({"m": np.eye(2)}, [f"T {letter}", "B"]), form="png")


def test_letters_that_no_font_has_are_named() -> None:
    assert fonts.undrawable(["T cell", "β Ünïcode\n", LETTER]) == LETTER
    assert drawn(LETTER) == drawn(chr(ord(LETTER) + 1)), "both are boxes"


@pytest.mark.usefixtures("_own_font")
def test_an_installed_font_that_has_the_letters_draws_them() -> None:
    assert fonts.fonts_for(f"T {LETTER}") == (("One Square",), "")
    assert drawn(LETTER) != drawn(chr(ord(LETTER) + 1))
    assert drawn("x") == drawn("x")


def test_a_bench_says_which_letters_its_figures_lack(tmp_path: Path) -> None:
    cells = make_cells(60)
    cells.obs["cell_type"] = cells.obs["cell_type"] + LETTER
    cells.write_h5ad(tmp_path / "cells.h5ad")
    result = run_bench(["none"], [tmp_path / "cells.h5ad"], config=QUICK)
    assert [note for note in result.notes if f"no installed font has {LETTER}" in note]
