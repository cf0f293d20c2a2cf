"""The contract of a convolution as tests, for authors of layers.

In a test of your own package:

    from scgraph.testing import ConvContract

    class TestMyConv(ConvContract):
        conv = MyConv
        options = {"heads": 2}
"""

from __future__ import annotations

from scgraph.nn.contract import SENTENCES, ConvContract, check_conv, remarks, try_out

__all__ = ["SENTENCES", "ConvContract", "check_conv", "remarks", "try_out"]
