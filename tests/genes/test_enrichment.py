"""The permutation tests: uniform p-values without families, small ones with; bins; the correlation; the verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import sparse, stats

from scgraph.data import read_cells
from scgraph.errors import ConfigError, DataError
from scgraph.genes import FAMILIES, enrichment_test, gene_families
from scgraph.genes.enrichment.networks import correlation
from scgraph.genes.enrichment.permutations import ALL, family_tests, matched_orders, plain_orders
from scgraph.genes.enrichment.report import enrichment_markdown, verdicts
from scgraph.genes.enrichment.values import GeneValues
from tests.genes.helpers import cells

if TYPE_CHECKING:
    from scgraph.models import SavedModel


def random_matrix(rng: np.random.Generator, n: int = 40) -> np.ndarray:
    return rng.normal(size=(n, n)).astype(np.float32)


def test_p_values_are_uniform_without_families() -> None:
    rng = np.random.default_rng(0)
    found = {statistic: [] for statistic in ("weight", "specific", "share")}
    for trial in range(150):
        # Genes that send much to everybody, and labels that know nothing of it.
        matrix = random_matrix(rng) + 2 * rng.normal(size=40).astype(np.float32)
        labels = rng.permutation(40)
        families = {"a": labels[:6].tolist(), "b": labels[6:14].tolist()}
        (row, *_) = family_tests(matrix, families, {"plain": plain_orders(40, 99, seed=trial)}, top_k=5)
        assert row["family"] == ALL
        for statistic, values in found.items():
            values.append(row[f"{statistic}_p"])
    for statistic, values in found.items():
        if statistic == "share":  # counts have ties, which make p larger, never smaller
            assert np.mean(np.array(values) <= 0.1) <= 0.16
        else:
            assert stats.kstest(values, "uniform").pvalue > 0.01, statistic


def test_planted_families_are_found_and_hubs_are_none() -> None:
    rng = np.random.default_rng(1)
    members = list(range(6))
    planted = random_matrix(rng)
    planted[np.ix_(members, members)] += 4
    orders = {"plain": plain_orders(40, 199, seed=0)}
    one = family_tests(planted, {"family": members}, orders, top_k=5)[1]
    assert one["weight_p"] == one["specific_p"] == one["share_p"] == 1 / 200
    assert one["share"] > 0.7
    specific = []
    for _ in range(9):
        hubs = random_matrix(rng)
        hubs[:, members] += 3  # the family sends much to everybody
        two = family_tests(hubs, {"family": members}, orders, top_k=5)[1]
        assert two["weight_p"] == 1 / 200
        specific.append(two["specific_p"])
    assert np.median(specific) > 0.05


def test_statistics_are_what_loops_say() -> None:
    matrix = random_matrix(np.random.default_rng(2), 12)
    members = [1, 4, 7, 9]
    (_, row) = family_tests(matrix.copy(), {"f": members}, {"plain": plain_orders(12, 9, seed=0)}, top_k=5)
    off = np.where(np.eye(12, dtype=bool), np.nan, matrix)
    centred = off - np.nanmean(off, axis=1, keepdims=True)
    pairs = [(i, j) for i in members for j in members if i != j]
    assert row["weight"] == pytest.approx(np.mean([centred[pair] for pair in pairs]), abs=1e-6)
    twice = centred - np.nanmean(centred, axis=0)
    assert row["specific"] == pytest.approx(np.mean([twice[pair] for pair in pairs]), abs=1e-6)
    senders = [set(np.argsort(-np.where(np.isnan(off[i]), -np.inf, off[i]))[:5]) for i in range(12)]
    assert row["share"] == pytest.approx(np.mean([len(senders[i] & set(members)) / 3 for i in members]))


def test_matched_permutations_stay_in_their_bin() -> None:
    level = np.random.default_rng(0).permutation(40).astype(float)
    orders = matched_orders(level, 50, bins=4, seed=0)
    bins = (level // 10).astype(int)
    assert (bins[orders] == bins).all()
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 50


def test_correlation_is_pearsons() -> None:
    dense = np.random.default_rng(0).poisson(1.0, size=(50, 7)).astype(np.float32)
    dense[:, 3] = 2  # constant
    found = correlation(GeneValues(lambda: [sparse.csr_matrix(dense)], *dense.shape))
    varied = [0, 1, 2, 4, 5, 6]
    assert np.allclose(found[np.ix_(varied, varied)], np.corrcoef(dense[:, varied].T), atol=1e-5)
    assert not found[3].any()


def test_families_by_prefix() -> None:
    names = ["RPL3", "RPS27A", "RPSA", "RPS6KA1", "RPL21P28", "MRPL1", "IGHMBP2", "IGHM", "IGKC", "IGLC2", "NDUFAF1"]
    assert gene_families(names) == {"ribosome": [0, 1, 2], "immunoglobulins": [7, 8, 9]}
    assert gene_families([name.title() for name in names])["ribosome"] == [0, 1, 2]  # mouse
    assert len(FAMILIES) > 15


def test_check_of_a_planted_model(gnn: SavedModel) -> None:
    read = read_cells(cells(), name="cells")
    sense = enrichment_test(gnn, read, top_k=5, permutations=99, bins=2)
    assert sense.genes == 58  # one gene is in two cells only, one in none
    overall = sense.table[(sense.table["family"] == "ribosome") & (sense.table["permutation"] == "matched")]
    by = overall.set_index("network")
    assert list(by.index) == ["learned", "change", "untrained", "embedding", "correlation"]
    assert by.loc["learned", "share"] > 0.9
    assert by.loc["correlation", "share"] > 0.9
    assert by.loc["learned", "share_p"] == 0.01
    assert by.loc["untrained", "share"] < 0.5
    assert sense.table.equals(enrichment_test(gnn, read, top_k=5, permutations=99, bins=2).table)
    said = verdicts(sense)
    assert said[0].startswith("The learned graph knows families")
    assert said[-1].startswith("It is not shown to be better than the correlation of the same cells")
    page = enrichment_markdown(sense, title="Check")
    assert all(sentence in page for sentence in said)
    assert "| ribosome | 5 |" in page


def test_checks_that_cannot_be_done(gnn: SavedModel) -> None:
    read = read_cells(cells(), name="cells")
    with pytest.raises(DataError, match="no family has 3 genes"):
        enrichment_test(gnn, read, families={"mine": "ABC1|ABC2"})
    with pytest.raises(ConfigError, match="permutations"):
        enrichment_test(gnn, read, permutations=0)
    with pytest.raises(ConfigError, match="min_share"):
        enrichment_test(gnn, read, min_share=2.0)
