"""From a name to a module, and back from a folder."""

from __future__ import annotations

from scgraph.models.build import build_model
from scgraph.models.initial import initial_model
from scgraph.models.saved import SavedModel, load_model, save_model
from scgraph.models.settings import settings_by_model

__all__ = ["SavedModel", "build_model", "initial_model", "load_model", "save_model", "settings_by_model"]
