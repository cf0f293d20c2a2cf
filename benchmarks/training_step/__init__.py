"""Speed and memory of a whole training step against other Transformers."""
