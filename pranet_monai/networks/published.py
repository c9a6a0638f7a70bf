# SPDX-License-Identifier: Apache-2.0
"""The networks as published: arguments, image size and the checkpoints that the authors released. The papers' first,
then MONAI's FlexibleUNet with the head, as `benchmarks/dsra_study.py` measured it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["PUBLISHED", "PublishedNetwork"]


@dataclass(frozen=True)
class PublishedNetwork:
    """One published setting of a network.

    Attributes:
        name: what its publication calls it.
        network: name in ``NETWORKS``.
        arguments: constructor arguments that differ from the defaults.
        image_size: side of the images that it was trained on, in pixels.
        checkpoints: files that github.com/ai4colonoscopy/PraNet-V2 links to.
        license: of those files: the repository's.
    """

    name: str
    network: str
    arguments: dict[str, Any]
    image_size: int
    checkpoints: tuple[str, ...] = ()
    license: str = "MIT"


PUBLISHED = (
    PublishedNetwork("PraNet-V1", "PraNetV1", {}, 352, ("RES-V1.pth",)),
    PublishedNetwork("PVT-PraNet-V1", "PraNetV1", {"backbone": "pvt_v2_b2"}, 352, ("PVT-V1.pth",)),
    PublishedNetwork("PraNet-V2", "PraNetV2", {}, 352, ("RES-V2.pth",)),
    PublishedNetwork("PVT-PraNet-V2", "PraNetV2", {"backbone": "pvt_v2_b2"}, 352, ("PVT-V2.pth",)),
    PublishedNetwork("EMCAD-B0 + DSRA", "EMCADNet", {"backbone": "pvt_v2_b0"}, 224),
    PublishedNetwork("EMCAD-B2 + DSRA", "EMCADNet", {}, 224, ("EMCAD_Synapse.pth",)),
    PublishedNetwork("MIST + DSRA, ACDC", "MIST", {"out_channels": 4}, 256, ("MIST_ACDC.pth",)),
    PublishedNetwork("MIST + DSRA, Synapse", "MIST", {}, 256, ("MIST_Synapse.pth",)),
    PublishedNetwork("MERIT + DSRA, cascaded", "MERIT", {}, 256),
    PublishedNetwork("MERIT + DSRA, parallel", "MERIT", {"mode": "parallel"}, 256),
    PublishedNetwork(
        "FlexibleUNet + DSRA", "DSRAFlexibleUNet", {"in_channels": 1, "out_channels": 3, "backbone": "resnet18"}, 64
    ),
)
