"""Table II of the paper: costs, and accuracy in percent with its standard deviation over five runs."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean

__all__ = ["DATASETS", "LAYERS", "PAPER", "RANK", "SETTINGS", "PaperRow", "paper_row"]

LAYERS = 6
RANK = 48
SETTINGS = ((256, 512), (128, 512), (512, 512), (256, 256), (256, 1024))
"""Channels C and genes G of the five settings, in the order of the table."""

DATASETS = ("LEPT", "sclerosis", "pancreas", "lupus", "dengue")


@dataclass(frozen=True)
class PaperRow:
    """One model at one setting.

    Attributes:
        flops: the column FLOPs, in 10⁹; they are multiply-adds.
        memory_mb: the column memory, MB.
        accuracies: percent and its standard deviation, one pair a data set in the order of `DATASETS`.
    """

    channels: int
    genes: int
    model: str
    flops: float
    memory_mb: float
    accuracies: tuple[tuple[float, float], ...]

    @property
    def accuracy(self) -> float:
        """Mean over the data sets, as a share."""
        return mean(percent for percent, _ in self.accuracies) / 100


PAPER = (
    PaperRow(256, 512, "tf", 2.01, 169.96, ((95.17, 0.33), (89.18, 0.34), (97.88, 0.3), (77.8, 0.17), (86.36, 0.2))),
    PaperRow(256, 512, "gnn", 0.76, 27.5, ((94.83, 0.12), (89.17, 0.21), (97.05, 0.16), (77.72, 0.2), (86.71, 0.18))),
    PaperRow(128, 512, "tf", 0.7, 147.52, ((94.55, 0.18), (87.64, 0.23), (95.92, 0.38), (72.09, 0.35), (84.88, 0.21))),
    PaperRow(128, 512, "gnn", 0.41, 19.41, ((93.13, 0.2), (86.34, 0.26), (94.23, 0.15), (73.23, 0.3), (83.76, 0.16))),
    PaperRow(512, 512, "tf", 6.44, 216.04, ((95.65, 0.14), (89.1, 0.16), (98.29, 0.09), (79.51, 0.21), (87.28, 0.15))),
    PaperRow(512, 512, "gnn", 1.77, 44.34, ((95.33, 0.17), (90.07, 0.41), (97.82, 0.13), (78.98, 0.36), (87.47, 0.29))),
    PaperRow(256, 256, "tf", 0.81, 52.29, ((94.82, 0.22), (88.57, 0.25), (98.02, 0.31), (76.42, 0.26), (85.6, 0.09))),
    PaperRow(256, 256, "gnn", 0.24, 9.41, ((94.6, 0.17), (88.1, 0.26), (96.93, 0.19), (76.48, 0.41), (86.11, 0.28))),
    PaperRow(256, 1024, "tf", 5.64, 588.14, (
        (95.52, 0.24), (88.48, 0.32), (98.12, 0.18), (78.19, 0.41), (86.69, 0.21)
    )),
    PaperRow(256, 1024, "gnn", 2.63, 76.63, ((94.89, 0.13), (89.39, 0.2), (97.23, 0.17), (78.61, 0.18), (85.78, 0.39))),
)  # fmt: skip


def paper_row(channels: int, genes: int, model: str) -> PaperRow:
    """The row of one model at one of `SETTINGS`."""
    return next(row for row in PAPER if (row.channels, row.genes, row.model) == (channels, genes, model))
