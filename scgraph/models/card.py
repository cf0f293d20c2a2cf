"""The card of a saved model: README.md with the front matter that Hugging Face reads.

It is written for people and never read to build anything. One that somebody edits stays a card as long as its front
matter names the library.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgraph.errors import ConfigError
from scgraph.files import write_atomic
from scgraph.nn.conv.base import GeneConv
from scgraph.reporting.escape import for_markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scgraph.config import ModelConfig
    from scgraph.data import Vocabulary
    from scgraph.nn import CellModel

__all__ = [
    "ADDRESS",
    "CARD",
    "LIBRARY",
    "UNKNOWN_LICENSE",
    "card_text",
    "check_license",
    "data_lines",
    "foreign_card",
    "front_matter",
    "is_card",
    "license_of",
    "model_card",
    "name_of",
    "table",
    "with_license",
    "write_card",
]

CARD = "README.md"
ADDRESS = "hf://ORG/NAME"
"""What stands in a card for its address until it is pushed somewhere."""
LIBRARY = "[scgraph](https://pypi.org/project/scgraph-zoo/)"
UNKNOWN_LICENSE = "unknown"
_FRONT = re.compile(r"---\n(.*?\n)---\n", re.DOTALL)
_LIBRARY = re.compile(r"^library_name: *['\"]?scgraph['\"]? *$", re.MULTILINE)
_LICENSE = re.compile(r"^license: *['\"]?([\w.+-]+)['\"]? *$", re.MULTILINE)


def model_card(
    model: CellModel,
    vocabulary: Vocabulary,
    model_config: ModelConfig,
    *,
    metadata: Mapping[str, Any],
    progress: Mapping[str, Any],
    versions: Mapping[str, str],
    license: str,
) -> str:
    """Return the card of a model.

    Args:
        model: the network.
        vocabulary: its genes.
        model_config: what it was built from.
        metadata: what was recorded when training began; what is not there is left out.
        progress: what was recorded with its weights.
        versions: of what wrote it.
        license: name of the licence.
    """
    name = model_config.name()
    data, training = _mapping(metadata.get("data")), _mapping(metadata.get("training"))
    sources = _sources(data)
    cells = sum(int(one["cells"]) for one in sources)
    learned = f", pretrained without labels on {cells:,} cells" if cells else ""
    lines = [
        f"# {for_markdown(name)}, a model of single cells",
        "",
        f"A network of {LIBRARY} on {len(vocabulary):,} genes{learned}. It turns the counts of a cell into a vector of "
        f"{model.width:,} numbers.",
        "",
        "## Use",
        "",
        *usage(
            f"scgraph embed {ADDRESS} cells.h5ad --out embedded.h5ad",
            [f'scgraph.embed(adata, "{ADDRESS}")  # or the folder; writes adata.obsm["X_scgraph"]'],
        ),
        *data_lines(sources),
        *_training_lines(training, progress),
        *_cost_lines(model, vocabulary, model_config, training, progress),
        *_settings_lines({"model": model_config.model_dump(mode="json"), "train": training}),
        *version_lines(versions),
    ]
    return card_text(lines, license=license, tags=[name])


def card_text(lines: Iterable[str], *, license: str, tags: Sequence[str]) -> str:
    """Return lines below a front matter."""
    return front_matter(license=license, tags=tags) + "\n" + "\n".join(lines).rstrip() + "\n"


def front_matter(*, license: str, tags: Sequence[str]) -> str:
    """Return the front matter of a card."""
    import yaml

    values = {
        "library_name": "scgraph",
        "license": license,
        "tags": ["single-cell", "transcriptomics", "gene-expression", *tags],
    }
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---\n"


def usage(command: str, python: Sequence[str]) -> list[str]:
    """Return how what the card stands for is loaded."""
    return [
        "```sh",
        'pip install "scgraph-zoo[hub]"',
        command,
        "```",
        "",
        "```python",
        "import scgraph",
        "",
        *python,
        "```",
        "",
    ]


def data_lines(sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of the cells that were learned from: names of files, never their places on a machine."""
    if not sources:
        return []
    rows = [
        (name_of(one["source"]), f"{int(one['cells']):,}", _count(one.get("genes")), str(one.get("kind") or ""))
        for one in sources
    ]
    return ["## Data", "", *table(("file", "cells", "genes", "values"), rows), ""]


