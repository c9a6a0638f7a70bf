# SPDX-License-Identifier: Apache-2.0
"""Dice of label volumes as a MONAI metric class, for the handlers of a bundle."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from monai.config import TensorOrList
from monai.metrics import CumulativeIterationMetric
from pranet_monai.metrics.masks import Status, check_option, mask_status

__all__ = ["SegmentationDice"]

Reduction = Literal["mean", "mean_batch", "none"]
STATUSES: tuple[Status, ...] = get_args(Status)


class SegmentationDice(CumulativeIterationMetric):
    """Dice of each class on whole volumes, ``2 |P ∩ R| / (|P| + |R|)``, computed where the tensors are.

    The default reduction is the mean over the cases of the mean over the organs of a case. A class that neither the
    prediction nor the reference of a case holds scores NaN and is left out of the means. A class that only one of them
    holds scores 0 and stays in, and :meth:`counts` says how often. Both hold over all processes of a distributed run.

    Args:
        num_classes: number of classes, background included.
        include_background: score class 0 too.
        reduction: what :meth:`aggregate` returns: "mean" (over the classes of a case, then over the cases; a scalar),
            "mean_batch" (of each class over the cases, shape (classes,)) or "none" (shape (cases, classes)).

    Raises:
        ValueError: when ``num_classes`` is below 2 or ``reduction`` is unknown.

    Example:
        >>> metric = SegmentationDice(num_classes=3)
        >>> labels = torch.tensor([0, 1, 1, 2]).reshape(1, 1, 2, 2)
        >>> metric(labels, labels).tolist()
        [[1.0, 1.0]]
        >>> metric.aggregate().item()
        1.0
    """

    def __init__(self, num_classes: int, include_background: bool = False, reduction: Reduction = "mean") -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes counts the background and must be at least 2, got {num_classes}")
        self.num_classes = num_classes
        self.classes = range(0 if include_background else 1, num_classes)
        check_option("reduction", reduction, Reduction)
        self.reduction = reduction

    def __call__(self, y_pred: TensorOrList, y: TensorOrList | None = None, **kwargs: Any) -> torch.Tensor:
        """Scores a batch and keeps the scores for :meth:`aggregate`.

        Args:
            y_pred: labels (B, 1, H, W[, D]) or one-hot (B, num_classes, H, W[, D]), or a list of such without B.
            y: the reference, likewise.
            kwargs: none are used.

        Returns:
            Scores (B, classes), float64 on the CPU.

        Raises:
            ValueError: when the grids differ, or a volume holds labels outside the classes.
        """
        scores, _ = super().__call__(y_pred, y, **kwargs)
        return scores  # type: ignore[return-value]

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any) -> list[torch.Tensor]:
        """Scores (B, classes) and indices into STATUSES (B, classes)."""
        if y is None:
            raise ValueError(f"{type(self).__name__} needs a reference (y), got None")
        predictions, references = self._labels(y_pred, "y_pred"), self._labels(y, "y")
        if predictions.shape != references.shape:
            raise ValueError(f"y_pred and y must have the same grid, got {tuple(y_pred.shape)} and {tuple(y.shape)}")
        scores, statuses = [], []
        for prediction, reference in zip(predictions, references):
            for index in self.classes:
                pair = prediction == index, reference == index
                scores.append(_dice(*pair))
                statuses.append(STATUSES.index(mask_status(*pair)))
        shape = len(predictions), len(self.classes)
        return [torch.tensor(scores, dtype=torch.float64).reshape(shape), torch.tensor(statuses).reshape(shape)]

    def _labels(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        """Labels (B, H, W[, D]) of a label or one-hot tensor, without the bookkeeping of a MetaTensor."""
        tensor = tensor.as_subclass(torch.Tensor)
        channels = tensor.shape[1]
        if channels == self.num_classes:
            return tensor.argmax(dim=1)
        if channels != 1:
            raise ValueError(f"{name} must have 1 channel (labels) or {self.num_classes} (one-hot), got {channels}")
        labels = tensor[:, 0]
        if not 0 <= labels.min() <= labels.max() < self.num_classes:
            values, counts = (found.tolist() for found in labels.unique(return_counts=True))
            outside = {value: n for value, n in zip(values, counts) if not 0 <= value < self.num_classes}
            raise ValueError(f"{name} holds labels outside 0..{self.num_classes - 1} (label: voxels): {outside}")
        return labels

    def get_buffer(self) -> torch.Tensor | None:
        """Scores (cases, classes) of all cases seen since the last reset, of all processes; None before the first."""
        buffers = super().get_buffer()
        return buffers[0] if buffers else None

    def counts(self) -> dict[str, list[int]]:
        """Cases, of all processes, that are "ok", "missed", "false_positive" and "both_empty": one number per class."""
        buffers = super().get_buffer()
        if not buffers:
            return {status: [0] * len(self.classes) for status in STATUSES}
        return {status: (buffers[1] == index).sum(dim=0).tolist() for index, status in enumerate(STATUSES)}

    def aggregate(self, reduction: Reduction | None = None) -> torch.Tensor:
        """Reduces the scores of all cases seen since the last reset, of all processes.

        Args:
            reduction: overrides the one given at construction.

        Returns:
            A scalar, (classes,) or (cases, classes), see the class; NaN where there was nothing to score.

        Raises:
            ValueError: before the first case, or when ``reduction`` is unknown.
        """
        reduction = reduction or self.reduction
        check_option("reduction", reduction, Reduction)
        scores = self.get_buffer()
        if scores is None:
            raise ValueError(f"{type(self).__name__} has seen no case: call it with (y_pred, y) before aggregate()")
        if reduction == "mean":
            return scores.nanmean(dim=1).nanmean()
        return scores.nanmean(dim=0) if reduction == "mean_batch" else scores


def _dice(prediction: torch.Tensor, reference: torch.Tensor) -> float:
    """Of two boolean masks (H, W[, D]), counted on their device; NaN where both are empty."""
    size = int(prediction.count_nonzero()) + int(reference.count_nonzero())
    return 2 * int((prediction & reference).count_nonzero()) / size if size else float("nan")
