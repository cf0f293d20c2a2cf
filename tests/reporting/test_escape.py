"""Names of somebody else: they give no order to a terminal, a spreadsheet or a page."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scgraph.bench.results import results_frame, summarise
from scgraph.bench.tables import summary_markdown
from scgraph.cli import app as cli
from scgraph.cli import terminal
from scgraph.data.network.edge_list import read_edges
from scgraph.files import write_atomic
from scgraph.reporting.escape import csv_text, for_markdown, for_spreadsheet, for_terminal, from_spreadsheet
from tests.helpers import make_cells

ORDERS = ["\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\r", "\x7f", "\u202e", "\u2066", "\udcff", "\x00"]


@pytest.mark.parametrize("order", ORDERS)
def test_no_order_reaches_the_terminal(order: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"GENE{order}1"
    terminal.say(name)
    terminal.show(name)
    terminal.show_rows(name, [{"gene": name, "value": 1.0}])
    terminal.write_json(Path("-"), {"gene": name})
    printed = capsys.readouterr()
    assert order not in printed.out + printed.err
    assert printed.out.count(order.encode("unicode_escape").decode()) >= 2
    assert json.loads(printed.out[printed.out.rindex("{") :]) == {"gene": name}


def test_a_message_is_one_line_whatever_a_name_holds(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.complain("a\nscgraph: all is well")
    assert capsys.readouterr().err == "scgraph: a\\nscgraph: all is well\n"
    assert for_terminal("Übergröße 細胞 β\t", lines=True) == "Übergröße 細胞 β\\t"


def test_a_file_and_a_gene_with_escape_sequences_in_a_real_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = make_cells(60)
    cells.var_names = [f"GENE\x1b[2J{g % 3}" for g in range(cells.n_vars)]
    path = tmp_path / "cells\x1b[31m\udcff.h5ad"
    (tmp_path / "plain.h5ad").unlink(missing_ok=True)
    cells.write_h5ad(tmp_path / "plain.h5ad")
    (tmp_path / "plain.h5ad").rename(path)
    with pytest.raises(SystemExit) as end:
        cli.main(["prepare", str(path), "--out", str(tmp_path / "store")])
    printed = capsys.readouterr()
    assert end.value.code == 2
    assert r"GENE\x1b[2J" in printed.err
    assert "\x1b" not in printed.out + printed.err


CELLS = ["=1+1", "+SUM(A1)", "-AS1", "@x", " =1", "'=1", "\t=1"]
PLAIN = ["CD8", "-1.5", "+2e-3", "-", "-inf", "A-1", "5'-AS1", "", "'x"]


def test_a_table_holds_no_formula_and_numbers_stay() -> None:
    assert [for_spreadsheet(text)[0] for text in CELLS] == ["'"] * len(CELLS)
    assert [for_spreadsheet(text) for text in PLAIN] == PLAIN
    assert [from_spreadsheet(for_spreadsheet(text)) for text in (*CELLS, *PLAIN)] == [*CELLS, *PLAIN]
    frame = pd.DataFrame({"gene": CELLS, "kind": pd.Categorical(CELLS), "@": -np.arange(7.0)}, index=CELLS)
    back = pd.read_csv(io.StringIO(csv_text(frame, sep="\t", index=True)), sep="\t", index_col=0)
    assert list(back.columns) == ["gene", "kind", "'@"]
    for column in (back.index, back["gene"], back["kind"]):
        assert list(column) == [for_spreadsheet(text) for text in CELLS]
    assert list(back["'@"]) == list(-np.arange(7.0))
    numbers = pd.DataFrame({"a": [-1, 2], "b": [-0.5, np.nan], "c": [True, False], "d": [None, -1.5]})
    assert csv_text(numbers) == numbers.to_csv(index=False)


def test_edges_are_read_again_as_they_were(tmp_path: Path) -> None:
    write_atomic(tmp_path / "net.tsv", csv_text(pd.DataFrame({"source": ["-AS1"], "target": ["B"]}), sep="\t"))
    assert "'-AS1" in (tmp_path / "net.tsv").read_text()
    assert read_edges(tmp_path / "net.tsv").names == ("-AS1", "B")


def test_a_name_that_is_no_unicode_is_written_out(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.json", json.dumps({"file": "\udcff"}, ensure_ascii=False))
    assert json.loads((tmp_path / "a.json").read_text()) == {"file": "\udcff"}


def test_a_summary_shows_the_name_of_a_file_and_obeys_it_nowhere() -> None:
    name = "<img src=x onerror=alert(1)>|*b*[a](javascript:b)`c`\n# d"
    rows = [
        {"dataset": name, "split": "random", "seed": seed, "model": model, "accuracy": 0.5, "macro_f1": 0.5}
        | {"balanced_accuracy": 0.5}
        for seed in range(2)
        for model in ("gnn", "tf")
    ]
    text = summary_markdown(summarise(results_frame(rows)), notes=[f"{name}: a note"], environment={"command": name})
    assert text.count("&lt;img") >= 4
    assert "<img" not in text
    assert "\n# d" not in text
    assert text.count(for_markdown(name)) == text.count("onerror")
    assert for_markdown(name) == r"&lt;img src=x onerror=alert(1)>\|\*b\*[a]\(javascript:b)\`c\` # d"
    assert for_markdown("R & D, pbmc68k_reduced, [0.1, 0.2] &lt;") == "R & D, pbmc68k_reduced, [0.1, 0.2] &amp;lt;"
