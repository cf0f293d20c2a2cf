"""A model as a transformer of scikit-learn: fitted without labels, from cells to vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from scgraph.api import pretrain
from scgraph.config_files import as_pretrain_config
from scgraph.data.files.stream import CellStream
from scgraph.train.vectors import embed_cells

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray

    from scgraph.config import PretrainConfig

__all__ = ["CellEmbedder"]


class CellEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Pretrains a model without labels and turns cells into its vectors, as a transformer of scikit-learn.

    Cells are an AnnData object, or a matrix or DataFrame ``[n, genes]`` of counts or of what `values` says. The genes
    are the columns of a DataFrame, or ``gene0``, ``gene1``, ... of a matrix, which is to have the same columns in
    `transform` as in `fit`. An AnnData object is matched by the names of its genes, whatever their order.

    The vector of a cell depends on that cell alone. A cell without any count gets zeros.

    Args:
        model: a registered name, or whatever else `scgraph.pretrain` takes.
        config: sizes and rates, as `scgraph.pretrain` takes them.
        seed: of the weights, the order of cells and the masks.
        device: auto, cpu, cuda or cuda:N.
        layer: layer of AnnData objects to read instead of X; ``"raw"`` reads `.raw`.
        values: what the values are, where they do not show it themselves; see `scgraph.data.read_cells`.
        min_matched: share of the genes of `fit` that an AnnData object must hold in `transform`.

    Attributes:
        model_: what was trained, as `scgraph.embed` takes it.
        history_: losses, one row an epoch; see `scgraph.train.Pretrained`.
        n_features_in_: number of genes.
        feature_names_in_: their names, where a DataFrame or an AnnData object named them.

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> classifier = make_pipeline(CellEmbedder("gnn"), LogisticRegression())
    """

    def __init__(
        self,
        model: str = "gnn",
        *,
        config: PretrainConfig | str | Path | dict[str, Any] = "bench/default",
        seed: int = 0,
        device: str = "auto",
        layer: str | None = None,
        values: str | None = None,
        min_matched: float = 0.3,
    ) -> None:
        self.model = model
        self.config = config
        self.seed = seed
        self.device = device
        self.layer = layer
        self.values = values
        self.min_matched = min_matched

    def fit(self, X: AnnData | ArrayLike, y: object = None) -> CellEmbedder:
        """Pretrain the model on cells; `y` is not looked at.

        Raises:
            ValueError: a matrix has no numbers, NaN or Inf.
            ScgraphError: the cells, a setting or the device cannot be used; see its subclasses.
        """
        cells = self._cells(X, reset=True)
        settings = as_pretrain_config(self.config)
        training = settings.train.model_copy(update={"seed": self.seed, "device": self.device})
        trained = pretrain(
            [cells],
            model=self.model,
            config=settings.model_copy(update={"train": training}),
            layer=self._layer(X),
            values=self.values,
        )
        self.model_ = trained.saved()
        self.history_ = trained.history
        self._n_features_out = trained.model.width
        return self

    def transform(self, X: AnnData | ArrayLike) -> NDArray[np.float32]:
        """Return the vectors of cells, float32 `[n, C]`; an AnnData object stays as it is.

        Raises:
            NotFittedError: nothing was fitted.
            ValueError: a matrix has other columns than in `fit`, NaN or Inf.
            ScgraphError: the cells or the device cannot be used; see its subclasses.
        """
        check_is_fitted(self)
        vectors, _ = embed_cells(
            self.model_,
            CellStream(self._cells(X, reset=False), layer=self._layer(X), values=self.values),
            min_matched=self.min_matched,
            device=self.device,
            say=lambda _: None,
        )
        return vectors

    def _cells(self, X: AnnData | ArrayLike, *, reset: bool) -> AnnData:
        """Return the cells as AnnData; with `reset`, note their genes."""
        import pandas as pd
        from anndata import AnnData

        if isinstance(X, AnnData):
            if reset:
                self.n_features_in_ = X.n_vars
                self.feature_names_in_ = X.var_names.to_numpy(dtype=object)
            return X
        least = 2 if reset else 1
        matrix = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=np.float32,
            ensure_min_samples=least,
            ensure_min_features=least,
        )
        check_non_negative(matrix, type(self).__name__)
        names = getattr(self, "feature_names_in_", [f"gene{at}" for at in range(matrix.shape[1])])
        obs = pd.DataFrame(index=[f"cell{at}" for at in range(matrix.shape[0])])
        return AnnData(matrix, obs=obs, var=pd.DataFrame(index=names))

    def _layer(self, X: object) -> str | None:
        return self.layer if hasattr(X, "obs") else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
