"""The layers of the registry and the sentences of their contract, as docs/layers.md lists them."""

from __future__ import annotations

from scgraph.nn.conv.registry import conv_class, conv_names
from scgraph.testing import SENTENCES

__all__ = ["contract_block", "layers_block"]


def layers_block(_source: str = "registry") -> str:
    """Return the table of the registered layers."""
    rows = [f"| `{name}` | {conv_class(name).summary} | {conv_class(name).cost} |" for name in conv_names()]
    return "\n".join(["| key | what | multiply-adds a layer and cell |", "|---|---|---|", *rows]) + "\n"


def contract_block(_source: str = "sentences") -> str:
    """Return what the contract of a layer says, sentence by sentence."""
    lines = []
    for number, check in SENTENCES.items():
        sentence = (check.__doc__ or "").split(": ", 1)[1].rstrip(".").replace("``", "`")
        lines.append(f"{number}. {sentence[0].upper()}{sentence[1:]}.")
    return "\n".join(lines) + "\n"
