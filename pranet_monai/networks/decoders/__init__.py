# SPDX-License-Identifier: Apache-2.0
"""Decoders: backbone features (fine → coarse) in, refined features (coarse → fine) out, independent of the classes."""

from pranet_monai.networks.decoders.cascade import CascadeDecoder
from pranet_monai.networks.decoders.emcad import EMCADDecoder
from pranet_monai.networks.decoders.mist import CAMDecoder
from pranet_monai.networks.decoders.pranet import PraNetDecoder

__all__ = ["CAMDecoder", "CascadeDecoder", "EMCADDecoder", "PraNetDecoder"]
