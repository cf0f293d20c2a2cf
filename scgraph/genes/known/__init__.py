"""Edges of a learned graph against edges that are known, and against those of another seed."""
