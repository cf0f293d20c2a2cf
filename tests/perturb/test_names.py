"""Labels of perturbations in the layouts that files come in."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from scgraph.data import read_cells
from scgraph.errors import DataError
from scgraph.perturb.names import GeneNames, Label, find_column, find_control, read_label

NAMES = ["AHR", "KLF1", "HLA-A", "NKX2_1", "MT_X"]


@pytest.fixture(scope="module")
def genes() -> GeneNames:
    var = pd.DataFrame({"gene_ids": [f"ENSG{at:011d}" for at in range(1, 6)]}, index=NAMES)
    adata = ad.AnnData(np.ones((3, 5), dtype=np.float32), var=var)
    return GeneNames(read_cells(adata))


@pytest.mark.parametrize(
    ("label", "columns"),
    [
        ("AHR", (0,)),
        ("AHR+ctrl", (0,)),
        ("ctrl+AHR", (0,)),
        ("AHR+non-targeting", (0,)),
        ("KLF1+AHR", (0, 1)),
        ("AHR_KLF1", (0, 1)),
        ("AHR_ctrl", (0,)),
        ("NKX2_1", (3,)),
        ("NKX2_1_MT_X", (3, 4)),
        ("HLA-A+NKX2_1", (2, 3)),
        ("AHR+AHR", (0,)),
        (" AHR ", (0,)),
        ("ENSG00000000002.7", (1,)),
        ("ENSG00000000001+KLF1", (0, 1)),
        ("AHR+mine", (0,)),
    ],
)
def test_common_layouts_are_read(genes: GeneNames, label: str, columns: tuple[int, ...]) -> None:
    assert read_label(label, "mine", genes) == Label(columns)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("TP53", Label((), ("TP53",), "unknown")),
        ("ahr", Label((), ("ahr",), "unknown")),
        ("AHR_TP53", Label((), ("AHR_TP53",), "unknown")),
        ("AHR+TP53", Label((), ("TP53",), "unknown")),
        ("stim", Label((), ("stim",), "unknown")),
        ("AHR+KLF1+HLA-A", Label((), (), "many")),
    ],
)
def test_other_labels_say_what_is_unknown(genes: GeneNames, label: str, said: Label) -> None:
    assert read_label(label, "ctrl", genes) == said


@pytest.mark.parametrize(
    "control", ["control", "ctrl", "CTRL", "Non-Targeting", "non_targeting", "NT", "ctrl+ctrl", "unperturbed"]
)
def test_the_control_is_found(control: str) -> None:
    assert find_control(["AHR", control, "KLF1"], None, "f") == control


def test_a_control_that_is_not_clear_is_asked_for() -> None:
    with pytest.raises(DataError, match=r"f: several .*'control', 'non-targeting'.*Say which with control"):
        find_control(["AHR", "control", "non-targeting"], None, "f")
    with pytest.raises(
        DataError, match=r"f: no label looks like a control .*Name it with control. Labels: 'AHR', 'WT1'"
    ):
        find_control(["AHR", "WT1"], None, "f")
    with pytest.raises(DataError, match=r"no cell is labelled 'ctrl' \(control\). Labels: 'AHR'"):
        find_control(["AHR"], "ctrl", "f")
    assert find_control(["AHR", "WT"], "WT", "f") == "WT"


def test_the_column_is_found_or_asked_for() -> None:
    assert find_column(["batch", "condition"], None, "f") == "condition"
    assert find_column(["perturbation", "condition"], "condition", "f") == "condition"
    with pytest.raises(DataError, match=r"perturbation and condition. Say which .*: perturbation="):
        find_column(["perturbation", "condition"], None, "f")
    with pytest.raises(DataError, match=r"no column perturbation or condition.*Columns: guide, batch"):
        find_column(["guide", "batch"], None, "f")
