# SPDX-License-Identifier: Apache-2.0
"""Metrics of label volumes as MONAI metric classes, for the handlers of a bundle."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric

__all__ = ["SegmentationDice", "SegmentationMetric"]

REDUCTIONS = ("mean", "mean_batch", "none")


class SegmentationMetric(CumulativeIterationMetric):
    """Base of the metrics that score each class of each case of a batch of label volumes.

    A class that neither the prediction nor the reference holds scores NaN and is left out of the means; a class that
    only one of them holds gets the worst score and stays in.

    Args:
        num_classes: number of classes, background included.
        include_background: score class 0 too.
        reduction: what :meth:`aggregate` returns: "mean" (over the classes of a case, then over the cases; a scalar),
            "mean_batch" (of each class over the cases, shape (classes,)) or "none" (shape (cases, classes)).

    Raises:
        ValueError: when ``num_classes`` is below 2 or ``reduction`` is unknown.
    """

    def __init__(self, num_classes: int, include_background: bool = False, reduction: str = "mean") -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes counts the background and must be at least 2, got {num_classes}")
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")
        self.num_classes = num_classes
        self.classes = range(0 if include_background else 1, num_classes)
        self.reduction = reduction

    @abstractmethod
    def _score_case(self, prediction: torch.Tensor, reference: torch.Tensor, **kwargs: Any) -> list[float]:
        """Scores one case: labels (H, W[, D]) twice → one number per scored class."""

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
        """Scores a batch.

        Args:
            y_pred: labels (B, 1, H, W[, D]) of any integer or float type, or one-hot (B, num_classes, H, W[, D]).
            y: the reference, likewise.
            kwargs: for the metric.

        Returns:
            Scores (B, classes), float32 on the CPU.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} needs a reference (y), got None")
        predictions, references = self._to_labels(y_pred, "y_pred"), self._to_labels(y, "y")
        if predictions.shape != references.shape:
            raise ValueError(f"y_pred and y must have the same grid, got {tuple(y_pred.shape)} and {tuple(y.shape)}")
        return torch.tensor([self._score_case(p, r, **kwargs) for p, r in zip(predictions, references)])

    def _to_labels(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        """Labels (B, H, W[, D]) of a label or one-hot tensor."""
        tensor = torch.as_tensor(tensor).as_subclass(torch.Tensor)  # plain: MetaTensor bookkeeping costs per operation
        channels = tensor.shape[1]
        if channels == self.num_classes:
            return tensor.argmax(dim=1)
        if channels != 1:
            raise ValueError(f"{name} must have 1 channel (labels) or {self.num_classes} (one-hot), got {channels}")
        labels = tensor[:, 0]
        if labels.numel() and not 0 <= labels.min() <= labels.max() < self.num_classes:
            values, counts = labels.unique(return_counts=True)
            outside = {v: n for v, n in zip(values.tolist(), counts.tolist()) if not 0 <= v < self.num_classes}
            raise ValueError(f"{name} holds labels outside 0..{self.num_classes - 1} (label: voxels): {outside}")
        return labels

    def aggregate(self, reduction: str | None = None) -> torch.Tensor:
        """Reduces the scores of all cases seen since the last reset, of all processes.

        Args:
            reduction: overrides the one given at construction.

        Returns:
            A scalar, (classes,) or (cases, classes), see the class; NaN where there was nothing to score.
        """
        scores = self.get_buffer()
        if not isinstance(scores, torch.Tensor):
            raise ValueError(f"{type(self).__name__} has seen no case: call it with (y_pred, y) before aggregate()")
        reduction = reduction or self.reduction
        if reduction == "mean":
            return scores.nanmean(dim=1).nanmean()
        return scores.nanmean(dim=0) if reduction == "mean_batch" else scores


class SegmentationDice(SegmentationMetric):
    """Dice of each class on whole volumes, ``2 |P ∩ R| / (|P| + |R|)``.

    The default reduction is the mean over the cases of the mean over the organs of a case. A class absent from both
    masks is left out, a class absent from one scores 0. See :class:`SegmentationMetric` for the arguments.

    Example:
        >>> metric = SegmentationDice(num_classes=3)
        >>> labels = torch.tensor([0, 1, 1, 2]).reshape(1, 1, 2, 2)
        >>> metric(labels, labels).tolist()
        [[1.0, 1.0]]
        >>> metric.aggregate().item()
        1.0
    """

    def _score_case(self, prediction: torch.Tensor, reference: torch.Tensor, **kwargs: Any) -> list[float]:
        return [_dice(prediction == index, reference == index) for index in self.classes]


def _dice(prediction: torch.Tensor, reference: torch.Tensor) -> float:
    size = int(prediction.count_nonzero()) + int(reference.count_nonzero())
    return 2 * int((prediction & reference).count_nonzero()) / size if size else float("nan")
