# SPDX-License-Identifier: Apache-2.0
"""Decoders: backbone features (fine → coarse) in, refined features (coarse → fine) out; they know nothing of classes."""

from monai.utils.component_store import ComponentStore

from pranet_monai.networks.decoders.emcad import EMCADDecoder

__all__ = ["DECODERS", "EMCADDecoder"]

DECODERS = ComponentStore("decoders", "decoders by name: features fine → coarse in, refined coarse → fine out")
DECODERS.add("emcad", "EMCAD: multi-scale depthwise convolutions, gated skips (CVPR 2024)", EMCADDecoder)
