# SPDX-License-Identifier: Apache-2.0
"""From a network on 2D slices to labels of whole volumes."""

from pranet_monai.inferers.multi_view import MultiViewInferer
from pranet_monai.inferers.resampling import Resampling, ToPixdim, ToSize
from pranet_monai.inferers.slice_volume import SliceVolumeInferer
from pranet_monai.inferers.watching import WatchableInferer

__all__ = ["MultiViewInferer", "Resampling", "SliceVolumeInferer", "ToPixdim", "ToSize", "WatchableInferer"]
