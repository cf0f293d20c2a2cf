"""Labels for cells that have none, from a labelled reference or from a classifier that was saved."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.annotate.classifier import vote
from scgraph.annotate.config import AnnotateConfig
from scgraph.annotate.features import check_genes
from scgraph.annotate.plan import make_plan
from scgraph.annotate.results import Limits, choice_note, label_columns, query_record
from scgraph.annotate.saved import is_classifier, load_classifier, save_classifier
from scgraph.annotate.training import train_classifier
from scgraph.annotate.writing import check_adata, check_file, write_adata, write_file
from scgraph.data.files.stream import CellStream, cells_or_stream
from scgraph.data.sets.labelled import DEFAULT_LABEL, check_labelled
from scgraph.errors import ConfigError, argument, did_you_mean
from scgraph.files import check_new_folder
from scgraph.models.hub import local_folder
from scgraph.train import as_saved
from scgraph.train.copies import check_place

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.annotate.classifier import CellClassifier
    from scgraph.data import Cells
    from scgraph.models import SavedModel
    from scgraph.train import Pretrained

__all__ = ["annotate_file", "run_annotate"]


def run_annotate(
    adata: AnnData,
    reference: str | Path | AnnData | None = None,
    *,
    label: str = DEFAULT_LABEL,
    batch_key: str | None = None,
    model: Pretrained | SavedModel | str | Path | None = None,
    save: str | Path | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> dict[str, Any]:
    """Label the cells of ``adata``: ``scgraph_label``, ``_probability`` and ``_novelty`` in obs, a record in uns.

    On held-out parts of the reference (whole batches where `batch_key` names several, else cells at random) it tries
    logistic regression on 50 components of log values, on 32 of square roots and 32 of Pearson residuals, and on the
    vectors of a model, as it is and fine-tuned, where there is one. The best in macro-F1 learns from all labelled
    cells. Probabilities are calibrated on the held-out cells (temperature scaling). A cell is ``unknown`` where it is
    less like any class than 96 % of the rightly labelled held-out cells are, or where its best label has a probability
    that 99 % of them reach.

    Args:
        adata: cells without labels; changed in place. Where it is backed by a file its matrix is read a block at a
            time, but for `pretrain`.
        reference: labelled cells: a file or an AnnData object; None where `model` is a saved classifier.
        label: column of the reference with the classes.
        batch_key: column of the reference with donors or batches, to be held out whole.
        model: a pretrained model to try (a folder, ``hf://org/name``, or what `scgraph.pretrain` or
            `scgraph.load_model` returned), or a classifier that `save` wrote (a folder or ``hf://org/name``).
        save: folder to save the classifier to.
        overwrite: replace a classifier in `save`.
        say: told what was read, what was tried, and what was taken.
        options: further fields of `scgraph.annotate.AnnotateConfig`: candidates, pretrain, majority, top, threshold,
            max_novelty, key_added, layer, values, reference_layer, reference_values, min_matched, device, allow_conv,
            seed.

    Returns:
        The record: what was tried with its scores, calibration error, threshold, classes that were left out, and how
        many cells got each label.

    Raises:
        ConfigError: an option cannot be used, or neither reference nor classifier is given.
        DataError: the cells cannot be used, too few genes are shared, or a class has one cell.
        ModelFileError: the model or classifier is damaged.
        OutputError: `save` stands there already.
    """
    config = _config(options, label=label, batch_key=batch_key)
    _check_sources(reference, model, save, config)
    _check_save(save, overwrite=overwrite)
    check_adata(adata, config)
    _check_reference(reference, config)
    cells = cells_or_stream(adata, layer=config.layer, values=config.values)
    columns, record = _labelled(
        cells, adata.n_obs, reference, config, model=model, save=save, overwrite=overwrite, say=say
    )
    write_adata(adata, columns, record, config)
    return record


def annotate_file(
    data: str | Path,
    reference: str | Path | AnnData | None = None,
    *,
    out: str | Path,
    label: str = DEFAULT_LABEL,
    batch_key: str | None = None,
    model: Pretrained | SavedModel | str | Path | None = None,
    save: str | Path | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> dict[str, Any]:
    """Label the cells of a file in a copy of it; see `run_annotate`. The copy appears whole or not at all.

    The file is read in blocks and copied byte for byte but for what is added; a 10x file becomes an .h5ad file.

    Raises:
        ScgraphError: as `run_annotate`.
        OutputError: `out` stands there already, or cannot be written.
    """
    config = _config(options, label=label, batch_key=batch_key)
    data, out = Path(data), Path(out)
    _check_sources(reference, model, save, config)
    check_place(out, overwrite=overwrite)
    _check_save(save, overwrite=overwrite)
    check_file(data, out, config)
    _check_reference(reference, config)
    stream = CellStream(data, layer=config.layer, values=config.values)
    columns, record = _labelled(
        stream, len(stream.obs_names), reference, config, model=model, save=save, overwrite=overwrite, say=say
    )
    write_file(stream, out, columns, record, config, overwrite=overwrite, say=say)
    return record


def _labelled(
    query: Cells | CellStream,
    size: int,
    reference: str | Path | AnnData | None,
    config: AnnotateConfig,
    *,
    model: Pretrained | SavedModel | str | Path | None,
    save: str | Path | None,
    overwrite: bool,
    say: Callable[[str], None],
) -> tuple[dict[str, NDArray[np.float64] | pd.Categorical], dict[str, Any]]:
    """Return the columns of obs and the record; saves the classifier where that is asked for."""
    for note in query.notes:
        say(note)
    if isinstance(model, str | Path):
        model = local_folder(model)
    if reference is None:
        assert model is not None  # `_check_sources` has refused it
        classifier = _loaded(model, query, config, say)
    else:
        if isinstance(model, str | Path) and is_classifier(model):
            raise ConfigError(f"{model}: is a classifier that knows its classes. Leave the reference out.")
        saved = None if model is None else as_saved(model, allow_conv=config.allow_conv)
        plan = make_plan(reference, query, config, saved)
        for note in plan.notes:
            say(note)
        classifier, saved = train_classifier(plan, query, config, say)
        if save is not None:
            save_classifier(save, classifier, model=saved, overwrite=overwrite)
    limits, own = Limits.of(classifier, config), Limits.of(classifier, AnnotateConfig())
    say(choice_note({**classifier.record, "classifier": classifier.name, **asdict(own)}))
    predicted = classifier.predict(query.blocks(), size)
    probability = vote(predicted) if config.majority else predicted.probability
    columns = label_columns(predicted, probability, classifier.classes, config, limits)
    record = query_record(classifier, predicted, columns[config.label_column], config, limits)
    if record["cells_without_counts"]:
        say(f"{record['cells_without_counts']:,} cells have no count on the genes of the classifier: they are unknown")
    return columns, record


def _loaded(
    model: Pretrained | SavedModel | str | Path,
    query: Cells | CellStream,
    config: AnnotateConfig,
    say: Callable[[str], None],
) -> CellClassifier:
    """Load a classifier and check that the query has its genes."""
    if not isinstance(model, str | Path) or not is_classifier(model):
        saved = as_saved(model, allow_conv=config.allow_conv)  # says what else is wrong with it
        name = model if isinstance(model, str | Path) else saved.model_config.name()
        raise ConfigError(f"{name}: is a model that knows no classes. Give a reference with labels beside it.")
    classifier = load_classifier(model, device=config.device, allow_conv=config.allow_conv)
    in_common = check_genes(classifier.features.vocabulary, query, min_matched=config.min_matched)
    say(f"genes in common: {in_common}")
    if classifier.novelty is None:
        say(
            f"{model}: is of format 1, which says unknown by the probability alone. Make it again from its reference "
            f"({argument('save')}) for the novelty too"
        )
    return classifier


def _config(options: dict[str, Any], **named: Any) -> AnnotateConfig:
    known = [field.name for field in fields(AnnotateConfig)]
    for name in options:
        if name not in known:
            raise ConfigError(f"annotate has no option {name!r}.{did_you_mean(name, known)}")
    return AnnotateConfig(**named, **options)


def _check_reference(reference: str | Path | AnnData | None, config: AnnotateConfig) -> None:
    """Refuse, before any matrix is read, columns that nothing can be learned from."""
    if reference is not None:
        check_labelled(reference, layer=config.reference_layer, label=config.label, batch_key=config.batch_key)


def _check_sources(reference: object, model: object, save: object, config: AnnotateConfig) -> None:
    """Refuse, before anything is read, what no classifier can come from."""
    if reference is not None:
        return
    if model is None:
        raise ConfigError(
            f"{argument('reference')}: give labelled cells to learn from, or a saved classifier as {argument('model')}."
        )
    if save is not None or config.pretrain is not None or config.batch_key is not None:
        raise ConfigError(
            f"{argument('save')}, {argument('pretrain')} and {argument('batch_key')}: only a classifier that is made "
            "from a reference has these."
        )


def _check_save(save: str | Path | None, *, overwrite: bool) -> None:
    """Refuse an occupied folder before the work."""
    if save is not None:
        check_new_folder(Path(save).expanduser().absolute(), overwrite=overwrite, ours=is_classifier)
