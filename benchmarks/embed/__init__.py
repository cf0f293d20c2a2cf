"""How fast cells become vectors, and how much memory that takes, against PCA and a plain Transformer encoder."""
