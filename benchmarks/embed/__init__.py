"""How fast cells become vectors, and in how much memory, against PCA, scvi-tools and a plain Transformer encoder."""
