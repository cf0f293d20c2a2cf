"""Files of edges: .tsv, .csv and .graphml, as named genes and numbers."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.data.files.names import examples
from scgraph.errors import DataError
from scgraph.reporting.escape import from_spreadsheet

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["EdgeTable", "read_edges"]

_DIVIDED_BY = {".tsv": "\t", ".csv": ","}
_COLUMNS = (("source",), ("target",))
_OTHER_COLUMNS = (("source", "tf", "regulator", "gene1"), ("target", "target_gene", "gene2"))
"""Names of the two columns of a header, in any case: those of CollecTRI, of DoRothEA and SCENIC, of BEELINE."""
_HOW = (
    "Give two columns, source and target, and if need be a third with weights, divided by tabs (.tsv) or commas (.csv)."
)


@dataclass(frozen=True, eq=False)
class EdgeTable:
    """The edges of a file, in its order.

    Attributes:
        where: the file.
        names: names of the genes, each once.
        source: position in `names` of the gene that sends, int64 `[E]`.
        target: position in `names` of the gene that receives, int64 `[E]`.
        weight: finite and not negative, float64 `[E]`; 1 where the file names none.
        undirected: whether the file says that its edges have no direction.
        sha256: of the file.
    """

    where: str
    names: tuple[str, ...]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]
    undirected: bool
    sha256: str


def read_edges(path: str | Path, *, weighted: bool = True) -> EdgeTable:
    """Read a file of edges.

    Args:
        path: the file.
        weighted: whether weights count. If not, they may be anything, such as signs, and of a table without header the
            first two columns are taken, however many there are; the columns of a header may be called tf or regulator
            and target, or Gene1 and Gene2.

    Raises:
        DataError: missing, empty, binary, cut, of another kind, without two named columns, without a gene name, or
            with a weight that is no number of at least 0; the message names the line or edge.
    """
    path = Path(path).expanduser()
    if path.suffix not in {*_DIVIDED_BY, ".graphml"}:
        raise DataError(
            f"{path}: a gene network is a .tsv, .csv or .graphml file, not {path.suffix or 'a file without ending'}."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Name the file with the edges.") from error
    if not data.strip():
        raise DataError(f"{path}: is empty. {_HOW}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataError(f"{path}: is no text (UTF-8). {_HOW}")
    undirected = False
    if path.suffix == ".graphml":
        source, target, weights, undirected = _graphml(data, path)
        first = None
    else:
        source, target, weights, first = _table(text, _DIVIDED_BY[path.suffix], path, weighted=weighted)
    if not source:
        raise DataError(f"{path}: holds no edge. {_HOW}")

    def place(at: int) -> str:
        return f"edge {source[at]} to {target[at]}" if first is None else f"line {at + first}"

    nameless = [at for at, pair in enumerate(zip(source, target, strict=True)) if not all(pair)]
    if nameless:
        raise DataError(f"{path}: {place(nameless[0])} lacks the name of a gene. Both ends of an edge need one.")
    weight = _numbers(weights, place, path) if weighted and weights is not None else np.ones(len(source))
    number = {name: at for at, name in enumerate(sorted({*source, *target}))}
    return EdgeTable(
        where=str(path),
        names=tuple(number),
        source=np.fromiter((number[name] for name in source), dtype=np.int64, count=len(source)),
        target=np.fromiter((number[name] for name in target), dtype=np.int64, count=len(target)),
        weight=weight,
        undirected=undirected,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _table(text: str, sign: str, path: Path, *, weighted: bool) -> tuple[list[str], list[str], list[str] | None, int]:
    """Return source, target and weight as text, and the number of the first line that is an edge."""
    import pandas as pd

    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=sign,
            header=None,
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            quoting=csv.QUOTE_NONE if sign == "\t" else csv.QUOTE_MINIMAL,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise DataError(f"{path}: is no table: {reason}. {_HOW}") from error
    # Lines without anything at the end are no edges; elsewhere they are missed names, and said so.
    filled = (frame.fillna("") != "").any(axis=1).to_numpy().nonzero()[0]
    frame = frame.iloc[: filled[-1] + 1]
    head = [str(name).strip().lower() for name in frame.iloc[0]]
    wanted = _COLUMNS if weighted else _OTHER_COLUMNS
    found = [next((head.index(name) for name in names if name in head), None) for names in wanted]
    columns = [column for column in found if column is not None]
    if len(columns) == len(_COLUMNS):
        source, target = (_stripped(frame[column].iloc[1:]) for column in columns)
        return source, target, _optional(frame[head.index("weight")].iloc[1:] if "weight" in head else None), 2
    if frame.shape[1] < 2 or (weighted and frame.shape[1] > 3):
        hint = "" if frame.shape[1] > 1 else f" The first line is {str(frame.iloc[0, 0])[:60]!r}."
        column = "1 column" if frame.shape[1] == 1 else f"{frame.shape[1]} columns and no header with source and target"
        raise DataError(f"{path}: has {column}.{hint} {_HOW}")
    if weighted and frame.shape[1] == 3 and not _is_number(str(frame.iloc[0, 2])):
        raise DataError(
            f"{path}: line 1 is neither an edge (its weight is {frame.iloc[0, 2]!r}) nor the header source, target, "
            f"weight. {_HOW}"
        )
    weight = _optional(frame[2]) if weighted and frame.shape[1] == 3 else None
    return _stripped(frame[0]), _stripped(frame[1]), weight, 1


def _stripped(column: pd.Series[Any]) -> list[str]:
    # Cells that a short line lacks are NaN, all others text.
    return [from_spreadsheet(name.strip()) if isinstance(name, str) else "" for name in column.tolist()]


def _optional(column: pd.Series[Any] | None) -> list[str] | None:
    return None if column is None else _stripped(column)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(texts: list[str], place: Callable[[int], str], path: Path) -> NDArray[np.float64]:
    try:
        weight = np.asarray(texts, dtype=np.float64)
    except ValueError:
        wrong = next(at for at, text in enumerate(texts) if not _is_number(text))
        raise DataError(f"{path}: {place(wrong)}: the weight {texts[wrong]!r} is no number.") from None
    bad = np.flatnonzero(~np.isfinite(weight) | (weight < 0))
    if len(bad):
        shown = examples([f"{place(at)}: {texts[at]}" for at in bad[:4]])
        raise DataError(
            f"{path}: {len(bad):,} weights are negative or not finite ({shown}). Weights say how strong an edge is: "
            "numbers of at least 0, or no weights at all."
        )
    return weight


def _graphml(data: bytes, path: Path) -> tuple[list[str], list[str], list[str] | None, bool]:
    """Return source, target and weight of the edges, and whether they have no direction.

    A node is called by its attribute `name` where all nodes have one, else by its id.
    """
    from xml.etree.ElementTree import ParseError

    import networkx

    if b"<!ENTITY" in data or b"<!DOCTYPE" in data:
        raise DataError(f"{path}: declares a document type, which GraphML does not need and scgraph does not read.")
    try:
        graph = networkx.read_graphml(io.BytesIO(data), node_type=str)
    except (ParseError, networkx.NetworkXException, KeyError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: is no GraphML that networkx reads ({' '.join(str(error).split())}).") from error
    given = [data.get("name") for _, data in graph.nodes(data=True)]
    name = dict(zip(graph, graph, strict=True))
    if all(isinstance(one, str) and one for one in given):
        name = dict(zip(graph, given, strict=True))
    edges = list(graph.edges(data="weight"))
    source = [str(name[one]).strip() for one, _, _ in edges]
    target = [str(name[other]).strip() for _, other, _ in edges]
    given_weights = [weight for _, _, weight in edges]
    if any(weight is None for weight in given_weights) and not all(weight is None for weight in given_weights):
        at = next(at for at, weight in enumerate(given_weights) if weight is None)
        raise DataError(f"{path}: edge {source[at]} to {target[at]} has no weight and others have one.")
    weights = None if not given_weights or given_weights[0] is None else [str(weight) for weight in given_weights]
    return source, target, weights, not graph.is_directed()
