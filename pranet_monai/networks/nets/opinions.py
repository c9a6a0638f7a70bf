# SPDX-License-Identifier: Apache-2.0
"""A network that gives second opinions beside its answer, as any runtime can run it."""

from typing import List, Tuple

from pranet_monai.networks.nets.base import SegmentationNet
from torch import Tensor, nn

__all__ = ["WithOpinions"]


class WithOpinions(nn.Module):
    """Wraps a network: one pass gives the final logits, bit for bit, and what parts of the network say by themselves.

    Args:
        network: in eval mode. Of one that isn't this package's the logits alone come out.

    Attributes:
        in_channels: the network's, as far as it states one.
        divisor: likewise.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.in_channels = getattr(network, "in_channels", None)
        self.divisor = getattr(network, "divisor", None)

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Images ``(B, C, H, W)`` to logits ``(B, K, H, W)`` each, see ``SegmentationNet.forward_opinions``."""
        if isinstance(self.network, SegmentationNet):
            opinions: List[Tensor] = self.network.forward_opinions(x)
            return tuple(opinions)
        return (self.network(x),)
