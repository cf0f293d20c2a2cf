"""Training: pretraining without labels, vectors of cells, the linear probe.

The public functions are loaded when first used: every command asks `scgraph.train.distributed.world` which process it
is, and need not wait for torch. Lightning is imported when `pretrain` trains in this process; nothing else imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scgraph.lazy import lazy_names

if TYPE_CHECKING:
    from scgraph.train.embedding import embed
    from scgraph.train.loss import masked_value_loss, mvp_loss, validation_loss
    from scgraph.train.pretraining import Pretrained, as_saved, pretrain
    from scgraph.train.probe import ProbeResult, linear_probe
    from scgraph.train.trainer import resolve_device

__all__ = [
    "Pretrained",
    "ProbeResult",
    "as_saved",
    "embed",
    "linear_probe",
    "masked_value_loss",
    "mvp_loss",
    "pretrain",
    "resolve_device",
    "validation_loss",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Pretrained": "scgraph.train.pretraining",
        "ProbeResult": "scgraph.train.probe",
        "as_saved": "scgraph.train.pretraining",
        "embed": "scgraph.train.embedding",
        "linear_probe": "scgraph.train.probe",
        "masked_value_loss": "scgraph.train.loss",
        "mvp_loss": "scgraph.train.loss",
        "pretrain": "scgraph.train.pretraining",
        "resolve_device": "scgraph.train.trainer",
        "validation_loss": "scgraph.train.loss",
    },
)
