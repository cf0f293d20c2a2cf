"""A saved classifier: a folder of classifier.json, classifier.safetensors, classes.tsv and vocabulary.tsv.

Where it reads the vectors of a model, the files of a saved model stand beside them, so that the folder is one too.
Nothing in it is pickled, imported or run; it appears whole or not at all.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph._version import __version__
from scgraph.annotate.card import classifier_card
from scgraph.annotate.classifier import CellClassifier
from scgraph.annotate.features import FeatureMap
from scgraph.annotate.novelty import ClassDensities, NoveltyScale
from scgraph.data import Vocabulary
from scgraph.data.components import Components, LogValues, Residuals
from scgraph.errors import ModelFileError
from scgraph.files import folder_atomic, json_text, write_atomic
from scgraph.models import SavedModel, load_model
from scgraph.models.card import CARD, UNKNOWN_LICENSE, license_of
from scgraph.models.hub import CLASSIFIER_FILES, local_folder
from scgraph.models.saved import save_model
from scgraph.models.tensors import read_tensors, refuse_foreign, write_tensors
from scgraph.parsing import parse_json
from scgraph.representations.base import ModelRepresentation, SideBySide
from scgraph.representations.classifier import Classifier
from scgraph.representations.components import ComponentRepresentation

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray
    from torch import Tensor

    from scgraph.representations.base import Representation

__all__ = ["DESCRIPTION", "is_classifier", "load_classifier", "save_classifier"]

FORMAT = 2
"""Of format 1, which is still read, is a classifier that asks for the probability alone."""
CLASSES_HEADER = "code\tclass\n"
DESCRIPTION, TENSORS, CLASSES = CLASSIFIER_FILES
GENES = "vocabulary.tsv"
"""That of the model, where there is one."""
_REGRESSION = ("centre", "scale", "weights", "bias", "codes")
_NOVELTY = ("centres", "precision", "centre", "precision_all")
_KEYS = {"format", "name", "features", "regression", "temperature", "threshold", "novelty", "record", "versions"}


def is_classifier(folder: str | Path) -> bool:
    """Tell whether a folder holds a classifier, and not a pretrained model."""
    return (Path(folder).expanduser() / DESCRIPTION).is_file()


def save_classifier(
    folder: str | Path, classifier: CellClassifier, *, model: SavedModel | None = None, overwrite: bool = False
) -> None:
    """Save a classifier with all that it needs.

    Args:
        folder: created.
        classifier: what is saved.
        model: description of the model whose vectors it reads; None where it reads components.
        overwrite: replace a classifier that stands there.

    Raises:
        OutputError: the folder stands there already or cannot be written.
    """
    tensors: dict[str, NDArray[Any]] = {}
    features = _described(classifier.features.representation, tensors, "features")
    regression = classifier.regression
    for name in _REGRESSION:
        tensors[f"regression.{name}"] = getattr(regression, name)
    novelty: dict[str, float] | None = None
    if classifier.novelty is not None:
        densities = classifier.novelty.densities
        novelty = {"offset": densities.offset, "max": classifier.max_novelty}
        tensors["novelty.quantiles"] = classifier.novelty.quantiles
        for name in _NOVELTY:
            tensors[f"novelty.{name}"] = getattr(densities, name)
    description = {
        "format": FORMAT,
        "name": classifier.name,
        "features": {**features, "own_totals": classifier.features.own_totals},
        "regression": {"inverse_penalty": regression.inverse_penalty, "scaling": regression.scaling},
        "temperature": classifier.temperature,
        "threshold": classifier.threshold,
        "novelty": novelty,
        "record": classifier.record,
        "versions": {"scgraph": __version__},
    }
    with folder_atomic(folder, overwrite=overwrite, ours=is_classifier) as new:
        # A name may hold anything; as a JSON string without its quotes it stands on one line.
        lines = [f"{at}\t{json.dumps(name, ensure_ascii=False)[1:-1]}\n" for at, name in enumerate(classifier.classes)]
        write_atomic(new / CLASSES, "".join([CLASSES_HEADER, *lines]))
        if isinstance(classifier.features.representation, ModelRepresentation) and model is not None:
            network = classifier.features.representation.model
            save_model(new, network, model.vocabulary, model.model_config, metadata=model.metadata)
        else:
            write_atomic(new / GENES, classifier.features.vocabulary.to_tsv())
        write_tensors(new / TENSORS, _as_tensors(tensors), {"vocabulary": classifier.features.vocabulary.sha256})
        write_atomic(new / DESCRIPTION, json_text(description))
        license = license_of(Path(folder).expanduser()) or UNKNOWN_LICENSE
        write_atomic(new / CARD, classifier_card(classifier, license=license))


def load_classifier(folder: str | Path, *, device: str = "auto", allow_conv: Collection[str] = ()) -> CellClassifier:
    """Load a classifier that `save_classifier` wrote.

    Args:
        folder: the folder, or ``hf://org/name`` as `scgraph push` names it.
        device: where its model runs, if it has one.
        allow_conv: see `scgraph.load_model`.

    Raises:
        ModelFileError: a file is missing, damaged, foreign or of a newer version; names it.
    """
    folder = local_folder(folder)
    description = _read_description(folder / DESCRIPTION)
    refuse_foreign(folder / GENES)
    try:
        vocabulary = Vocabulary.from_tsv((folder / GENES).read_text(encoding="utf-8"))
    except (ModelFileError, ValueError) as error:
        raise ModelFileError(f"{folder / GENES}: is damaged: {error}") from error
    tensors, header = read_tensors(folder / TENSORS)
    if header.get("vocabulary") != vocabulary.sha256:
        raise ModelFileError(f"{folder / TENSORS}: belongs to other genes than {GENES} says. Copy the whole folder.")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    classes = _read_classes(folder / CLASSES)
    try:
        features = _rebuilt(description["features"], arrays, "features", folder, device, allow_conv)
        centre, scale, weights, bias, codes = (arrays[f"regression.{name}"] for name in _REGRESSION)
        chosen = description["regression"]
        regression = Classifier(
            centre, scale, weights, bias, codes, float(chosen["inverse_penalty"]), chosen["scaling"], math.nan
        )
        _check_shapes(regression, len(classes), folder / TENSORS)
        novelty, max_novelty = _rebuilt_novelty(description["novelty"], arrays, folder / TENSORS, regression)
        own_totals = bool(description["features"]["own_totals"])
        return CellClassifier(
            str(description["name"]),
            FeatureMap(features, vocabulary, own_totals=own_totals),
            regression,
            classes,
            float(description["temperature"]),
            float(description["threshold"]),
            novelty,
            max_novelty,
            dict(description["record"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{folder}: its files do not belong together ({error}). Copy the whole folder.") from error


def _read_description(path: Path) -> dict[str, Any]:
    refuse_foreign(path)
    try:
        description = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelFileError(f"{path}: is not valid JSON ({error}). Copy it again.") from error
    version = description.get("format") if isinstance(description, dict) else None
    if not isinstance(version, int):
        raise ModelFileError(f"{path}: was not written by scgraph, it has no format number.")
    if version > FORMAT:
        raise ModelFileError(
            f"{path}: has format {version}; this scgraph reads up to format {FORMAT}. Upgrade scgraph (pip install "
            "--upgrade scgraph-zoo)."
        )
    if version == 1:
        description.setdefault("novelty", None)
    wrong = sorted(_KEYS.symmetric_difference(description))
    if wrong:
        raise ModelFileError(f"{path}: missing or unknown keys: {', '.join(wrong)}. Copy it again.")
    return dict(description)


def _read_classes(path: Path) -> tuple[str, ...]:
    refuse_foreign(path)
    header, *lines = path.read_text(encoding="utf-8").split("\n")
    rows = [line.split("\t") for line in lines[:-1]]
    whole = header + "\n" == CLASSES_HEADER and lines and not lines[-1]
    if not whole or any(len(row) != 2 or row[0] != str(at) for at, row in enumerate(rows)):
        raise ModelFileError(f"{path}: is damaged. Copy it again.")
    return tuple(str(json.loads(f'"{row[1]}"')) for row in rows)


def _check_shapes(regression: Classifier, classes: int, path: Path) -> None:
    width, known = regression.weights.shape
    fits = (
        regression.centre.shape == regression.scale.shape == (width,)
        and regression.bias.shape == regression.codes.shape == (known,)
        and known > 0
        and regression.codes.min() >= 0
        and regression.codes.max() < classes
        and all(np.isfinite(one).all() for one in (regression.centre, regression.scale, regression.weights))
    )
    if not fits:
        raise ModelFileError(f"{path}: its tensors do not fit each other or {CLASSES}. Copy the whole folder.")


def _rebuilt_novelty(
    described: dict[str, Any] | None, arrays: dict[str, NDArray[Any]], path: Path, regression: Classifier
) -> tuple[NoveltyScale | None, float]:
    """Return how unlike every class a cell is, and above which novelty it is unknown."""
    if described is None:
        return None, 1.0
    centres, precision, centre, precision_all = (arrays[f"novelty.{name}"] for name in _NOVELTY)
    quantiles, width = arrays["novelty.quantiles"], len(regression.centre)
    fits = (
        centres.ndim == 2
        and len(centres) > 0
        and centres.shape[1:] == centre.shape == (width,)
        and precision.shape == precision_all.shape == (width, width)
        and quantiles.ndim == 1
        and len(quantiles) > 1
        and bool((np.diff(quantiles) >= 0).all())
        and all(np.isfinite(one).all() for one in (centres, centre, precision, precision_all, quantiles))
    )
    if not fits:
        raise ModelFileError(f"{path}: its tensors do not fit each other. Copy the whole folder.")
    densities = ClassDensities(centres, precision, centre, precision_all, float(described["offset"]))
    return NoveltyScale(densities, quantiles), float(described["max"])


def _described(representation: Representation, tensors: dict[str, NDArray[Any]], prefix: str) -> dict[str, Any]:
    """Describe a representation, its arrays going into `tensors`."""
    if isinstance(representation, SideBySide):
        blocks = [_described(one, tensors, f"{prefix}.{at}") for at, one in enumerate(representation.blocks)]
        return {
            "kind": "side by side",
            "name": representation.name,
            "blocks": blocks,
            "scales": [*representation.scales],
        }
    if isinstance(representation, ModelRepresentation):
        return {"kind": "model", "name": representation.name, "seed": representation.seed}
    if not isinstance(representation, ComponentRepresentation):
        raise TypeError(f"{type(representation).__name__} is no kind of features that can be saved")
    components = representation.components
    values = components.transform
    described = {"kind": "components", "name": representation.name, "width": representation.width}
    tensors[f"{prefix}.loadings"], tensors[f"{prefix}.centre"] = components.loadings, components.centre
    tensors[f"{prefix}.genes"] = values.genes
    if isinstance(values, LogValues):
        return {**described, "values": "sqrt" if values.roots else "log1p"}
    if not isinstance(values, Residuals):
        raise TypeError(f"{type(values).__name__} is no kind of values that can be saved")
    tensors[f"{prefix}.shares"] = values.shares
    return {**described, "values": "pearson", "largest": values.largest}


def _rebuilt(
    described: dict[str, Any],
    arrays: dict[str, NDArray[Any]],
    prefix: str,
    folder: Path,
    device: str,
    allow_conv: Collection[str],
) -> Representation:
    """Undo `_described`."""
    kind, name = described["kind"], str(described["name"])
    if kind == "side by side":
        blocks = [
            _rebuilt(one, arrays, f"{prefix}.{at}", folder, device, allow_conv)
            for at, one in enumerate(described["blocks"])
        ]
        return SideBySide(name, tuple(blocks), tuple(float(scale) for scale in described["scales"]))
    if kind == "model":
        saved = load_model(folder, allow_conv=allow_conv)
        training = saved.training().model_copy(update={"device": device})
        return ModelRepresentation(name, saved.model, training, int(described["seed"]))
    if kind != "components":
        raise ModelFileError(f"{folder / DESCRIPTION}: features of the kind {kind!r} are not known here.")
    genes = arrays[f"{prefix}.genes"]
    values: LogValues | Residuals
    if described["values"] == "pearson":
        values = Residuals(genes, arrays[f"{prefix}.shares"], float(described["largest"]))
    else:
        values = LogValues(genes, roots=described["values"] == "sqrt")
    components = Components(values, arrays[f"{prefix}.loadings"], arrays[f"{prefix}.centre"])
    return ComponentRepresentation(name, components, int(described["width"]))


def _as_tensors(arrays: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    import torch

    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
