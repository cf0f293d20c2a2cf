"""The models that the questions `training_step` and `gpu` train: ours, and two other libraries' Transformers."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from scgraph.costs.machine import DTYPES, saved_bytes
from scgraph.errors import ConfigError, did_you_mean
from scgraph.nn import CellGraph, GeneEncoder, GeneModel, ValueHead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scgraph.costs.profiling import Attention

__all__ = [
    "BERT",
    "MODELS",
    "TORCH_ENCODER",
    "Entry",
    "ModelSizes",
    "NotInstalledError",
    "TrainingStep",
    "entries",
]

TORCH_ENCODER = "TransformerEncoder"
BERT = "BertModel"
MODELS = ("gnn", "gnn-linear", "gcn", "gat", "tf", "hybrid", TORCH_ENCODER, BERT)
ATTENDING = ("tf", TORCH_ENCODER, BERT)
"""Models measured with both backends of attention."""


class NotInstalledError(ConfigError):
    """The library of a model is not there."""


@dataclass(frozen=True)
class ModelSizes:
    """Sizes of one measurement.

    Attributes:
        genes: genes of a cell G.
        channels: width C.
        layers: blocks L.
        rank: rank R of the adjacency.
        heads: heads H of what has heads.
        cells: cells of a step.
        vocabulary: genes V that the tables hold.
        device: "cpu" or "cuda".
        precision: "32-true" or "bf16-mixed".
        optimizer: whether a step of Adam belongs to the training step.
    """

    genes: int
    channels: int = 256
    layers: int = 6
    rank: int = 48
    heads: int = 8
    cells: int = 8
    vocabulary: int = 20_000
    device: str = "cpu"
    precision: str = "32-true"
    optimizer: bool = False


@dataclass(frozen=True)
class Entry:
    """One row to measure.

    Attributes:
        name: in the table.
        model: a registered name, "TransformerEncoder" or "BertModel".
        attention: "math" forms the scores of attention as a tensor; "fused" is PyTorch's default.
        options: further keyword arguments of `GeneModel`; `compile` runs it through `torch.compile`.
    """

    name: str
    model: str
    attention: Attention = "fused"
    options: dict[str, Any] = field(default_factory=dict)


def entries(models: Sequence[str], variants: Sequence[tuple[str, dict[str, Any]]] = ()) -> list[Entry]:
    """One entry a model, two where attention has two backends, and one a variant.

    Args:
        models: names.
        variants: a model and further options of `GeneModel` each.

    Raises:
        ConfigError: a model or an option does not exist.
    """
    from scgraph.nn.conv.registry import conv_names

    known = [*conv_names(), TORCH_ENCODER, BERT]
    found = []
    for model in models:
        if model not in known:
            raise ConfigError(f"There is no model {model!r} to measure.{did_you_mean(model, known)}")
        if model in ATTENDING:
            both: tuple[Attention, ...] = ("fused", "math")
            found += [Entry(model if kind == "fused" else f"{model} (math)", model, kind) for kind in both]
        else:
            found.append(Entry(model, model))
    for model, options in variants:
        for option in options:
            if option not in _options():
                raise ConfigError(f"GeneModel has no option {option!r}.{did_you_mean(option, _options())}")
        text = ", ".join(f"{key}={value}" for key, value in options.items())
        found.append(Entry(f"{model} ({text})", model, options=options))
    return found


class TrainingStep:
    """Forward, loss and backward of a whole model, and a step of Adam where asked for; call it to run it.

    The loss is that of masked value prediction: the mean squared error of the 15 % of values that are hidden.

    Args:
        entry: the model.
        sizes: of the measurement.

    Raises:
        NotInstalledError: the library of the model is not there.
    """

    def __init__(self, entry: Entry, sizes: ModelSizes) -> None:
        torch.manual_seed(0)
        self.sizes = sizes
        self.entry = entry
        self.place = torch.device(sizes.device)
        vocabulary = max(sizes.vocabulary, sizes.genes)
        self.model = _build(entry, sizes, vocabulary).to(self.place)
        self.run: Callable[..., Any] = torch.compile(self.model) if entry.options.get("compile") else self.model
        shape = (sizes.cells, sizes.genes)
        ids = torch.stack([torch.randperm(vocabulary)[: sizes.genes].sort().values + 1 for _ in range(sizes.cells)])
        self.genes = ids.to(self.place)
        self.values = torch.rand(shape).to(self.place)
        self.mask = (torch.rand(shape) < 0.15).to(self.place)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-4) if sizes.optimizer else None

    def forward(self) -> Tensor:
        """The loss."""
        mixed = self.sizes.precision.endswith("mixed")
        precision: AbstractContextManager[object] = (
            torch.autocast(self.place.type, DTYPES[self.sizes.precision]) if mixed else nullcontext()
        )
        with precision, sdpa_kernel(SDPBackend.MATH) if self.entry.attention == "math" else nullcontext():
            if isinstance(self.model, PeerModel):
                predicted: Tensor = self.run(self.genes, self.values, self.mask)
            else:
                predicted = self.run(self.genes, self.values, self.mask, padded=False).values
            hidden = self.mask.to(predicted.dtype)
            return ((predicted - self.values).square() * hidden).sum() / hidden.sum()

    def __call__(self) -> None:
        """Run the step, to the end."""
        self.model.zero_grad(set_to_none=True)
        self.forward().backward()  # type: ignore[no-untyped-call]
        if self.optimizer is not None:
            self.optimizer.step()
        if self.place.type == "cuda":
            torch.cuda.synchronize(self.place)

    def saved_mb(self) -> float:
        """10⁶ bytes a cell kept for backward, see `scgraph.costs.machine.saved_bytes`."""
        return saved_bytes(self.forward, self.place) / self.sizes.cells / 1e6

    def multiply_adds(self) -> int:
        """Multiply-adds of the blocks and the adjacency, a cell; a Transformer of another library has those of tf."""
        if isinstance(self.model, GeneModel):
            return self.model.cost(self.sizes.genes).multiply_adds
        sizes = self.sizes
        with torch.device("meta"):
            own = GeneModel(2, conv="tf", channels=sizes.channels, layers=sizes.layers, rank=sizes.rank)
        return own.cost(sizes.genes).multiply_adds


class PeerModel(nn.Module):
    """A stack of another library between the embedding and the value head of `GeneModel`.

    Args:
        body: ``[B, G, C]`` to ``[B, G, C]``.
        channels: width C.
        vocabulary: genes V.

    Shapes:
        genes, values, mask ``[B, G]`` to predicted values ``[B, G]``.
    """

    def __init__(self, body: nn.Module, channels: int, vocabulary: int) -> None:
        super().__init__()
        self.encoder = GeneEncoder(vocabulary, channels)
        self.body = body
        self.norm = nn.LayerNorm(channels)
        self.head = ValueHead(channels)

    def forward(self, genes: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Predict the values."""
        x = self.body(self.encoder(CellGraph(genes, padded=False), values, mask))
        predicted: Tensor = self.head(self.norm(x))
        return predicted


