"""One-layer models of the synthetic example, written for many independent runs at once.

Shapes: R runs (settings and seeds), B samples of a batch, 4 tokens, F input features of a token, C channels.
Samples lie in the last dimension, so that sums over tokens, features and channels run over long rows.
Parameters of run r are row r of one flat `[R, P]` tensor: an optimizer that works entry by entry, as Adam
does, then trains every run as if it were alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import torch

from scgraph.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = ["Adjacency", "Inputs", "Kind", "Layer", "Model", "Parameters", "encode", "predict", "predict_plain"]

Kind = Literal["gnn", "tf"]
Layer = Literal["plain", "linear", "relu", "residual"]
Adjacency = Literal["token", "position"]

POSITIONS = slice(4, 8)


@dataclass(frozen=True)
class Model:
    r"""Which model, from the masked token m's point of view.

    Embeddings are :math:`e_j = E[j] + P[p_j] + L_1(v_j)`, with the mask token in place of :math:`L_1(v_m)`, and the
    prediction is :math:`L_2(e'_m)` (Eq. 6 to 8). The layer computes

    .. math::
        h_m = \sum_j \mathrm{softmax}_j(A_{mj})\, e_j \quad\text{(gnn, Eq. 11)}, \qquad
        h_m = \sum_j \mathrm{softmax}_j\big((e_m W_q)(e_j W_k)^T/\sqrt{C}\big)\, e_j W_v \quad\text{(tf, Eq. 9)}

    and then, for `layer`: `plain` h (of tf always with :math:`W_v`, as Eq. 9 has it); `linear` h W;
    `relu` ReLU(h W + b); `residual` e + ReLU(h W + b).

    Attributes:
        kind: `gnn` or `tf`.
        layer: what follows the weighted sum.
        positions: whether the absolute position is embedded.
        adjacency: whether A belongs to pairs of tokens or to pairs of positions.
        channels: C.
    """

    kind: Kind
    layer: Layer = "plain"
    positions: bool = True
    adjacency: Adjacency = "token"
    channels: int = 8

    def __post_init__(self) -> None:
        for name, allowed in (("kind", Kind), ("layer", Layer), ("adjacency", Adjacency)):
            value, known = getattr(self, name), get_args(allowed)
            if value not in known:
                raise ConfigError(f"There is no {name} {value!r}.{did_you_mean(str(value), known)}")
        if self.adjacency == "position" and not self.positions:
            raise ConfigError("An adjacency of positions needs models with positions.")

    @property
    def features(self) -> int:
        """F: one-hot token 4, one-hot position 4 where embedded, value, value given, value masked."""
        return 11 if self.positions else 7


class Inputs(NamedTuple):
    """A batch as the models read it.

    Attributes:
        features: of every token a, b, c, d, `[R, F, 4, B]`; embeddings are linear in them.
        masked: one-hot of the masked token, `[4, B]`, the same in all runs.
        target: its value, `[R, B]`.
    """

    features: Tensor
    masked: Tensor
    target: Tensor


class Parameters:
    """Names, shapes and initial values of a model's parameters."""

    def __init__(self, model: Model) -> None:
        c = model.channels
        self.shapes: dict[str, tuple[int, ...]] = {"embedding": (model.features, c)}
        if model.kind == "gnn":
            self.shapes["adjacency"] = (4, 4)
        else:
            self.shapes |= {"query": (c, c), "key": (c, c), "value": (c, c)}
        if model.layer != "plain":
            self.shapes["weight"] = (c, c)
        if model.layer in ("relu", "residual"):
            self.shapes["bias"] = (c,)
        self.shapes |= {"head": (c,), "head_bias": ()}
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        self.model = model

    def draw(self, seed: int) -> Tensor:
        """Initial values of one run, `[P]`, float64: as `torch.nn.Embedding` and `torch.nn.Linear` draw them."""
        generator = torch.Generator().manual_seed(seed)
        bound = 1 / math.sqrt(self.model.channels)
        parts = []
        for name, shape in self.shapes.items():
            if name in ("embedding", "adjacency"):
                part = torch.randn(shape, generator=generator, dtype=torch.float64)
            else:
                part = _uniform(shape, bound, generator)
            if name == "embedding":
                # L_1 is a linear layer of one input: weight and bias are drawn from -1 to 1.
                part[-3:-1] = _uniform((2, shape[1]), 1.0, generator)
            parts.append(part.reshape(-1))
        return torch.cat(parts)

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """Views of `[R, P]` by name, each `[R, *shape]`."""
        pieces = zip(torch.split(flat, self.sizes, dim=1), self.shapes.items(), strict=True)
        return {name: piece.reshape(len(flat), *shape) for piece, (name, shape) in pieces}


