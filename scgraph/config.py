"""Configuration of models, training, probes and benches: what may be set, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scgraph.config_fields import PathText, Positive, Rate, Settings, Share, Weight, WholeOrAll, WholeOrAuto
from scgraph.errors import did_you_mean
from scgraph.reporting.rows import BASELINES, WITH_MODEL

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "PARTS",
    "PER_MODEL",
    "BenchConfig",
    "ModelConfig",
    "PretrainConfig",
    "ProbeConfig",
    "TrainConfig",
]


def _baseline_names(value: object) -> object:
    known = (*BASELINES, WITH_MODEL)
    names = (value,) if isinstance(value, str) else value
    for name in names if isinstance(names, list | tuple) else ():
        if name not in known:
            raise ValueError(f"there is no baseline {name!r}.{did_you_mean(str(name), known)}")
    return names


AUTO_BATCH = 128
"""Cells a step where `batch_size` is auto, of sets that have as many."""


class ModelConfig(Settings):
    """A `scgraph.nn.GeneModel` or `AsymmetricModel`; the defaults are the paper's sizes."""

    conv: str = Field("gnn", description="registered name of the convolution, or its class by path")
    channels: Positive = Field(256, description="width C of the features")
    layers: Positive = Field(6, description="number of blocks L")
    rank: Positive = Field(48, description="rank R of the adjacency")
    shared_adjacency: bool = Field(default=True, description="one adjacency for all layers, or one a layer")
    value_encoding: Literal["linear", "product", "bins", "discretised"] = Field(
        "linear", description="how a value enters a gene's features"
    )
    value_bins: Annotated[int, Field(ge=2)] = Field(32, description="bins of the encodings that have some")
    values: Literal["log1p", "sqrt", "pearson", "sqrt+pearson"] = Field(
        "log1p", description="what is made of the values at the input; of two, each takes half of the channels"
    )
    embedding_sd: Rate = Field(1.0, description="standard deviation of the embedding tables at the start")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="share of features dropped in the blocks")
    activation: Literal["gelu", "relu", "none"] | None = Field(
        None, description="behind the conv; null: the conv's own"
    )
    feed_forward: Annotated[int, Field(ge=0)] | None = Field(
        None, description="width; null: C where the conv asks for one"
    )
    cell_head: bool = Field(default=False, description="also predict values, or counts, from the vector of the cell")
    readout: Literal["mean", "pooled", "linear+pooled"] = Field(
        "mean",
        description="the vector of a cell: mean of its genes' features, the pooled input and what blocks add, or its "
        "linear part in front of that",
    )
    cell_layers: Annotated[int, Field(ge=0)] = Field(0, description="residual layers on the vector of the cell")
    cell_width: Positive = Field(256, description="hidden width of these")
    readout_norm: bool = Field(
        default=True, description="average the features behind the last norm for the cell's vector, or those before it"
    )
    recompute: bool = Field(
        default=False, description="run the blocks again in the backward pass: less memory, a third more computing"
    )
    conv_options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the convolution")
    restricted: bool = Field(default=True, description="with a network: genes hear only their neighbours in it")
    positional: Literal["none", "laplacian", "random_walk"] = Field(
        "none", description="with a network: hints where a gene stands in it, added to its embedding"
    )
    positional_dim: Positive = Field(16, description="numbers k of such a hint")
    network: str | None = Field(None, description="hash of the network the model was built with; set by the run itself")
    asymmetric: bool = Field(
        default=False, description="a decoder beside the encoder; follows from the model's name, as asym:gnn"
    )
    decoder: str = Field("performer", description="convolution of the decoder of an asymmetric model")
    decoder_layers: Positive = Field(2, description="its number of blocks")
    decoder_channels: Positive | None = Field(
        None, description="its width; null: half of channels, up to the next multiple of 8"
    )
    decoder_options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of its convolution")

    @model_validator(mode="after")
    def _heads_divide(self) -> ModelConfig:
        heads = self.conv_options.get("heads")
        if isinstance(heads, int) and (heads < 1 or self.channels % heads):
            raise ValueError(f"conv_options.heads ({heads}) must divide channels ({self.channels})")
        return self

    def name(self) -> str:
        """Return what the model is called on a command line."""
        return f"asym:{self.conv}" if self.asymmetric else self.conv

    @property
    def sees_zeros(self) -> bool:
        """Whether the model is shown unexpressed genes beside the expressed ones."""
        return self.asymmetric

    @property
    def pools(self) -> bool:
        """Whether the readout sums all expressed genes of a cell."""
        return self.readout != "mean"

    def stacks(self) -> list[tuple[str, int, dict[str, Any]]]:
        """Return convolution, number of blocks and conv_options of every stack, that which embeds the cell first."""
        stacks = [(self.conv, self.layers, self.conv_options)]
        return [*stacks, (self.decoder, self.decoder_layers, self.decoder_options)] if self.asymmetric else stacks

    def convs(self) -> list[str]:
        """Return the names of the convolutions that are built, a stack of blocks each."""
        return [conv for conv, _, _ in self.stacks()]

    def model_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of `scgraph.models.build_model`; without a decoder, those of `GeneModel` alone.

        Those of a network come from `scgraph.models.network`.
        """
        left_out = {"asymmetric", "network", "restricted", "positional", "positional_dim"}
        if not self.asymmetric:
            left_out |= {name for name in type(self).model_fields if name.startswith("decoder")}
        return self.model_dump(exclude=left_out)


class TrainConfig(Settings):
    """Pretraining; the defaults are the paper's masked value prediction, and its settings where it states them.

    It says nothing of clipping (here at norm 1), of the share of masked values (here .15), or of a warm-up and weight
    decay (here none). The loss is the sum of its parts, `mvp_loss`, `cell_loss`, `count_loss` and `neighbor_loss`, each
    times its weight; see docs/training.md.
    """

    genes: Positive = Field(512, description="expressed genes sampled a cell, G")
    embed_genes: WholeOrAll = Field(
        None, description="most expressed genes of a cell when it is embedded; null: as many as in training"
    )
    mask_share: Share = Field(0.15, description="share of the sampled genes whose value is hidden")
    zero_genes: WholeOrAll = Field(
        None, description="unexpressed genes a cell that a decoder sees; null: as many as genes; all: every one"
    )
    zero_mask_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.03, description="share of those whose value, zero, is hidden"
    )
    batch_size: WholeOrAuto = Field(
        256, description="cells a step, of all devices together; auto: 128, or all of a smaller set"
    )
    epochs: Positive = Field(10, description="passes over the cells")
    learning_rate: Rate = Field(2e-4, description="of Adam")
    decoder_rate: Rate = Field(
        1.0, description="rate of the decoder of the cell's vector, as a multiple of learning_rate"
    )
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="share of the steps with a rising rate")
    weight_decay: Weight = Field(0.0, description="decoupled weight decay (AdamW)")
    clip: Rate | None = Field(1.0, description="largest gradient norm; null: no clipping")
    patience: Positive | None = Field(None, description="stop after so many epochs without a better validation loss")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="the rate after the warm-up: as it is, or falling to 0 at the end as a cosine"
    )
    mvp_loss: Weight = Field(1.0, description="weight of the loss on masked values; 0: nothing is masked")
    cell_loss: Weight = Field(0.0, description="weight of the loss on values predicted from the cell's vector")
    cell_loss_genes: Positive = Field(2048, description="vocabulary genes, zeros included, that loss looks at a step")
    count_loss: Weight = Field(
        0.0, description="weight of the multinomial loss on the counts of all genes, expected from the cell's vector"
    )
    neighbor_loss: Weight = Field(
        0.0, description="weight of the distance of the cell's vector to that of the whole cell and of its neighbors"
    )
    neighbors: Positive = Field(15, description="nearest cells, itself included, that this looks at")
    integration: Literal["none", "harmony"] = Field(
        "none", description="where a batch column is named: correct what cells are drawn to for the batches"
    )
    thinning: tuple[Share, Annotated[float, Field(gt=0, le=1)]] | None = Field(
        None, description="shares of its counts that a cell is shown with, from and to; null: all of them"
    )
    hidden_genes: tuple[Annotated[float, Field(ge=0, lt=1)], Share] | None = Field(
        None, description="shares of its genes that a thinned cell is shown without, from and to; null: none"
    )
    hidden_cells: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3, description="share of the cells of an epoch that are shown without these genes"
    )
    start: Literal["random", "pca"] = Field(
        "random", description="value tables at the start: random, or the principal components of the cells"
    )
    component_weights: Literal["equal", "reliability"] = Field(
        "equal", description="of these components in a pooled readout: their whole variance, or what is reliable of it"
    )
    freeze_values: bool = Field(
        default=False, description="keep the value tables as they start, such as at the principal components"
    )
    shuffle: Literal["random", "blocks"] = Field(
        "random", description="order of the cells: any, or blocks of neighbours mixed, for stores larger than memory"
    )
    seed: int = Field(0, description="of weights, order, samples and masks")
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] = Field(
        "32-true", description="Lightning's name"
    )
    compile: bool = Field(
        default=False, description="torch.compile the model: quicker steps after a minute or so of compiling"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    devices: Positive = Field(1, description="devices of each node that share every batch")
    nodes: Positive = Field(1, description="machines; started by torchrun or srun")
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = Field(
        "auto", description="Lightning's name for how devices train together; auto: ddp where there are several"
    )
    checkpoint_every: Positive = Field(100, description="steps between states a run can resume from")
    num_workers: Annotated[int, Field(ge=0)] = Field(0, description="threads that prepare batches")

    @model_validator(mode="after")
    def _parts_of_the_loss(self) -> TrainConfig:
        if not any((self.mvp_loss, self.cell_loss, self.count_loss, self.neighbor_loss)):
            raise ValueError("one of mvp_loss, cell_loss, count_loss and neighbor_loss must be above 0")
        if self.neighbor_loss > 0 and self.start != "pca":
            raise ValueError("neighbor_loss needs the neighbors that principal components show: set start to pca")
        if self.component_weights != "equal" and self.start != "pca":
            raise ValueError("component_weights weighs the principal components of the start: set start to pca")
        if self.thinning is not None and self.thinning[0] > self.thinning[1]:
            raise ValueError(
                f"thinning goes from a lower to a higher share, not from {self.thinning[0]:g} to {self.thinning[1]:g}"
            )
        if self.thinning is not None and self.thinning[1] == 1 and self.count_loss > 0:
            raise ValueError("count_loss predicts the counts that thinning leaves: its shares must end below 1")
        if self.hidden_genes is not None and self.hidden_genes[0] > self.hidden_genes[1]:
            low, high = self.hidden_genes
            raise ValueError(f"hidden_genes goes from a lower to a higher share, not from {low:g} to {high:g}")
        return self

    def zeros_shown(self, vocabulary_size: int) -> int:
        """Return the most unexpressed genes of a cell that a decoder sees."""
        if self.zero_genes == "all":
            return vocabulary_size
        return min(self.genes if self.zero_genes is None else self.zero_genes, vocabulary_size)

    def zeros_beside(self, vocabulary_size: int) -> int:
        """Return the unexpressed genes that a decoder sees of a cell with `genes` expressed ones."""
        return min(self.zeros_shown(vocabulary_size), max(0, vocabulary_size - self.genes))

    def cells_a_step(self, cells: int) -> int:
        """Return the cells of a step, where there are so many to learn from."""
        return max(1, min(AUTO_BATCH, cells)) if self.batch_size == "auto" else self.batch_size

    def genes_to_embed(self) -> int | None:
        """Return the most genes of a cell that its vector is computed from; None for all it expresses."""
        if self.embed_genes == "all":
            return None
        return self.genes if self.embed_genes is None else self.embed_genes


class ProbeConfig(Settings):
    """A linear classifier on frozen features: logistic regression, or the paper's linear layer trained by Adam.

    The further settings are of ``adam`` alone, and their defaults the paper's. Not the paper's: features are scaled on
    the train part, and the epoch (with ``logistic`` scaling and penalty) is chosen on the validation part.
    """

    kind: Literal["logistic", "adam"] = Field(
        "logistic", description="logistic regression as for every baseline, or the paper's layer trained by Adam"
    )
    epochs: Positive = Field(50, description="passes over the train part")
    learning_rate: Rate = Field(5e-3, description="of Adam")
    batch_size: Positive = Field(64, description="cells a step")
    weight_decay: Weight = Field(0.0, description="decoupled weight decay (AdamW)")

    def without_effect(self) -> str:
        """Say which settings change nothing, as they are of the other kind; empty where none does."""
        changed = [name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default]
        if self.kind == "adam" or not changed:
            return ""
        named = " and ".join(f"probe.{name}" for name in changed)
        return f"{named}: no effect, as logistic regression has no such settings; they are of probe.kind adam."


PARTS: Mapping[str, type[ModelConfig | TrainConfig | ProbeConfig]] = {
    "model": ModelConfig,
    "train": TrainConfig,
    "probe": ProbeConfig,
}
"""Parts of the settings that may differ for one model; a pretraining has no probe."""

PER_MODEL = {"model": "per_model", "train": "train_per_model", "probe": "probe_per_model"}
"""Where what differs for one model stands, by part."""


class PretrainConfig(Settings):
    """A pretraining: of which models, on which genes of the cells, with which settings."""

    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    per_model: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of `model` that differ for one model, by its name"
    )
    train_per_model: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of `train` that differ for one model, by its name"
    )
    network: PathText | None = Field(None, description="file of a gene network, see docs/networks.md")
    network_undirected: bool = Field(default=True, description="an edge of it counts in both directions")
    max_steps: Positive | None = Field(
        None, description="steps of a pretraining; epochs are cut to whole ones that fit; null: no limit"
    )
    n_top_genes: Positive | None = Field(None, description="highly variable genes of the vocabulary; null: all genes")
    min_matched: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3, description="share of the vocabulary, or else of a set's own genes and values, that must match"
    )
    validation_share: Share = Field(0.1, description="share of the cells in the validation part")

    @model_validator(mode="after")
    def _start_has_a_table(self) -> Self:
        if self.train.start == "pca" and self.model.value_encoding != "product":
            raise ValueError(
                "train.start pca sets the table of the product encoding: use model.value_encoding product, or take the "
                "settings of bench/mvp"
            )
        return self

    def train_for(self, cells: int, *, seed: int | None = None) -> TrainConfig:
        """Return the training settings for so many cells: epochs cut to `max_steps`, and a seed."""
        epochs = self.train.epochs
        if self.max_steps is not None:
            epochs = max(1, min(epochs, round(self.max_steps / -(-cells // self.train.cells_a_step(cells)))))
        return self.train.model_copy(update={"epochs": epochs, "seed": self.train.seed if seed is None else seed})


class BenchConfig(PretrainConfig):
    """A bench: a pretraining of each model, and how it is measured on labelled cells."""

    probe: ProbeConfig = ProbeConfig()
    probe_per_model: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of `probe` that differ for one model, by its name"
    )
    seeds: Positive = Field(3, description="repetitions: pretraining, probe and split")
    first_seed: Annotated[int, Field(ge=0)] = Field(
        0, description="seed of the first repetition: a later bench adds seeds to an earlier one, the rows are the same"
    )
    split_seed: int | None = Field(
        None, description="seed of the split for every repetition; null: each repetition has a split of its own"
    )
    split: Literal["random", "batch"] | None = Field(
        None, description="random, or batch: whole batches go to one part; null: batch where a batch column is named"
    )
    uses: list[str] | None = Field(
        None,
        description="what else representations are asked, as with scgraph bench --uses; null: all that is cheap",
    )
    drop_classes_below: Annotated[int, Field(ge=0)] = Field(
        0, description="leave cells out whose class has fewer cells than this; 0: refuse classes too small to split"
    )
    test_share: Share = Field(0.3, description="share of the cells in the test part")
    components: Positive = Field(50, description="principal components of the baselines")
    baselines: Annotated[tuple[str, ...], BeforeValidator(_baseline_names)] = Field(
        (*BASELINES, WITH_MODEL),
        description="rows to compare with; pca+model: components beside the vectors of the first model",
    )
    fine_tuned: bool = Field(
        default=False, description="a row more for every model: its last layers trained on the labels of the train part"
    )
    projection: Literal["tsne", "umap"] = Field("tsne", description="how features are drawn in two dimensions")
    equivalence_margin: Share = Field(0.01, description="largest difference that counts as equal")

    @property
    def repetitions(self) -> range:
        """Seeds, one a repetition."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @model_validator(mode="after")
    def _parts_leave_room(self) -> Self:
        if self.test_share + self.validation_share >= 1:
            raise ValueError("test_share + validation_share must stay below 1: nothing is left to train on")
        return self
