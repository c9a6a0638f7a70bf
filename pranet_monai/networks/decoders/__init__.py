# SPDX-License-Identifier: Apache-2.0
"""Decoders: backbone features (fine → coarse) in, refined features (coarse → fine) out, and nothing of classes."""

from pranet_monai.networks.decoders.cascade import CascadeDecoder
from pranet_monai.networks.decoders.emcad import EMCADDecoder
from pranet_monai.networks.decoders.mist import CAMDecoder
from pranet_monai.networks.decoders.pranet import PraNetDecoder
from pranet_monai.networks.table import ComponentTable

__all__ = ["DECODERS", "CAMDecoder", "CascadeDecoder", "EMCADDecoder", "PraNetDecoder"]

DECODERS = ComponentTable("decoders", "decoders by name: features fine → coarse in, refined coarse → fine out")
DECODERS.add("emcad", "EMCAD: multi-scale depthwise convolutions, gated skips (CVPR 2024)", EMCADDecoder)
DECODERS.add("cascade", "CASCADE: gated skips, attention, pairs of convolutions (WACV 2023)", CascadeDecoder)
DECODERS.add("cam", "CAM of MIST: one convolutional transformer a step (WACV 2024)", CAMDecoder)
DECODERS.add("pranet", "PraNet: a global view and one refinement stack per feature (MICCAI 2020)", PraNetDecoder)
