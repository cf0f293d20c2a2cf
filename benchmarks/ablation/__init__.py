"""How good frozen features are, step by step from the paper's recipe to the default settings."""
