"""Columns of perturbations and labels of controls."""

from __future__ import annotations

import pytest

from scgraph.errors import DataError
from scgraph.perturb.names import find_column, find_controls


def found(*labels: str, asked: tuple[str, ...] = ()) -> tuple[str, ...]:
    return find_controls(labels, asked, {"NT5": True}.get, "f")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "control",
    [
        "control",
        "ctrl",
        "CTRL",
        "Non-Targeting",
        "non_targeting",
        "non-targeting_00012",
        "Non-targeting control",
        "NT",
        "NT_1",
        "NTC-3",
        "sgNT-2",
        "INTERGENIC123",
        "safe-targeting_7",
        "neg_ctrl_guide_3",
        "NegCtrl0",
        "negative control 2",
        "scramble_1",
        "ctrl+ctrl",
        "NT_1|NT_2",
        "non-targeting_00012||non-targeting_00003",
        "unperturbed",
        "untreated",
        "mock",
    ],
)
def test_the_control_is_found(control: str) -> None:
    assert found("AHR", control, "KLF1") == (control,)


@pytest.mark.parametrize("gene", ["NT5C", "NT5E", "NT5", "NTS", "SCRIB", "NEGR1", "AHR+ctrl", "CTRC", "GENE_1"])
def test_genes_are_no_controls(gene: str) -> None:
    assert found(gene, "control") == ("control",)


def test_controls_of_one_kind_are_taken_together() -> None:
    several = ("NT_1", "NT_2", "INTERGENIC17", "control", "non-targeting")
    assert found("AHR", *several) == several
    assert found("AHR", *several, asked=("NT_1", "control")) == ("NT_1", "control")
    assert found("AHR", "WT", asked=("WT",)) == ("WT",)


def test_a_control_that_is_not_clear_is_asked_for() -> None:
    with pytest.raises(
        DataError, match=r"f: several .*'non-targeting', 'untreated'.*with control, such as 'non-targeting'"
    ):
        found("AHR", "non-targeting", "untreated")
    with pytest.raises(DataError, match=r"f: no label looks like a control .*with control. Labels: 'AHR', 'WT1'"):
        found("AHR", "WT1")
    with pytest.raises(DataError, match=r"no cell is labelled 'ctrl' \(control\). Labels: 'AHR'"):
        found("AHR", asked=("ctrl",))


@pytest.mark.parametrize(
    ("columns", "column"),
    [
        (["batch", "condition"], "condition"),
        (["target_gene", "guide"], "target_gene"),
        (["Target.Gene", "batch"], "Target.Gene"),
        (["perturbation", "target_gene", "guide"], "perturbation"),
        (["guide_id", "n_counts"], "guide_id"),
    ],
)
def test_the_column_is_found(columns: list[str], column: str) -> None:
    assert find_column(columns, None, "f") == column


def test_the_column_is_asked_for() -> None:
    assert find_column(["perturbation", "condition"], "condition", "f") == "condition"
    with pytest.raises(DataError, match=r"perturbation and condition. Say which .*: perturbation="):
        find_column(["perturbation", "condition"], None, "f")
    with pytest.raises(DataError, match=r"condition and target_gene. Say which .*: perturbation="):
        find_column(["condition", "target_gene"], None, "f")
    with pytest.raises(DataError, match=r"no column perturbation or condition.*target_gene.*Columns: louvain, batch"):
        find_column(["louvain", "batch"], None, "f")