def version_lines(versions: Mapping[str, str]) -> list[str]:
    """Return the versions in a line."""
    return ["## Versions", "", ", ".join(f"{name} {for_markdown(str(one))}" for name, one in versions.items())]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table in Markdown, its names made harmless."""
    lines = [header, ["---"] * len(header), *([for_markdown(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def name_of(source: object) -> str:
    """Return the name of a file without the place where it lay.

    >>> name_of("/home/me/atlas.h5ad"), name_of("sets/cite.h5mu/rna"), name_of("adata")
    ('atlas.h5ad', 'cite.h5mu/rna', 'adata')
    """
    parts = [part for part in re.split(r"[\\/]", str(source)) if part]
    inside = len(parts) > 1 and parts[-2].endswith(".h5mu")
    return "/".join(parts[-2 if inside else -1 :])


def is_card(text: str) -> bool:
    """Tell whether a README.md is the card of a model of scgraph."""
    front = _FRONT.match(text)
    return front is not None and _LIBRARY.search(front[1]) is not None


def foreign_card(folder: Path) -> bool:
    """Tell whether a folder holds a README.md that is none of ours, which is never replaced."""
    text = _read(folder)
    return text is not None and not is_card(text)


def license_of(folder: Path) -> str | None:
    """Return the licence that the card of a folder names; None where there is no card."""
    front = _FRONT.match(_read(folder) or "")
    found = None if front is None else _LICENSE.search(front[1])
    return None if found is None else found[1]


def with_license(text: str, license: str) -> str:
    """Return a card with another licence.

    Raises:
        ConfigError: the text is no card of scgraph.
    """
    front = _FRONT.match(text)
    if front is None or not is_card(text):
        raise ConfigError(f"license: {CARD} is no card of scgraph. Write the licence into it by hand.")
    line = f"license: {license}\n"
    kept = re.sub(r"^license:.*\n", "", front[1], flags=re.MULTILINE)
    return f"---\n{line}{kept}---\n{text[front.end() :]}"


def check_license(license: str | None, out: str | Path | None) -> None:
    """Refuse what cannot be the name of a licence, or one that could not be written down.

    Args:
        license: the name; None for none.
        out: the folder of the model.

    Raises:
        ConfigError: as said.
    """
    if license is None:
        return
    if out is None:
        raise ConfigError("license: it goes into the card in the folder of the model; name one as out.")
    if foreign_card(Path(out).expanduser()):
        raise ConfigError(f"license: {CARD} in {out} is no card of scgraph. Write the licence into it by hand.")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", license):
        raise ConfigError(
            f"license: {license!r} is no name of a licence. Write it as Hugging Face does: mit, cc-by-4.0, other."
        )


def write_card(folder: Path, text: str) -> None:
    """Write a card into a folder, unless a README.md of somebody else stands there.

    Raises:
        OutputError: it cannot be written.
    """
    if not foreign_card(folder):
        write_atomic(folder / CARD, text)


def _read(folder: Path) -> str | None:
    try:
        return (folder / CARD).read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    except OSError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sources(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the records of files in what was recorded of the data, whoever recorded it."""
    listed = data.get("sources")
    found = [*(listed if isinstance(listed, list | tuple) else []), *data.values(), data]
    return [one for one in found if isinstance(one, dict) and "source" in one and isinstance(one.get("cells"), int)]


def _training_lines(training: Mapping[str, Any], progress: Mapping[str, Any]) -> list[str]:
    names = {
        "train_loss": "training cells",
        "validation_loss": "held-out cells",
        "train_mvp_loss": "training cells, masked values of expressed genes",
        "validation_mvp_loss": "held-out cells, masked values of expressed genes",
    }
    losses = [(what, progress[key]) for key, what in names.items() if isinstance(progress.get(key), float)]
    rows = [(what, f"{loss:.4f}") for what, loss in losses if math.isfinite(loss)]
    if not rows:
        return []
    parts = [
        f"{key.removesuffix('_loss')} {training[key]:g}"
        for key in ("mvp_loss", "cell_loss", "count_loss", "neighbor_loss")
        if isinstance(training.get(key), int | float) and training[key] > 0
    ]
    weights = f" The loss is a sum of parts with these weights: {', '.join(parts)}." if parts else ""
    epoch = progress.get("epoch")
    when = f"after epoch {epoch + 1}, step {progress.get('step'):,}" if isinstance(epoch, int) else "at the end"
    said = f"With these weights of the network, {when}.{weights}"
    return ["## Losses", "", said, "", *table(("loss of", ""), rows), ""]


def _cost_lines(
    model: CellModel,
    vocabulary: Vocabulary,
    config: ModelConfig,
    training: Mapping[str, Any],
    progress: Mapping[str, Any],
) -> list[str]:
    rows = [("parameters", f"{sum(weight.numel() for weight in model.parameters()):,}")]
    genes, zeros = training.get("genes"), training.get("zero_genes")
    if isinstance(genes, int) and config.network is None and _states_costs(model):
        wanted = len(vocabulary) if zeros == "all" else zeros if isinstance(zeros, int) else genes
        shown = min(genes, len(vocabulary))
        cost = model.cost(shown, zeros=min(wanted, len(vocabulary) - shown))
        rows.append((f"multiply-adds of a cell of {shown:,} genes", f"{cost.multiply_adds:,}"))
    seconds = progress.get("seconds_in_all")
    if isinstance(seconds, int | float):
        rows.append(("seconds of training", f"{seconds:,.0f}"))
    return ["## Costs", "", *table(("cost", ""), rows), ""]


def _states_costs(model: CellModel) -> bool:
    """Tell whether all layers state what they cost; one that does not would have to be run to count it."""
    blocks = [block for stack in model.stacks for block in stack.blocks]
    return all(type(block.conv).multiply_adds is not GeneConv.multiply_adds for block in blocks)


def _settings_lines(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [(f"{part}.{key}", str(value)) for part, values in parts.items() for key, value in values.items()]
    return ["## Settings", "", *table(("setting", "value"), rows), ""]


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""
