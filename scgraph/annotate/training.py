"""From a plan to a classifier: try the candidates on held-out cells, take the best, learn from all cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph._version import __version__
from scgraph.annotate.calibration import GIVEN_UP_AS_NEW
from scgraph.annotate.candidates import component_candidates, model_candidates
from scgraph.annotate.classifier import CellClassifier
from scgraph.annotate.features import restricted
from scgraph.annotate.measure import hold_out, leave_classes_out
from scgraph.config_files import as_pretrain_config
from scgraph.data import read_cells
from scgraph.data.files.stream import CellStream
from scgraph.data.sets.corpus import FileCorpus, stores_to_train_on
from scgraph.errors import ConfigError, did_you_mean
from scgraph.models import SavedModel
from scgraph.models.settings import settings_by_model
from scgraph.reporting.digits import four_digits
from scgraph.reporting.rows import FINE_TUNED, PAIR, REGRESSION
from scgraph.train import pretrain

if TYPE_CHECKING:
    from collections.abc import Callable

    from scgraph.annotate.candidates import Candidate
    from scgraph.annotate.config import AnnotateConfig
    from scgraph.annotate.plan import Plan
    from scgraph.data import Cells

__all__ = ["train_classifier"]

PRETRAINED = "gnn"


def train_classifier(
    plan: Plan, query: Cells | CellStream, config: AnnotateConfig, say: Callable[[str], None]
) -> tuple[CellClassifier, SavedModel | None]:
    """Try every candidate on held-out cells and return the best, fitted to all cells of the reference.

    The best is that of the highest macro-F1 on the held-out cells, the first of equals: components before models.

    Returns:
        The classifier, and the model that was tried; None where there was none.

    Raises:
        ScgraphError: see `make_plan` and `scgraph.annotate.measure.hold_out`.
    """
    codes, classes = plan.reference.codes, plan.reference.classes
    saved = plan.saved
    if config.pretrain is not None:
        saved = _pretrained(plan, query, config, say)
    candidates = _candidates(plan, saved, config)
    tried = []
    for candidate in candidates:
        tried.append(hold_out(candidate.name, candidate.features, codes, plan.folds, classes=len(classes)))
        say(f"{candidate.name}: macro-F1 {four_digits(tried[-1].scores['macro_f1'])} on held-out cells")
    order = sorted(range(len(tried)), key=lambda at: -tried[at].scores["macro_f1"])
    best = order[0]
    # Classes are left out of what no label has a part in: a fine-tuning for each class would take too long.
    fixed = next((at for at in order if not candidates[at].sees_labels), None)
    left_out: list[dict[str, Any]] = []
    if fixed is not None:
        left_out = leave_classes_out(tried[fixed], candidates[fixed].final()[1], codes, classes, seed=config.seed)
    features, x = candidates[best].final()
    record: dict[str, Any] = {
        "reference": plan.reference.cells.manifest["source"],
        "reference_sha256": plan.reference.cells.manifest["sha256"],
        "reference_cells": len(codes),
        "label": config.label,
        "held_out": plan.folds.how,
        "candidates": [one.row() for one in tried],
        "left_out": left_out,
        "left_out_by": None if fixed is None else tried[fixed].name,
        "versions": {"scgraph": __version__},
    }
    regression = tried[best].fit(x, codes)
    chosen = tried[best]
    return (
        CellClassifier(
            chosen.name,
            features,
            regression,
            classes,
            chosen.temperature,
            chosen.threshold,
            chosen.novelty(x, codes),
            1 - GIVEN_UP_AS_NEW,
            record,
        ),
        saved,
    )


def _candidates(plan: Plan, saved: SavedModel | None, config: AnnotateConfig) -> list[Candidate]:
    """Return what is tried, components before models.

    Raises:
        ConfigError: one that is asked for cannot be tried here.
    """
    names = [REGRESSION, *([PAIR] if plan.counts_known else [])]
    if saved is not None:
        names += [saved.model_config.name(), saved.model_config.name() + FINE_TUNED]
    wanted = names if config.candidates is None else list(config.candidates)
    if not wanted:
        raise ConfigError("candidates: name at least one.")
    for name in wanted:
        if name not in names:
            raise ConfigError(f"candidates: {name!r} cannot be tried here.{did_you_mean(name, names)}")
    candidates = component_candidates(
        plan.store, plan.genes, [name for name in (REGRESSION, PAIR) if name in wanted], seed=config.seed
    )
    if saved is not None:
        own_totals = config.pretrain is not None
        cells, codes = plan.reference.cells, plan.reference.codes
        candidates += model_candidates(
            saved, cells, codes, own_totals=own_totals, seed=config.seed, device=config.device
        )
    return [one for one in candidates if one.name in wanted]


def _pretrained(
    plan: Plan, query: Cells | CellStream, config: AnnotateConfig, say: Callable[[str], None]
) -> SavedModel:
    """Pretrain a model without labels on the cells of both sides, on the genes that both have."""
    settings = settings_by_model([PRETRAINED], as_pretrain_config(config.pretrain or {}))[PRETRAINED]
    if isinstance(query, CellStream):
        query = read_cells(query.source, layer=config.layer, values=config.values)
    corpus = FileCorpus([restricted(cells, plan.genes) for cells in (plan.reference.cells, query)])
    store, validation = stores_to_train_on(corpus, settings, seed=config.seed)
    training = settings.train_for(len(store), seed=config.seed).model_copy(update={"device": config.device})
    say(f"a {PRETRAINED} is pretrained on {len(store):,} cells of both sides, without labels")
    trained = pretrain(
        settings.model, training, store, validation, progress=False, manifest={"sources": corpus.manifests}
    )
    for note in trained.notes:
        say(note)
    return SavedModel(
        trained.model,
        trained.vocabulary,
        trained.model_config,
        {**trained.config, "training": training.model_dump(mode="json")},
        {},
        {"scgraph": __version__},
    )
