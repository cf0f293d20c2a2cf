"""The loss of masked value prediction of a network on cells it does not learn from."""

from __future__ import annotations

__all__ = []
