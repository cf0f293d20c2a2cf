"""What a model costs: parameters, multiply-adds, memory saved for backward, speed."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from scgraph.costs.machine import DTYPES, saved_bytes
from scgraph.costs.sizes import BATCH_SIZE, VOCABULARY_SIZE
from scgraph.display import short_repr
from scgraph.errors import ConfigError
from scgraph.memory import is_out_of_memory, limited_memory
from scgraph.models import build_model
from scgraph.models.network import network_parts
from scgraph.nn import CellGraph, CellModel, counted_multiply_adds

if TYPE_CHECKING:
    from collections.abc import Callable

    from scgraph.config import ModelConfig
    from scgraph.data import CellStore, Network

__all__ = ["Attention", "Costs", "profile", "saving"]

Attention = Literal["fused", "math"]


@short_repr
@dataclass(frozen=True)
class Costs:
    """Costs of one model, for one cell unless said otherwise.

    Attributes:
        model: registered name.
        channels: width C.
        genes: genes of the cell G.
        layers: blocks L.
        rank: rank R of the adjacency.
        parameters: of the whole model.
        block_parameters: without the embedding tables of the vocabulary and the heads.
        multiply_adds: stated by the model, blocks and adjacency, encoder and decoder.
        counted_multiply_adds: counted in a run; equal to `multiply_adds`.
        adjacency_multiply_adds: the part of the adjacency's logits.
        out_of_memory: whether a training step needs more memory than there is; what was to be measured is NaN.
        saved_mb: memory kept for backward in 10⁶ bytes: what is still allocated after the forward run.
        cells_per_second: of a training step (forward and backward), median of the timed steps.
        matmul_share: arithmetic rate of that step, 6 operations a multiply-add, over the rate of a large
            matrix product in the same run; None where it was not measured.
        path: how a layer runs cells of this length, in a word.
        attention: "fused" or "math", the backend of scaled_dot_product_attention.
        device: what it ran on.
        precision: as Lightning names it.
        batch_size: cells a step.
        edges: edges between the genes of a cell in its network, self loops included, on average; None without one.
        waiting_share: share of a training step spent waiting for its cells where no thread prepares them ahead
            (`train.num_workers` 0); None where it was not measured.
        panel: genes that a decoder sees, expressed ones included; 0 without a decoder.
        decoder_multiply_adds: the decoder's part of `multiply_adds`.
    """

    model: str
    channels: int
    genes: int
    layers: int
    rank: int
    parameters: int
    block_parameters: int
    multiply_adds: int
    counted_multiply_adds: int
    adjacency_multiply_adds: int
    out_of_memory: bool
    saved_mb: float
    cells_per_second: float
    matmul_share: float | None
    path: str
    attention: str
    device: str
    precision: str
    batch_size: int
    edges: float | None = None
    waiting_share: float | None = None
    panel: int = 0
    decoder_multiply_adds: int = 0

    def waiting_at(self, rate: float) -> Costs:
        """Return these costs with the share of waiting where so many cells a second are loaded."""
        return replace(self, waiting_share=self.cells_per_second / (self.cells_per_second + rate))


def profile(
    config: ModelConfig,
    *,
    genes: int,
    zeros: int | None = None,
    vocabulary_size: int = VOCABULARY_SIZE,
    batch_size: int = BATCH_SIZE,
    device: str = "cpu",
    precision: str = "32-true",
    attention: Attention = "fused",
    peak: float | None = None,
    seconds: float = 2.0,
    network: Network | None = None,
    store: CellStore | None = None,
) -> Costs:
    """Measure one model on random cells of `genes` expressed genes each, all of the same length.

    An encoder beside a decoder sees the genes that are not masked, the decoder all of them and `zeros` more. With a
    network, which genes stand together makes a difference: the cells are then those of `store` that express so many
    genes, as far as there are any.

    Args:
        config: the model.
        genes: genes of a cell G.
        zeros: unexpressed genes that a decoder sees beside them; None takes as many.
        vocabulary_size: genes V to draw from.
        batch_size: cells a step.
        device: "cpu", "cuda" or "cuda:N".
        precision: as Lightning names it.
        attention: "math" forms the scores of attention as a tensor, as the paper's numbers imply.
        peak: operations a second of a large matrix product, from `matmul_peak`.
        seconds: how long to time steps, after one that is not counted.
        network: gene network of the model, whose vocabulary replaces `vocabulary_size`.
        store: cells on that vocabulary.

    Raises:
        ConfigError: the vocabulary of the network has fewer than G genes.
    """
    torch.manual_seed(0)
    if network is not None and network.size < genes:
        raise ConfigError(f"genes: {genes:,} a cell, and the vocabulary of the network has {network.size:,}.")
    zeros = (genes if zeros is None else zeros) if config.sees_zeros else 0
    panel = genes + zeros
    vocabulary_size = max(vocabulary_size, panel) if network is None else network.size
    place = torch.device(device)
    dtype = DTYPES[precision]
    parts = network_parts(config, network)
    model = build_model(vocabulary_size, **config.model_kwargs(), **parts).to(place)
    if precision == "64-true":
        model = model.double()
    ids = torch.stack([torch.randperm(vocabulary_size)[:panel].sort().values + 1 for _ in range(batch_size)])
    if network is not None and store is not None:
        ids = _real_cells(store, genes, ids)
    ids = ids.to(place)
    values = torch.rand(batch_size, panel, device=place, dtype=dtype if precision == "64-true" else torch.float32)
    mask = torch.rand(batch_size, panel, device=place) < 0.15
    values[:, genes:] = 0.0
    options = {}
    if config.sees_zeros:
        # Its loader knows how many genes the encoder sees, so the model need not count them.
        mask[:, genes:] = torch.rand(batch_size, zeros, device=place) < 0.03
        options["width"] = int((values.ne(0) & ~mask).sum(dim=1).max())

    def forward() -> Tensor:
        mixed: AbstractContextManager[object] = (
            torch.autocast(place.type, dtype) if precision.endswith("mixed") else nullcontext()
        )
        with mixed:
            out = model(ids, values, mask, padded=False, **options)
            loss: Tensor = (out.values - values)[mask].square().mean()
            if out.cell_values is not None:
                loss = loss + (out.cell_values - values).square().mean()
            return loss

    def step() -> None:
        model.zero_grad(set_to_none=True)
        forward().backward()  # type: ignore[no-untyped-call]
        if place.type == "cuda":
            torch.cuda.synchronize(place)

    backend = sdpa_kernel(SDPBackend.MATH) if attention == "math" else nullcontext()
    saved = per_second = math.nan
    try:
        with backend, limited_memory() if place.type == "cpu" else nullcontext():
            saved = saved_bytes(forward, place)
            per_second = batch_size / _median_seconds(step, seconds)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        saved = math.nan
    edges = None if model.network is None else model.network.edges(ids).shape[1] / batch_size
    cost = model.cost(genes, zeros=zeros, edges=edges or 0)
    rate = 6 * cost.multiply_adds * per_second
    return Costs(
        model=config.name(),
        channels=config.channels,
        genes=genes,
        layers=config.layers,
        rank=config.rank,
        parameters=sum(p.numel() for p in model.parameters()),
        block_parameters=cost.block_parameters,
        multiply_adds=cost.multiply_adds,
        counted_multiply_adds=_counted(config, model, genes, zeros) if edges is None else _counted_on(model, ids),
        adjacency_multiply_adds=cost.adjacency_multiply_adds,
        out_of_memory=math.isnan(per_second),
        saved_mb=saved / batch_size / 1e6,
        cells_per_second=per_second,
        matmul_share=None if peak is None or math.isnan(rate) else rate / peak,
        path=cost.path,
        attention=attention,
        device=torch.cuda.get_device_name(place) if place.type == "cuda" else "cpu",
        precision=precision,
        batch_size=batch_size,
        edges=edges,
        panel=panel if config.sees_zeros else 0,
        decoder_multiply_adds=cost.decoder_multiply_adds,
    )


def saving(
    config: ModelConfig, *, genes: int, zeros: int | None = None, vocabulary_size: int = VOCABULARY_SIZE
) -> float:
    """Return how many times the multiply-adds of a model a Transformer takes that sees all genes of the vocabulary.

    The Transformer is `tf` of the same width and number of blocks on V genes a cell, unexpressed ones included.

    Args:
        config: the model.
        genes: expressed genes of a cell, which the model or its encoder sees.
        zeros: unexpressed genes that its decoder sees beside them; None for all.
        vocabulary_size: genes V.
    """
    with torch.device("meta"):
        model = build_model(2, **config.model_kwargs())
        plain = build_model(2, conv="tf", channels=config.channels, layers=config.layers, rank=config.rank)
    own = model.cost(genes, zeros=vocabulary_size - genes if zeros is None else zeros)
    return plain.cost(vocabulary_size).multiply_adds / own.multiply_adds


def _counted(config: ModelConfig, model: CellModel, genes: int, zeros: int) -> int:
    """Count one cell: the embedding's products are not part of what a model states."""

    def count(model: CellModel) -> int:
        weight = next(model.parameters())
        ids = torch.arange(1, genes + zeros + 1, device=weight.device).unsqueeze(0)
        values = (ids <= genes).to(weight.dtype)
        shown, seen = CellGraph(ids[:, :genes], padded=False), values[:, :genes]
        graph = CellGraph(ids, padded=False)
        whole = counted_multiply_adds(lambda: model.features(graph, values, width=genes))
        return whole - counted_multiply_adds(lambda: model.encoder(shown, seen, None))

    # Tensors without data: the products of long cells can be counted where they cannot be computed.
    with torch.device("meta"):
        shapes = build_model(genes + zeros, **config.model_kwargs())
    try:
        return count(shapes)
    except NotImplementedError:  # which edges there are depends on data
        return count(model)


def _counted_on(model: CellModel, ids: Tensor) -> int:
    """Count a batch, whose edges decide how it runs, and divide by its cells."""
    weight = next(model.parameters())
    graph, values = CellGraph(ids, padded=False), weight.new_ones(ids.shape)
    whole = counted_multiply_adds(lambda: model.encode(graph, values))
    before = counted_multiply_adds(lambda: model.embedded(graph, values))
    return (whole - before) // len(ids)


def _real_cells(store: CellStore, genes: int, otherwise: Tensor) -> Tensor:
    """Return genes of as many cells of the store, again from the first where they are few, or what is given."""
    import numpy as np

    rows = np.flatnonzero(np.diff(store.indptr) >= genes)
    if not len(rows):
        return otherwise
    rows = np.resize(np.random.default_rng(0).permutation(rows), len(otherwise))
    return torch.from_numpy(store.batch(rows, genes=genes, seed=0, epoch=0)[0])


def _median_seconds(step: Callable[[], None], seconds: float) -> float:
    step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return median(times)
