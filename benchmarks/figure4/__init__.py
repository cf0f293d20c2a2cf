"""Figure 4 of the paper: score and cost against the number of genes a cell."""
