"""What an asymmetric encoder-decoder costs beside a Transformer on all genes, and how well it learns."""
