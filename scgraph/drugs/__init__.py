"""Scores of drug combinations on cell lines, predicted from drugs and expression, beside simple baselines."""

from scgraph.drugs.run import DrugsResult, run_drugs

__all__ = ["DrugsResult", "run_drugs"]
