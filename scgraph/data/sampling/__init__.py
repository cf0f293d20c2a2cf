"""Which genes of a cell are seen, and which of them are hidden: pure functions of (seed, epoch, cell)."""
