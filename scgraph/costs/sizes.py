"""What a profile measures with where nothing else is said; the sizes of a model are those of `ModelConfig`."""

__all__ = ["BATCH_SIZE", "VOCABULARY_SIZE"]

BATCH_SIZE = 8
"""Cells a step."""
VOCABULARY_SIZE = 20_000
"""Genes to draw from."""