def encode(places: Tensor, values: Tensor, masked: Tensor, *, positions: bool) -> Inputs:
    """Features of tokens: what embedding tables, a linear layer of the value and a mask token look up.

    Args:
        places: one-hot place of every token in the sequence, `[R, 4 (place), 4 (token), B]`.
        values: of every token, `[R, 4, B]`.
        masked: the masked token of every sample, `[B]`, integer. Its value is in `target` alone.
        positions: whether the places are features.
    """
    runs, _, batch = values.shape
    hidden = torch.nn.functional.one_hot(masked, 4).to(values.dtype).T.contiguous()
    shown = 1 - hidden
    tokens = torch.eye(4, dtype=values.dtype).unsqueeze(2).expand(runs, 4, 4, batch)
    rest = [part.expand(runs, 1, 4, batch) for part in ((values * shown).unsqueeze(1), shown, hidden)]
    features = torch.cat([tokens, places, *rest] if positions else [tokens, *rest], 1)
    return Inputs(features, hidden, (values * hidden).sum(1))


def predict(model: Model, parameters: Mapping[str, Tensor], inputs: Inputs) -> Tensor:
    """Value of the masked token of every sample, `[R, B]`; the equations stand at `Model`.

    Embeddings are linear in the features, e_j = f_j E, so a weighted sum of embeddings is the embedding of the
    weighted sum of features, and q · e_j = (q E^T) · f_j: embeddings of all tokens are never built. Only the
    masked token's row of the layer is computed, as only its value is predicted.
    """
    p, f = parameters, inputs.features
    embedding = p["embedding"].mT
    needs_own = model.kind == "tf" or model.layer == "residual"
    own = torch.bmm(embedding, (f * inputs.masked).sum(2)) if needs_own else None
    if model.kind == "tf" and own is not None:
        query = torch.bmm(p["key"], torch.bmm(p["query"].mT, own)) / math.sqrt(model.channels)
        logits = (torch.bmm(p["embedding"], query).unsqueeze(2) * f).sum(1)
    else:
        logits = _logits(model, p["adjacency"], inputs)
    h = torch.bmm(embedding, (logits.softmax(1).unsqueeze(1) * f).sum(2))
    if model.kind == "tf":
        h = torch.bmm(p["value"].mT, h)
    if model.layer == "linear":
        h = torch.bmm(p["weight"].mT, h)
    elif model.layer in ("relu", "residual"):
        h = torch.baddbmm(p["bias"].unsqueeze(2), p["weight"].mT, h).relu()
    if model.layer == "residual" and own is not None:
        h = h + own
    return torch.bmm(p["head"].unsqueeze(1), h).squeeze(1) + p["head_bias"].unsqueeze(1)


def predict_plain(
    model: Model,
    parameters: Mapping[str, Tensor],
    order: Sequence[int],
    values: Sequence[float],
    masked: int,
) -> Tensor:
    """Eq. 6 to 12 for one sample of one run, in the order of the sequence: the reference of `predict`.

    Args:
        model: which model.
        parameters: of one run, by name.
        order: tokens of the sequence.
        values: their values, in the order of the sequence.
        masked: place 0 to 3 of the masked value.

    Returns:
        The predicted value of the masked token, a scalar.
    """
    p = parameters
    weight, bias, mask_token = p["embedding"][-3:]
    rows = []
    for place, (token, value) in enumerate(zip(order, values, strict=True)):
        row = p["embedding"][token] + (mask_token if place == masked else value * weight + bias)
        rows.append(row + p["embedding"][POSITIONS][place] if model.positions else row)
    e = torch.stack(rows)
    if model.kind == "tf":
        scores = (e @ p["query"]) @ (e @ p["key"]).T / math.sqrt(model.channels)
        h = scores.softmax(1) @ (e @ p["value"])
    else:
        index = list(order) if model.adjacency == "token" else list(range(4))
        h = p["adjacency"][index][:, index].softmax(1) @ e
    if model.layer != "plain":
        h = h @ p["weight"]
    if model.layer in ("relu", "residual"):
        h = (h + p["bias"]).relu()
    if model.layer == "residual":
        h = e + h
    return (h @ p["head"] + p["head_bias"])[masked]


def _logits(model: Model, adjacency: Tensor, inputs: Inputs) -> Tensor:
    """Row of A of the masked token, its columns in the order of the tokens, `[R, 4, B]`."""
    if model.adjacency == "token":
        return adjacency.mT @ inputs.masked
    places = inputs.features[:, POSITIONS]
    own = (places * inputs.masked).sum(2)
    return (torch.bmm(adjacency.mT, own).unsqueeze(2) * places).sum(1)


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1) * bound
