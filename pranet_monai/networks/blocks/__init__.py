# SPDX-License-Identifier: Apache-2.0
"""Building blocks, one idea a file."""

from pranet_monai.networks.blocks.dsra import DSRAHead

__all__ = ["DSRAHead"]
