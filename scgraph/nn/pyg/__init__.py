"""Layers of PyTorch Geometric, and other message passing that knows nothing of cells, as convolutions."""
