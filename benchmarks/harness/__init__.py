"""What the benchmarks share: command line, results folder, tables, children with limits, rounds in turn."""
