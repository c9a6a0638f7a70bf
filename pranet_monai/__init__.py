# SPDX-License-Identifier: Apache-2.0
"""PraNet-V1/V2, EMCAD, MIST and MERIT with Dual-Supervised Reverse Attention as MONAI components and bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pranet_monai.apps.segmenter import Segmenter

__version__ = "1.0.0"

__all__ = ["Segmenter", "__version__"]


def __getattr__(name: str) -> Any:
    """Loads what needs torch when it is asked for, so that the package itself is there at once."""
    if name == "Segmenter":
        from pranet_monai.apps.segmenter import Segmenter

        return Segmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
