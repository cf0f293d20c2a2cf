"""Settings of a perturbation run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from scgraph.config_fields import Positive, Rate, Settings, Share, Weight

__all__ = ["NetworkConfig", "PerturbConfig"]

Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class NetworkConfig(Settings):
    """The network that predicts changes, and its training."""

    width: Positive = Field(64, description="width H of the two sides")
    epochs: Positive = Field(300, description="most passes over the training perturbations")
    patience: Positive = Field(30, description="epochs without a better validation error before it stops")
    learning_rate: Rate = Field(3e-3, description="of AdamW")
    weight_decay: Weight = Field(0.1, description="decoupled weight decay")


class PerturbConfig(Settings):
    """Predicting expression changes after gene perturbations."""

    embedding: Literal["auto", "gene", "value", "adjacency", "all"] = Field(
        "auto", description="table of the model that describes a gene; auto: value where there is one, else gene"
    )
    network: NetworkConfig = NetworkConfig()
    min_cells: Positive = Field(10, description="leave perturbations out that have fewer cells")
    min_matched: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3, description="share of the vocabulary, or else of a file's own genes and values, that must match"
    )
    most_expressed: Positive | None = Field(
        None, description="score only so many genes, the most expressed of the control cells; null: all of the file"
    )
    top: Positive = Field(20, description="most changed genes that the second score looks at")
    score_targets: bool = Field(default=True, description="also score the perturbed genes themselves")
    control_cells: Positive = Field(256, description="control cells that the model reads for their state")
    components: Positive = Field(50, description="principal components of the baseline, eigenvectors of the network")
    split: Literal["auto", "genes", "leave-one-out"] = Field(
        "auto", description="every perturbation tested once a seed, or a share of the genes; auto: by their number"
    )
    separate_controls: bool = Field(
        default=True, description="measure what is tested against other control cells than what is learned from"
    )
    test_share: Share = Field(0.25, description="share of the perturbed genes that only the test part holds")
    validation_share: Share = Field(0.15, description="share of the perturbed genes that choices are made on")
    seeds: Positive = Field(5, description="repetitions: split, halves of the controls, first weights")
    predict: Names = Field((), description="perturbations to predict besides: GENE, or GENE1+GENE2")

    @model_validator(mode="after")
    def _parts_leave_room(self) -> PerturbConfig:
        if self.test_share + self.validation_share >= 1:
            raise ValueError("test_share + validation_share must stay below 1: nothing is left to train on")
        return self
