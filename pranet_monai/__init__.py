# SPDX-License-Identifier: Apache-2.0
"""PraNet-V1/V2, EMCAD, MIST and MERIT with Dual-Supervised Reverse Attention as MONAI components."""

__version__ = "0.1.0"
