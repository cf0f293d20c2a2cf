"""Configuration of models, training, probes and benches: what may be set, and what is refused."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from scgraph.errors import ConfigError, did_you_mean

__all__ = [
    "PER_MODEL",
    "BenchConfig",
    "ModelConfig",
    "ProbeConfig",
    "TrainConfig",
    "config_names",
    "laid_over",
    "load_yaml",
    "merged",
    "parse_config",
]

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


def _whole_or_all(value: object) -> object:
    # A union of types would answer with one complaint a type.
    if value in (None, "all") or (type(value) is int and value >= 1):
        return value
    raise ValueError("Input should be a whole number of 1 or more, or all")


def _path_text(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


PathText = Annotated[str, BeforeValidator(_path_text)]
WholeOrAll = Annotated[int | Literal["all"] | None, BeforeValidator(_whole_or_all)]


PER_MODEL = {"model": "per_model", "train": "train_per_model", "probe": "probe_per_model"}
"""Parts of a bench's settings, and where what differs for one model stands."""


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, protected_namespaces=())


class ModelConfig(_Config):
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
    embedding_sd: Rate = Field(1.0, description="standard deviation of the embedding tables at the start")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="share of features dropped in the blocks")
    activation: Literal["gelu", "relu", "none"] | None = Field(
        None, description="behind the conv; null: the conv's own"
    )
    feed_forward: Annotated[int, Field(ge=0)] | None = Field(
        None, description="width; null: C where the conv asks for one"
    )
    cell_head: bool = Field(default=False, description="also predict values from the vector of the cell")
    readout_norm: bool = Field(
        default=True, description="average the features behind the last norm for the cell's vector, or those before it"
    )
    recompute: bool = Field(
        default=False, description="run the blocks again in the backward pass: less memory, a third more computing"
    )
    conv_options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the convolution")
    restricted: bool = Field(default=True, description="with a graph: genes hear only their neighbours in it")
    positional: Literal["none", "laplacian", "random_walk"] = Field(
        "none", description="with a graph: hints where a gene stands in it, added to its embedding"
    )
    positional_dim: Positive = Field(16, description="numbers k of such a hint")
    network: str | None = Field(None, description="hash of the graph the model was built with; set by the run itself")
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

    def convs(self) -> list[str]:
        """Return the names of the convolutions that are built: the encoder's and, if there is one, the decoder's."""
        return [self.conv, self.decoder] if self.asymmetric else [self.conv]

    def model_kwargs(self) -> dict[str, Any]:
        """Return the keyword arguments of `scgraph.nn.build_model`; without a decoder, those of `GeneModel`.

        Those of a graph come from `scgraph.train.network`.
        """
        left_out = {"asymmetric", "network", "restricted", "positional", "positional_dim"}
        if not self.asymmetric:
            left_out |= {name for name in type(self).model_fields if name.startswith("decoder")}
        return self.model_dump(exclude=left_out)


