"""How fast cells are read for training, and how much memory that takes."""
