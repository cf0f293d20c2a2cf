"""What is learned from and what is measured on: labelled sets, corpora, their splits, leaks and genes."""
