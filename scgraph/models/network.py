"""What a gene network adds to a model: its edges, the places of its genes, and its name in the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scgraph.errors import ConfigError, argument
from scgraph.nn import Restriction, positional_encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from scgraph.config import ModelConfig
    from scgraph.data import Network

__all__ = ["network_parts", "saved_parts", "with_network"]

INDPTR, INDICES, ENCODING = "network.indptr", "network.indices", "positions.encoding"
"""Names of the tensors in a state dict."""


def with_network(config: ModelConfig, network: Network | None) -> ModelConfig:
    """Return the settings with the hash of the network in them, where the model makes use of one.

    Raises:
        ConfigError: the settings ask for a network and there is none.
    """
    if network is None and (config.network is not None or config.positional != "none"):
        asks = "network" if config.positional == "none" else f"positional {config.positional}"
        raise ConfigError(f"model.{asks}: needs a gene network; name its file with {argument('network')}.")
    uses = network is not None and (config.restricted or config.positional != "none")
    return config.model_copy(update={"network": network.sha256 if network is not None and uses else None})


def network_parts(config: ModelConfig, network: Network | None) -> dict[str, Any]:
    """Return what `CellModel` is given of a network besides `ModelConfig.model_kwargs`; nothing without one.

    Positions are computed once and kept with the network.

    Raises:
        ConfigError: the settings ask for a network and there is none, or its positions cannot be computed.
    """
    import torch

    with_network(config, network)
    parts: dict[str, Any] = {}
    if network is None:
        return parts
    edge_index = torch.from_numpy(network.edge_index)
    if config.restricted:
        parts["network"] = Restriction.from_edges(network.size, edge_index)
    if config.positional != "none":
        key = (config.positional, config.positional_dim)
        if key not in network.kept:
            weight = torch.from_numpy(network.weight)
            network.kept[key] = positional_encoding(key[0], network.size, edge_index, dim=key[1], edge_weight=weight)
        parts["positions"] = network.kept[key].clone()
    return parts


def saved_parts(config: ModelConfig, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the same as `network_parts` from the tensors of a saved model.

    Raises:
        ConfigError: a tensor is missing or is no network.
    """
    parts: dict[str, Any] = {}
    wanted = [] if config.network is None else [INDPTR, INDICES] * config.restricted
    wanted += [ENCODING] * (config.positional != "none")
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise ConfigError(f"{missing[0]} is missing")
    if INDPTR in wanted:
        network: Restriction = Restriction(tensors[INDPTR], tensors[INDICES])
        parts["network"] = network
    if ENCODING in wanted:
        if tensors[ENCODING].dim() != 2 or tensors[ENCODING].shape[1] != config.positional_dim:
            raise ConfigError(
                f"{ENCODING} is {list(tensors[ENCODING].shape)}, with positional_dim {config.positional_dim}"
            )
        parts["positions"] = tensors[ENCODING]
    return parts
