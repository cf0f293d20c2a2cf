"""What a model knows of its genes, as a table with one row a gene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgraph.genes.tables import gene_tables, node_names
from scgraph.nn import FactorizedAdjacency

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from scgraph.models import SavedModel

__all__ = ["embedding_frame", "gene_embeddings", "gene_rows"]


def gene_rows(saved: SavedModel) -> NDArray[np.float32]:
    """Return what the encoder knows of every gene, ``[V, C]``, or ``[V, 2C]`` with the product encoding."""
    from torch import cat, nn

    encoder = saved.model.encoder
    found = [encoder.gene.weight, *([encoder.value.weight] if isinstance(encoder.value, nn.Embedding) else [])]
    result: NDArray[np.float32] = cat(found, dim=1).detach().float().cpu()[1:].numpy()
    return result


def gene_embeddings(saved: SavedModel) -> AnnData:
    """Return the genes of a model with the tables that hold what it learned of them.

    ``obs`` are the genes of the vocabulary (index: name; ``symbol``, ``ensembl``; ``seen``, whether training changed
    their rows of the adjacency, where that can be told). ``X`` is the embedding of the encoder ``[V, C]``. ``obsm``
    holds ``value``, the second table of the product encoding ``[V, C]``, and ``target`` and ``source``, the tables of
    the adjacency ``[V, R]``, with ``_1``, ``_2``, ... behind the name where every layer has its own.
    """
    import anndata
    import pandas as pd
    from torch import nn

    vocabulary, encoder = saved.vocabulary, saved.model.encoder
    obs = pd.DataFrame(
        {"symbol": list(vocabulary.symbols), "ensembl": list(vocabulary.ensembl)},
        index=pd.Index(node_names(saved), name="gene"),
    )
    obsm = {}
    if isinstance(encoder.value, nn.Embedding):
        obsm["value"] = encoder.value.weight.detach().float().cpu()[1:].numpy().copy()
    if any(isinstance(one, FactorizedAdjacency) for one in saved.model.adjacencies):
        tables = gene_tables(saved)
        if tables.seen is not None:
            obs["seen"] = tables.seen
        for name, stacked in {"target": tables.target, "source": tables.source}.items():
            for number, table in enumerate(stacked, start=1):
                obsm[name if len(stacked) == 1 else f"{name}_{number}"] = table.numpy().copy()
    x = encoder.gene.weight.detach().float().cpu()[1:].numpy().copy()
    var = pd.DataFrame(index=pd.Index([f"gene_{at}" for at in range(x.shape[1])]))
    return anndata.AnnData(x, obs=obs, var=var, obsm=obsm)


def embedding_frame(embeddings: AnnData) -> pd.DataFrame:
    """Return the same as one table: gene, symbol, ensembl, then the columns of every table, ``target_1`` and so on."""
    import pandas as pd

    parts = [embeddings.obs]
    for name, table in {"gene": embeddings.X, **embeddings.obsm}.items():
        columns = [f"{name}_{at}" for at in range(table.shape[1])]
        parts.append(pd.DataFrame(np.asarray(table), index=embeddings.obs_names, columns=columns))
    whole: pd.DataFrame = pd.concat(parts, axis=1).rename_axis(index="gene")
    return whole
