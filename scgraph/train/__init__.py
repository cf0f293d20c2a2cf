"""Training: masked value prediction, vectors of cells, the linear probe.

The public functions are loaded when first used: every command asks `scgraph.train.distributed.world` which process it
is, and need not wait for torch. Lightning is imported when `pretrain` trains in this process; nothing else imports it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_MODULES = {
    "Pretrained": "pretraining",
    "ProbeResult": "probe",
    "embed": "embedding",
    "linear_probe": "probe",
    "masked_value_loss": "loss",
    "mvp_loss": "loss",
    "pretrain": "pretraining",
    "resolve_device": "trainer",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"scgraph.train.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'scgraph.train' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
