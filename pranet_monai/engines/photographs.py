# SPDX-License-Identifier: Apache-2.0
"""What runs over photographs need beside those over volumes: their report, and training at several sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from monai.utils import CommonKeys, ImageMetaKey
from torch import Tensor
from torch.nn.functional import interpolate

from pranet_monai.engines.case_dataset import CASE, DONE_MASK
from pranet_monai.engines.case_evaluator import CaseEvaluator
from pranet_monai.engines.handlers import ReportHandler
from pranet_monai.transforms.photograph import read_photograph, read_photograph_mask

if TYPE_CHECKING:
    from pranet_monai.reports import PhotographReport

__all__ = ["PhotographReportHandler", "RandomSizeBatch"]


class PhotographReportHandler(ReportHandler):
    """Hands each photograph to the report as it ends, with its label where there is one.

    Args:
        report: takes the rows.
        label_map: the classes, or their name.
    """

    report: PhotographReport

    def completed(self, engine: CaseEvaluator) -> None:
        """Measures the probabilities (1, H, W), against the label where there is one."""
        item, prediction = engine.state.batch[0], engine.state.output[0][CommonKeys.PRED]
        label = item.get(CommonKeys.LABEL)
        self.report.add_case(
            item[CASE],
            prediction[0].numpy(force=True),
            image=read_photograph(prediction.meta[ImageMetaKey.FILENAME_OR_OBJ]),
            reference=read_photograph_mask(label) if label else None,
            seconds=engine.state.seconds,
        )

    def skipped(self, engine: CaseEvaluator) -> None:
        """Notes that an earlier run has finished the case."""
        self.report.skip(engine.state.case, engine.state.batch[DONE_MASK][0])


class RandomSizeBatch:
    """``prepare_batch`` of the polyp recipe: each batch at one of several sizes, image and (soft) mask alike.

    The original takes a step at every size on every batch; here a batch gets one, drawn at random.

    Args:
        sizes: sides in pixels.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = list(sizes)

    def __call__(
        self, batch: Mapping[str, Tensor], device: torch.device, non_blocking: bool = False, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Image (B, C, s, s) and mask (B, 1, s, s) in [0, 1] on the device."""
        side = self.sizes[int(torch.randint(len(self.sizes), ()))]

        def resized(planes: Tensor) -> Tensor:
            planes = planes.as_subclass(Tensor).to(device, non_blocking=non_blocking)
            return interpolate(planes, (side, side), mode="bilinear", align_corners=True)

        return resized(batch[CommonKeys.IMAGE]), resized(batch[CommonKeys.LABEL])
