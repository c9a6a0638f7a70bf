# SPDX-License-Identifier: Apache-2.0
"""An exported file gives all maps that a bundle can use; a run may want the first alone."""

from __future__ import annotations

from pranet_monai.runtimes.base import Prepared, StandIn, one_or_several
from pranet_monai.runtimes.samples import count_maps
from torch import Tensor, nn

__all__ = ["FirstMaps"]


class FirstMaps(StandIn):
    """The first maps of a prepared network that gives more.

    Args:
        prepared: gives a tuple of tensors.
        network: whose statements are repeated.
        number: of maps that are wanted.
    """

    def __init__(self, prepared: Prepared, network: nn.Module, number: int) -> None:
        super().__init__(network, getattr(prepared, "batch_size", None))
        self._prepared, self._number = prepared, number

    def __call__(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Images ``(B, C, H, W)`` to one tensor, or several."""
        return one_or_several(self._prepared(x)[: self._number])

    @classmethod
    def of(cls, prepared: Prepared, network: nn.Module) -> Prepared:
        """As many maps as the network gives; `prepared` itself where it gives no more."""
        wanted = count_maps(network, network)
        return cls(prepared, network, wanted) if count_maps(prepared, network) > wanted else prepared
