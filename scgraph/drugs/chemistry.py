"""Structures of drugs as numbers: Morgan fingerprints and molecular graphs. Needs rdkit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgraph.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["check_rdkit", "fingerprints", "molecules"]


def check_rdkit() -> None:
    """Refuse to go on without rdkit.

    Raises:
        ConfigError: names the extra.
    """
    try:
        import rdkit  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            'Structures of drugs need rdkit, which is not installed: pip install "scgraph-zoo[drugs]".'
        ) from error


def molecules(names: Sequence[str], smiles: Sequence[str]) -> list[Any]:
    """Return the rdkit molecule of every drug.

    Raises:
        DataError: a SMILES that cannot be read, or without an atom; the message names the drug.
    """
    from rdkit import Chem, rdBase

    found = []
    with rdBase.BlockLogs():  # rdkit writes its own complaint besides
        for name, text in zip(names, smiles, strict=True):
            molecule: Any = Chem.MolFromSmiles(text.strip())  # None where it cannot
            if molecule is None or not molecule.GetNumAtoms():
                raise DataError(f"{name}: its SMILES {text!r} cannot be read. Correct it in the table of drugs.")
            found.append(molecule)
    return found


def fingerprints(
    names: Sequence[str], smiles: Sequence[str], *, bits: int = 256, radius: int = 2
) -> NDArray[np.float32]:
    """Compute Morgan fingerprints, ``[D, bits]`` of 0 and 1: which neighbourhoods of atoms a molecule has, hashed.

    Args:
        names: of the drugs, for messages.
        smiles: their structures.
        bits: length.
        radius: of a neighbourhood, in bonds.

    Source: Rogers and Hahn 2010, doi:10.1021/ci100050t, by rdkit.

    Raises:
        DataError: a SMILES that cannot be read.
    """
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    found = [np.asarray(generator.GetFingerprintAsNumPy(one)) for one in molecules(names, smiles)]
    return np.stack(found).astype(np.float32)
