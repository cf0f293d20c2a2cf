"""Training: masked value prediction, saved models, vectors of cells, the linear probe.

`pretrain` imports Lightning when it is called; nothing else here does.
"""

from __future__ import annotations

from scgraph.train.embedding import embed
from scgraph.train.loss import masked_value_loss, mvp_loss
from scgraph.train.pretraining import Pretrained, pretrain
from scgraph.train.probe import ProbeResult, linear_probe
from scgraph.train.trainer import resolve_device

__all__ = [
    "Pretrained",
    "ProbeResult",
    "embed",
    "linear_probe",
    "masked_value_loss",
    "mvp_loss",
    "pretrain",
    "resolve_device",
]
