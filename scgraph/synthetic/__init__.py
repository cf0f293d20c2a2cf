"""The paper's synthetic example (Algorithm 1, Table I, Figure 3): when does a fixed adjacency do for attention?"""

from __future__ import annotations

from scgraph.synthetic.config import SyntheticConfig
from scgraph.synthetic.run import SyntheticResult, run_synthetic, run_variants

__all__ = ["SyntheticConfig", "SyntheticResult", "run_synthetic", "run_variants"]
