"""Configuration of the synthetic example: the defaults are the paper's numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from scgraph.config_fields import Positive, Settings
from scgraph.synthetic.data import Sign  # noqa: TC001 - pydantic reads the annotations when it runs
from scgraph.synthetic.models import Adjacency, Kind, Layer, Model

__all__ = ["Positions", "SyntheticConfig"]

Positions = Literal["both", "tf", "none"]


class SyntheticConfig(Settings):
    """A grid of settings, what the models look like, and how they are trained."""

    e_p: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (0.0, 0.1, 0.2, 0.3, 0.4, 0.5), min_length=1, description="weights of the relative position"
    )
    sigma: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5), min_length=1, description="standard deviations of the exogenous values"
    )
    seeds: Positive = Field(1, description="repetitions: coefficients, samples and weights")
    sign: Sign = Field("reversed", description="of the relative position in Eq. 16; paper is as printed")
    gnn_layer: Layer = Field("plain", description="what follows Softmax(A)e: nothing, linear, relu, residual")
    tf_layer: Layer = Field("plain", description="what follows the attention of Eq. 9; plain is nothing")
    positions: Positions = Field("both", description="models with an embedding of the absolute position")
    adjacency: Adjacency = Field("token", description="whether A belongs to pairs of tokens or of positions")
    channels: Positive = Field(8, description="width d")
    samples: Annotated[int, Field(ge=10)] = Field(20_000, description="samples a setting, N")
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.3, description="share of the samples in the test part")
    validation_samples: Positive = Field(
        2000, description="further samples of the setting, to select an epoch without the test part"
    )
    epochs: Positive = Field(200, description="passes over the train part")
    batch_size: Positive = Field(256, description="samples a step")
    learning_rate: Annotated[float, Field(gt=0)] = Field(1e-3, description="of Adam")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="first seed")
    precision: Literal["float32", "float64"] = Field("float32", description="of the arithmetic")

    @field_validator("e_p", "sigma")
    @classmethod
    def _no_value_twice(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(values)) < len(values):
            raise ValueError("names a value twice")
        return tuple(sorted(values))

    def model(self, kind: Kind) -> Model:
        """Return the GNN or the Transformer of this configuration."""
        return Model(
            kind,
            layer=self.gnn_layer if kind == "gnn" else self.tf_layer,
            positions=self.positions == "both" or (self.positions == "tf" and kind == "tf"),
            adjacency=self.adjacency,
            channels=self.channels,
        )
