"""Layers and training steps on a GPU."""