class TrainConfig(_Config):
    """Pretraining by masked value prediction; the defaults are the paper's where it states them.

    It says nothing of clipping (here at norm 1), of the share of masked values (here .15), or of a warm-up and weight
    decay (here none).
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
    batch_size: Positive = Field(256, description="cells a step, of all devices together")
    epochs: Positive = Field(10, description="passes over the cells")
    learning_rate: Rate = Field(2e-4, description="of Adam")
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="share of the steps with a rising rate")
    weight_decay: Weight = Field(0.0, description="decoupled weight decay (AdamW)")
    clip: Rate | None = Field(1.0, description="largest gradient norm; null: no clipping")
    patience: Positive | None = Field(None, description="stop after so many epochs without a better validation loss")
    cell_loss: Weight = Field(0.0, description="weight of the loss on values predicted from the cell's vector")
    cell_loss_genes: Positive = Field(2048, description="vocabulary genes, zeros included, that loss looks at a step")
    start: Literal["random", "pca"] = Field(
        "random", description="value tables at the start: random, or the principal components of the cells"
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

    def zeros_shown(self, vocabulary_size: int) -> int:
        """Return the most unexpressed genes of a cell that a decoder sees."""
        if self.zero_genes == "all":
            return vocabulary_size
        return min(self.genes if self.zero_genes is None else self.zero_genes, vocabulary_size)

    def zeros_beside(self, vocabulary_size: int) -> int:
        """Return the unexpressed genes that a decoder sees of a cell with `genes` expressed ones."""
        return min(self.zeros_shown(vocabulary_size), max(0, vocabulary_size - self.genes))

    def genes_to_embed(self) -> int | None:
        """Return the most genes of a cell that its vector is computed from; None for all it expresses."""
        if self.embed_genes == "all":
            return None
        return self.genes if self.embed_genes is None else self.embed_genes


class ProbeConfig(_Config):
    """One linear layer on frozen features; the defaults are the paper's.

    Not the paper's: features are standardised on the train part, and the epoch is chosen on the validation part.
    """

    epochs: Positive = Field(50, description="passes over the train part")
    learning_rate: Rate = Field(5e-3, description="of Adam")
    batch_size: Positive = Field(64, description="cells a step")
    weight_decay: Weight = Field(0.0, description="decoupled weight decay (AdamW)")


class BenchConfig(_Config):
    """A bench: which models, on what cells, with which settings."""

    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    probe: ProbeConfig = ProbeConfig()
    per_model: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of `model` that differ for one model, by its name"
    )
    train_per_model: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of `train` that differ for one model, by its name"
    )
    probe_per_model: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of `probe` that differ for one model, by its name"
    )
    graph: PathText | None = Field(None, description="file of a gene network, see docs/networks.md")
    graph_undirected: bool = Field(default=True, description="an edge of it counts in both directions")
    max_steps: Positive | None = Field(
        None, description="steps of a pretraining; epochs are cut to whole ones that fit; null: no limit"
    )
    seeds: Positive = Field(3, description="repetitions: pretraining, probe and split")
    split_seed: int | None = Field(
        None, description="seed of the split for every repetition; null: each repetition has a split of its own"
    )
    n_top_genes: Positive | None = Field(None, description="highly variable genes of the vocabulary; null: all genes")
    drop_classes_below: Annotated[int, Field(ge=0)] = Field(
        0, description="leave cells out whose class has fewer cells than this; 0: refuse classes too small to split"
    )
    min_matched: Annotated[float, Field(ge=0, le=1)] = Field(0.3, description="share of the vocabulary a set must hold")
    test_share: Share = Field(0.3, description="share of the cells in the test part")
    validation_share: Share = Field(0.1, description="share of the cells in the validation part")
    components: Positive = Field(50, description="principal components of the baseline")
    projection: Literal["tsne", "umap"] = Field("tsne", description="how features are drawn in two dimensions")
    equivalence_margin: Share = Field(0.01, description="largest difference that counts as equal")

    @model_validator(mode="after")
    def _parts_leave_room(self) -> BenchConfig:
        if self.test_share + self.validation_share >= 1:
            raise ValueError("test_share + validation_share must stay below 1: nothing is left to train on")
        return self

    @model_validator(mode="after")
    def _start_has_a_table(self) -> BenchConfig:
        encodings = [
            self.model.value_encoding,
            *(own.get("value_encoding", "product") for own in self.per_model.values()),
        ]
        if self.train.start == "pca" and any(encoding != "product" for encoding in encodings):
            raise ValueError("train.start pca sets the table of the product encoding: use model.value_encoding product")
        return self

    def train_for(self, cells: int, *, seed: int | None = None) -> TrainConfig:
        """Return the training settings for so many cells: epochs cut to `max_steps`, and a seed."""
        epochs = self.train.epochs
        if self.max_steps is not None:
            epochs = max(1, min(epochs, round(self.max_steps / -(-cells // self.train.batch_size))))
        return self.train.model_copy(update={"epochs": epochs, "seed": self.train.seed if seed is None else seed})


Config = TypeVar("Config", bound=_Config)


def parse_config(cls: type[Config], data: dict[str, Any], *, source: str) -> Config:
    """Check plain data against a configuration class.

    Raises:
        ConfigError: an unknown key (the nearest one is suggested) or a value out of range; names `source`.
    """
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{source}: {_explain(cls, error)}") from error


def load_yaml(name: str | Path) -> dict[str, Any]:
    """Read a YAML file, or a configuration that ships with scgraph by its name (``bench/default``).

    Raises:
        ConfigError: no such file or name, not YAML, or not a mapping.
    """
    path = Path(name)
    if not path.suffix:
        path = _shipped() / f"{name}.yaml"
        if not path.is_file():
            raise ConfigError(f"There is no configuration {str(name)!r}.{did_you_mean(str(name), config_names())}")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file. Shipped configurations: {', '.join(config_names())}.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds {type(data).__name__}, not a mapping of keys to values.")
    return data


def config_names() -> list[str]:
    """Return the names of the configurations that ship with scgraph."""
    root = _shipped()
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))


def merged(base: dict[str, Any], *overrides: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with nested overrides laid over it; neither is changed."""
    result = dict(base)
    for override in overrides:
        for key, value in override.items():
            below = result.get(key)
            result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def laid_over(base: dict[str, Any], *overrides: dict[str, Any]) -> dict[str, Any]:
    """Return settings of a bench with others laid over them, the later over the earlier.

    What one of them says for all models goes before what those below it say for one model: ``--set
    train.learning_rate=0.003`` holds for a model too whose rate ``bench/default`` names.
    """
    for override in overrides:
        lowered = dict(base)
        for part, field in PER_MODEL.items():
            own = lowered.get(field) or {}
            lowered[field] = {name: _without(table, override.get(part) or {}) for name, table in own.items()}
        base = merged(lowered, override)
    return base


def _without(table: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the table without the values that `given` names."""
    left = {}
    for key, value in table.items():
        inner = given.get(key)
        if isinstance(value, dict) and isinstance(inner, dict):
            left[key] = _without(value, inner)
        elif key not in given:
            left[key] = value
    return left


def _shipped() -> Path:
    # A wheel carries the folder inside the package, a checkout beside it.
    inside = Path(str(resources.files("scgraph"))) / "configs"
    return inside if inside.is_dir() else inside.parent.parent / "configs"


def _explain(cls: type[_Config], error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *parents, last = (str(part) for part in first["loc"])
        known: Any = cls
        for parent in parents:
            known = known.model_fields[parent].annotation
        return f"there is no key {place!r}.{did_you_mean(last, known.model_fields)}"
    message = first["msg"].removeprefix("Value error, ")
    if not place:
        return f"{message}."
    return f"{place}: {message}, not {first['input']!r}."
