# SPDX-License-Identifier: Apache-2.0
"""Where a mask comes from, written into the mask itself: which weights made it of which image."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

__all__ = ["FINGERPRINT", "Algorithm", "Provenance"]

FINGERPRINT = "fingerprint"
"""What a loaded case keeps of its image's file, as it was then."""

_MARK = "pranet_monai "


@dataclass(frozen=True)
class Algorithm:
    """What segmented, by name: a DICOM object says so.

    Attributes:
        name: of the bundle.
        version: of the bundle.
    """

    name: str = "pranet_monai"
    version: str = ""


@dataclass(frozen=True)
class Provenance:
    """What made a mask. It holds hashes alone, no name and no path.

    Attributes:
        image: SHA-256 of the image's file or files.
        weights: SHA-256 of the network's weights; empty where unknown.
    """

    image: str
    weights: str = ""

    def text(self) -> str:
        """As one line for a file's header."""
        return _MARK + json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def of_text(cls, text: str) -> Provenance | None:
        """What :meth:`text` wrote; None for any other text."""
        if not text.startswith(_MARK):
            return None
        try:
            return cls(**json.loads(text[len(_MARK) :]))
        except (ValueError, TypeError):
            return None
