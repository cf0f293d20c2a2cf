"""Table I of the paper: test losses of the Transformer and the GNN."""

from __future__ import annotations

__all__ = ["PAPER_E_P", "PAPER_GNN", "PAPER_SIGMA", "PAPER_TF", "paper_losses"]

PAPER_E_P = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
PAPER_SIGMA = (0.1, 0.2, 0.3, 0.4, 0.5)

# One row an e_p, one column a sigma.
PAPER_TF = (
    (0.009, 0.034, 0.077, 0.134, 0.207),
    (0.010, 0.030, 0.069, 0.119, 0.217),
    (0.009, 0.035, 0.063, 0.133, 0.168),
    (0.009, 0.028, 0.059, 0.135, 0.197),
    (0.014, 0.028, 0.059, 0.133, 0.156),
    (0.010, 0.027, 0.085, 0.163, 0.193),
)
PAPER_GNN = (
    (0.013, 0.040, 0.085, 0.150, 0.225),
    (0.026, 0.057, 0.098, 0.159, 0.242),
    (0.031, 0.103, 0.122, 0.203, 0.299),
    (0.055, 0.104, 0.174, 0.278, 0.399),
    (0.096, 0.166, 0.269, 0.406, 0.584),
    (0.163, 0.267, 0.421, 0.621, 0.884),
)


def paper_losses(e_p: float, sigma: float) -> tuple[float, float] | None:
    """Losses (tf, gnn) of one cell of Table I; None where the paper has no such cell."""
    rows = [i for i, value in enumerate(PAPER_E_P) if abs(value - e_p) < 1e-9]
    columns = [j for j, value in enumerate(PAPER_SIGMA) if abs(value - sigma) < 1e-9]
    if not rows or not columns:
        return None
    return PAPER_TF[rows[0]][columns[0]], PAPER_GNN[rows[0]][columns[0]]
