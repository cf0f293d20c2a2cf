"""The pages, and in `docs.make` what builds their generated blocks."""
