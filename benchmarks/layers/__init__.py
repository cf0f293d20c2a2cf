"""Time and memory of each convolution against the genes of a cell."""
