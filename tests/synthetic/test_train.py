"""Settings trained together against settings trained alone; what the losses show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from scgraph.errors import TrainingError
from scgraph.synthetic.config import SyntheticConfig
from scgraph.synthetic.data import generate
from scgraph.synthetic.run import loss_table
from scgraph.synthetic.train import Setting, all_settings, train

if TYPE_CHECKING:
    from scgraph.synthetic.data import Samples
    from scgraph.synthetic.models import Kind

SMALL = SyntheticConfig(
    e_p=(0.0, 0.5),
    sigma=(0.1, 0.5),
    samples=400,
    validation_samples=100,
    epochs=4,
    batch_size=64,
    seeds=2,
    precision="float64",
)


@pytest.mark.parametrize("kind", ["gnn", "tf"])
@pytest.mark.parametrize("layer", ["plain", "residual"])
def test_batched_training_equals_one_by_one(kind: Kind, layer: str) -> None:
    config = SMALL.model_copy(update={"gnn_layer": layer, "tf_layer": layer})
    settings = all_settings(config)
    assert len(settings) == 8
    together = train(config, config.model(kind), settings)
    for run, setting in enumerate(settings):
        alone = train(config, config.model(kind), [setting])
        for name in ("train", "validation", "test"):
            np.testing.assert_allclose(
                getattr(together, name)[run], getattr(alone, name)[0], rtol=1e-9, atol=0, err_msg=f"{setting} {name}"
            )


def test_training_is_seeded_and_settings_differ() -> None:
    settings = all_settings(SMALL)
    first, again = (train(SMALL, SMALL.model("tf"), settings) for _ in range(2))
    np.testing.assert_array_equal(first.test, again.test)
    assert len(np.unique(first.test[:, -1])) == len(settings)


def test_the_test_part_is_scored_and_never_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other values of the last samples, which are the test part, change the test loss and nothing else."""
    model, settings = SMALL.model("gnn"), all_settings(SMALL)
    before = train(SMALL, model, settings)
    held_out = round(SMALL.test_share * SMALL.samples)

    def other(n: int, *, part: int, **setting: Any) -> Samples:
        samples = generate(n, part=part, **setting)
        if part == 0:
            samples.values[-held_out:] *= 10
        return samples

    monkeypatch.setattr("scgraph.synthetic.train.generate", other)
    after = train(SMALL, model, settings)
    np.testing.assert_array_equal(after.train, before.train)
    np.testing.assert_array_equal(after.validation, before.validation)
    assert (after.test > 10 * before.test).all()


def test_losses_fall_to_the_floor_and_the_gap_grows_with_e_p() -> None:
    config = SyntheticConfig(
        e_p=(0.0, 0.5), sigma=(0.3,), samples=4000, validation_samples=500, epochs=100, learning_rate=5e-3
    )
    settings = all_settings(config)
    curves = {kind: train(config, config.model(kind), settings) for kind in ("gnn", "tf")}
    losses = loss_table(config, settings, curves).pivot(index="e_p", columns="model", values=["best", "floor"])
    constant = loss_table(config, settings, {"tf": curves["tf"]})["constant"]
    # A model that sees the other values does better than one that sees none.
    assert (curves["gnn"].test.min(1) < constant).all()
    ratio = losses["best", "gnn"] / losses["best", "tf"]
    assert 0.9 < ratio[0.0] < 1.4
    assert ratio[0.5] > 3
    above = losses["best", "tf"] / losses["floor", "tf"]
    # The test masks are a sample: the best of many epochs may lie a little below the expected loss.
    assert above[0.0] == pytest.approx(1.1, abs=0.2)
    assert above[0.5] > 0.9


def test_a_loss_that_is_not_a_number_stops_the_training() -> None:
    config = SMALL.model_copy(update={"learning_rate": 1e200})
    with pytest.raises(TrainingError, match=r"not a number after epoch 1\. Lower learning_rate"):
        train(config, config.model("tf"), [Setting(0.5, 0.5, 0)])
