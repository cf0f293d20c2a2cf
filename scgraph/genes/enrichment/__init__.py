"""Whether a learned gene graph joins what belongs together: families, permutations, a test, a page."""
