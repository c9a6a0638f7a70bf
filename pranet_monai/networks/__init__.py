# SPDX-License-Identifier: Apache-2.0
"""Networks: blocks → backbones and decoders → nets; importing this package registers the backbones with MONAI."""
