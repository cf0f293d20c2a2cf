"""Cells become rows of a store, in memory or on disk."""
