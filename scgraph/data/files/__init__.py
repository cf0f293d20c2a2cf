"""A file of cells (h5ad, 10x) becomes `Cells`: matrix, genes, labels and notes, checked."""
