# SPDX-License-Identifier: Apache-2.0
"""What one pass over a case yields for estimating the quality of its mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.utils import convert_to_dst_type
from pranet_monai.inferers import WatchableInferer
from pranet_monai.quality.confidence import ConfidenceMap
from pranet_monai.quality.features import organ_measures
from pranet_monai.quality.sums import SliceSums
from pranet_monai.transforms.slicing import SliceStack
from torch import Tensor

__all__ = ["Evidence", "segment_with_evidence"]


@dataclass(frozen=True)
class Evidence:
    """Evidence of one case.

    Attributes:
        sums: of its slices.
        before: voxels per frame and class ``(T, C)`` before the clean-up; None where the inferer gave probabilities.
    """

    sums: SliceSums
    before: np.ndarray | None

    def measures(
        self, frame: int, organs: Mapping[str, Sequence[int]], voxels: Mapping[str, int]
    ) -> dict[str, dict[str, float]]:
        """The measures of a frame's organs, all but ``plausibility``.

        Args:
            frame: which.
            organs: name → the classes whose union it is.
            voxels: of each organ in the final mask.
        """
        found = organ_measures(self.sums, frame, organs)
        for organ, classes in organs.items():
            before = 0 if self.before is None else int(self.before[frame, list(classes)].sum())
            found[organ]["kept"] = voxels[organ] / before if before else 1.0
        return found


def segment_with_evidence(
    inferer: WatchableInferer, image: Tensor, network: Callable[..., Any], wants_map: bool = False
) -> tuple[Tensor, Evidence, Tensor | None]:
    """The inferer's output, bit for bit the same as without recording, and the evidence of its quality.

    Args:
        inferer: of any output.
        image: one case ``(1, C, ...)``.
        network: gives opinions beside its logits, or logits alone.
        wants_map: see the third result.

    Returns:
        The answer, the evidence, and if wanted a map ``(1, T, ...)`` of the confidence, with the metadata of the image.
    """
    sums, confidence = SliceSums(inferer.passes > 1), ConfidenceMap(inferer.watched_pixels)

    def watch(stack: SliceStack, numbers: range, maps: tuple[Tensor, ...]) -> None:
        sums(stack, numbers, maps)
        if wants_map:
            confidence(stack, numbers, maps)

    answer = inferer.watched_by(watch)(image, network)
    before = None
    if not torch.is_floating_point(answer):
        classes = sums.entropies.shape[2]
        plain = answer.as_subclass(Tensor)
        before = np.stack([torch.bincount(frame.flatten(), minlength=classes).cpu().numpy() for frame in plain[0]])
    quality_map = convert_to_dst_type(confidence.volume, image)[0] if wants_map else None
    return answer, Evidence(sums, before), quality_map
