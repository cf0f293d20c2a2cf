"""The state a run resumes from: one safetensors file, no pickle, replaced in one rename."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.plugins.io import CheckpointIO

from scgraph.errors import OutputError, flag
from scgraph.models.tensors import pack, read_tensors, unpack, write_tensors
from scgraph.train.checkpoint import CHECKPOINT_FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scgraph.train.checkpoint import Progress

__all__ = ["SafetensorsIO"]


class SafetensorsIO(CheckpointIO):
    """Stores what Lightning hands over: tensors as tensors, everything else as JSON in the header.

    Args:
        run: the fingerprint of the run, see `fingerprint`.
        progress: kept up to date by the run, stored beside.
    """

    def __init__(self, run: Mapping[str, Any], progress: Progress) -> None:
        self.run = dict(run)
        self.progress = progress

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write the state; a kill at any moment, or a full disk, leaves the old one or the new one.

        Raises:
            OutputError: it cannot be written.
        """
        tensors: dict[str, Any] = {}
        # A resumed run begins its loops anew at the epoch and step of `progress`.
        entries = {key: value for key, value in checkpoint.items() if key != "loops"}
        header = {
            "format": CHECKPOINT_FORMAT,
            "run": self.run,
            "progress": asdict(self.progress),
            "checkpoint": pack(entries, tensors),
        }
        try:
            write_tensors(Path(path), tensors, header)
        except OutputError as error:
            if not Path(path).exists():
                raise
            raise OutputError(
                f"{error} The state before it is whole: when that is mended, the same with {flag('resume')} goes on."
            ) from error

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = None,
        weights_only: bool | None = None,  # noqa: FBT001 - Lightning's signature
    ) -> dict[str, Any]:
        """Read the state back as Lightning handed it over, on the CPU."""
        tensors, header = read_tensors(Path(path))
        checkpoint: dict[str, Any] = unpack(header["checkpoint"], tensors)
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove the state."""
        Path(path).unlink(missing_ok=True)
