"""A file of cells (h5ad, zarr, 10x, mtx, h5mu) becomes `Cells`: matrix, genes, labels and notes, checked."""
