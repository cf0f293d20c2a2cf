"""The network knows no order of the drugs, and reads what it may."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from scgraph.config_files import as_config
from scgraph.drugs.config import DrugsConfig
from scgraph.drugs.methods import DrugExperiment
from scgraph.drugs.molecule import MoleculeEncoder, molecular_graphs
from scgraph.drugs.screen import DrugScreen, read_drug_screen
from scgraph.drugs.splits import drug_folds
from scgraph.drugs.training import build_network, fit_network, most_variable
from tests.drugs.forms import QUICK, small_screen

pytest.importorskip("rdkit")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def screen() -> DrugScreen:
    return read_drug_screen(*small_screen())


def job_of(screen: DrugScreen, **settings: Any) -> DrugExperiment:
    return DrugExperiment(screen, as_config(DrugsConfig, {**QUICK, **settings}), CPU)


@pytest.mark.parametrize(("conv", "drug"), [("gnn", "fingerprint"), ("gat", "graph"), ("tf", "graph")])
def test_a_pair_has_no_order(screen: DrugScreen, conv: str, drug: str) -> None:
    job = job_of(screen, model={**QUICK["model"], "conv": conv}, drug=drug)
    (structures,) = job.structures.values()
    network = build_network(structures, screen.expression, np.arange(9), job.settings, seed=0).eval()
    torch.nn.init.normal_(network.score.weight)
    genes = torch.arange(1, screen.expression.shape[1] + 1).expand(9, -1)
    values, line = torch.from_numpy(screen.expression), torch.from_numpy(screen.line)
    pairs = torch.from_numpy(screen.pairs)
    with torch.no_grad():
        one, other = (network(both, line, genes, values) for both in (pairs, pairs.flip(1)))
    assert torch.equal(one, other)
    assert one.std() > 0


def test_training_reads_no_test_row(screen: DrugScreen) -> None:
    job = job_of(screen)
    (structures,) = job.structures.values()
    fold = drug_folds(screen, "line", folds=3)[0]
    changed = DrugScreen(**{**vars(screen), "score": screen.score.copy()})
    changed.score[fold.test] = 1e6
    own, other = (
        fit_network(one, structures, one.expression, fold, job.settings, seed=0)[0] for one in (screen, changed)
    )
    assert np.array_equal(own, other)
    assert np.array_equal(own, fit_network(screen, structures, screen.expression, fold, job.settings, seed=0)[0])


def test_an_unseen_line_is_read_from_its_expression() -> None:
    """One gene says how a line answers: the network and the ridge find it on unseen lines, with wrong lines not."""
    screen = read_drug_screen(*small_screen(lines=20, genes=8))
    network = {
        "epochs": 30,
        "patience": 30,
        "batch_size": 256,
        "learning_rate": 0.03,
        "width": 16,
        "dropout": 0.0,
        "hidden_lines": 0.0,
        "line_noise": 0.1,
    }
    job = job_of(screen, network=network, genes=8)
    found = dict(job.predict(drug_folds(screen, "line", folds=4)[0], 0))
    test = drug_folds(screen, "line", folds=4)[0].test

    def within(name: str) -> float:
        from scgraph.drugs.scores import score_rows

        return score_rows(screen.score[test], found[name].score[test], screen.pair[test])["within_pair"]

    assert within("gnn") > 0.5
    assert within("gnn") > within("gnn, wrong lines") + 0.3
    assert within("mean (floor)") == within("pair mean + line mean") == 0.0


def test_a_molecule_is_told_by_its_graph_alone() -> None:
    """The same molecule written otherwise is the same; another of the same atoms is not; neighbours do not matter."""
    names = ["ethanol", "ethanol again", "ether", "salt"]
    graphs = molecular_graphs(names, ["CCO", "OCC", "COC", "[Na+].[Cl-]"])
    torch.manual_seed(0)
    encoder = MoleculeEncoder(graphs, 8, 2).eval()
    with torch.no_grad():
        found = encoder()
        alone = MoleculeEncoder(molecular_graphs(names[2:], ["COC", "[Na+].[Cl-]"]), 8, 2)
        alone.load_state_dict(encoder.state_dict())
        torch.testing.assert_close(alone.eval()(), found[2:])
    assert found.shape == (4, 8)
    torch.testing.assert_close(found[0], found[1])
    assert (found[0] - found[2]).abs().max() > 1e-3
    assert torch.isfinite(found).all()


def test_both_ways_to_read_a_drug_stand_in_one_table(screen: DrugScreen) -> None:
    job = job_of(screen, drug="both", wrong_lines=False)
    found = dict(job.predict(drug_folds(screen, "pair", folds=3)[0], 0))
    one, other = found["gnn"].score, found["gnn + molecular graphs"].score
    assert np.abs(one - other).max() > 1e-6
    assert other.std() > 0


def test_the_most_variable_genes_are_those_of_lines_that_may_be_learned_from() -> None:
    expression = np.zeros((4, 3), dtype=np.float32)
    expression[3, 0] = 9.0  # varies in a line that is tested
    expression[:2, 2] = 1.0
    assert most_variable(expression, np.asarray([0, 1, 2]), 1).tolist() == [2]
