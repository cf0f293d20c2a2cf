"""Settings of a run on drug combinations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from scgraph.config import ModelConfig
from scgraph.config_fields import Positive, Rate, Settings, Share, Weight

__all__ = ["SPLITS", "DrugsConfig", "SynergyConfig"]


SPLITS = ("pair", "drug", "line")
"""What no training row has of a test row: the pair of drugs, at least one drug, or the cell line."""

SMALL: dict[str, Any] = {
    **{"channels": 32, "layers": 2, "rank": 16},
    **{"value_encoding": "product", "readout": "pooled"},
}
"""A few dozen cell lines teach no large model."""


class SynergyConfig(Settings):
    """The network that predicts scores, and its training."""

    width: Positive = Field(64, description="width H of drugs, lines and pairs")
    molecule_layers: Positive = Field(3, description="message passing steps on a molecular graph")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.2, description="share of features dropped in the head")
    hidden_lines: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.3, description="share of the training rows whose line is hidden"
    )
    line_noise: Annotated[float, Field(ge=0)] = Field(
        1.0, description="standard deviation of noise on the vector of a line in training"
    )
    batch_size: Positive = Field(2048, description="rows a step")
    epochs: Positive = Field(25, description="most passes over the training rows")
    patience: Positive = Field(8, description="epochs without a better validation error before it stops")
    learning_rate: Rate = Field(5e-3, description="of AdamW")
    weight_decay: Weight = Field(0.01, description="decoupled weight decay")


class DrugsConfig(Settings):
    """Predicting scores of drug combinations."""

    score: str = Field("synergy", description="column of the combinations with the score")
    synergistic: float = Field(10.0, description="scores above it are labelled 1")
    antagonistic: float = Field(0.0, description="scores below it are labelled 0; between the two there is no label")
    drug: Literal["fingerprint", "graph", "both"] = Field(
        "fingerprint", description="how the network reads a drug: fingerprint, molecular graph, or a network of each"
    )
    bits: Positive = Field(256, description="bits of the Morgan fingerprint")
    radius: Positive = Field(2, description="its radius in bonds")
    genes: Positive = Field(256, description="genes that are read, the most variable of the training lines")
    components: Positive = Field(50, description="most principal components of expression that the baselines read")
    trees: Positive = Field(150, description="trees of the boosting")
    wrong_lines: bool = Field(default=True, description="also learn from the expression of wrong lines")
    folds: Annotated[int, Field(ge=2)] = Field(5, description="parts that are tested in turn")
    validation_share: Share = Field(0.15, description="share of what is left that the network's epoch is chosen on")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="of folds, weights, trees and wrong lines")
    model: ModelConfig = Field(ModelConfig(**SMALL), description="the model that embeds a cell line")
    network: SynergyConfig = SynergyConfig()

    @model_validator(mode="before")
    @classmethod
    def _small_model(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("model"), dict):
            return {**data, "model": {**SMALL, **data["model"]}}
        return data

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> DrugsConfig:
        if self.antagonistic > self.synergistic:
            raise ValueError("antagonistic must not be above synergistic: a score would have both labels")
        if self.model.asymmetric:
            raise ValueError("model.asymmetric: a cell line is embedded by one stack of convolutions, without decoder")
        return self
