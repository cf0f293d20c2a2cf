"""Table II of the paper: what the models cost, and how well their features tell cell types apart."""
