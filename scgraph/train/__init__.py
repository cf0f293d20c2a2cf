"""Training: masked value prediction, saved models, vectors of cells, the linear probe.

`pretrain` imports Lightning when it is called; nothing else here does.
"""

from __future__ import annotations

from scgraph.train.embedding import embed
from scgraph.train.evaluation import masked_value_loss
from scgraph.train.loss import mvp_loss
from scgraph.train.model_io import SavedModel, load_model, save_model
from scgraph.train.pretraining import Pretrained, pretrain
from scgraph.train.probe import ProbeResult, linear_probe
from scgraph.train.start import first_model
from scgraph.train.trainer import resolve_device

__all__ = [
    "Pretrained",
    "ProbeResult",
    "SavedModel",
    "embed",
    "first_model",
    "linear_probe",
    "load_model",
    "masked_value_loss",
    "mvp_loss",
    "pretrain",
    "resolve_device",
    "save_model",
]