class BertBody(nn.Module):
    """`transformers.BertModel` fed with features: its own position embedding and norm, then post-norm layers."""

    def __init__(self, sizes: ModelSizes) -> None:
        super().__init__()
        if importlib.util.find_spec("transformers") is None:
            raise NotInstalledError("transformers is not installed.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            transformers = importlib.import_module("transformers")
            config = transformers.BertConfig(
                vocab_size=2, hidden_size=sizes.channels, num_hidden_layers=sizes.layers,
                num_attention_heads=sizes.heads, intermediate_size=sizes.channels, hidden_act="gelu",
                hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, max_position_embeddings=sizes.genes,
                attn_implementation="sdpa",
            )  # fmt: skip
            self.bert = transformers.BertModel(config, add_pooling_layer=False)

    def forward(self, x: Tensor) -> Tensor:
        """Run the encoder."""
        y: Tensor = self.bert(inputs_embeds=x).last_hidden_state
        return y


def _options() -> list[str]:
    return ["compile", *(name for name in inspect.signature(GeneModel.__init__).parameters if name != "self")]


def _build(entry: Entry, sizes: ModelSizes, vocabulary: int) -> nn.Module:
    if entry.model == BERT:
        return PeerModel(BertBody(sizes), sizes.channels, vocabulary)
    if entry.model == TORCH_ENCODER:
        layer = nn.TransformerEncoderLayer(
            sizes.channels, sizes.heads, dim_feedforward=sizes.channels, dropout=0.0, activation="gelu",
            batch_first=True, norm_first=True,
        )  # fmt: skip
        body = nn.TransformerEncoder(layer, sizes.layers, enable_nested_tensor=False)
        return PeerModel(body, sizes.channels, vocabulary)
    options = {key: value for key, value in entry.options.items() if key != "compile"}
    return GeneModel(
        vocabulary, conv=entry.model, channels=sizes.channels, layers=sizes.layers, rank=sizes.rank, **options
    )
