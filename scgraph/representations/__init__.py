"""Cells to features, and features to classes: what a bench compares and what labels new cells are made of."""
