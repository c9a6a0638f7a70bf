# SPDX-License-Identifier: Apache-2.0
"""What is kept of a network's maps to judge them by: a few sums per slice, whatever the size of the slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pranet_monai.quality.confidence import class_probabilities
from pranet_monai.transforms.slicing import SliceStack
from torch import Tensor

__all__ = ["OPINIONS", "SliceSums"]

OPINIONS = ("last", "background", "mirrored")
"""What may come beside the final logits: a single stage, "not background", and of averaged passes the first."""

_SIDE = 128  # pixels; larger slices are looked at on every 2nd, 3rd, … pixel of each row and column


class SliceSums:
    """Watches a :class:`~pranet_monai.inferers.WatchableInferer`; see its ``watched_by``.

    Args:
        averaged: whether the inferer averages several passes; the first, plain one is the last map then.

    Everything is a sum over the pixels of one slice of *class a by the final decision* times something of class b, so
    any union of classes can be judged afterwards, and memory is a few numbers per slice. C counts the background too.

    Attributes:
        tables: by name, ``(T, S, C, C)``: frames, slices, deciding class a, and class b's probability
            (``"probability"``), its decision on the slice before (``"previous"``), or an opinion's probability
            (``"soft_last"``) or decision (``"last"``), likewise of the others of :data:`OPINIONS` that there are.
        masses: by the same names ``(T, S, C)``: what the tables are shares of, the sum of class b.
        entropies: ``(T, S, C)``, of the pixels of each class, 0 to 1 a pixel.
    """

    def __init__(self, averaged: bool = False) -> None:
        self.averaged = averaged
        self.tables: dict[str, np.ndarray] = {}
        self.masses: dict[str, np.ndarray] = {}
        self.entropies = np.zeros((0, 0, 0))
        self._ends: dict[int, Tensor] = {}  # slice number → decision, of the ends of the last batches

    def __call__(self, stack: SliceStack, numbers: range, maps: Sequence[Tensor]) -> None:
        """Adds a batch of slices; being told of them again changes nothing.

        Args:
            stack: one item, of any number of frames.
            numbers: of the slices.
            maps: logits ``(N, K, h, w)``, the final ones and the opinions.
        """
        step = max(1, round((maps[0].shape[2] * maps[0].shape[3]) ** 0.5 / _SIDE))
        seen = [class_probabilities(logits[..., step // 2 :: step, step // 2 :: step]).flatten(2) for logits in maps]
        decisions = [_decision(probabilities) for probabilities in seen]
        decided = decisions[0]
        wanted = {"probability": seen[0], "previous": self._previous(decided, numbers, stack.shape[2])}
        for name, soft, hard in zip(self._names(len(maps)), seen[1:], decisions[1:]):
            wanted |= {name: hard, f"soft_{name}": soft}
        entropy = torch.special.entr(seen[0]).sum(1, keepdim=True) / np.log(seen[0].shape[1])
        every = torch.cat([*wanted.values(), entropy], 1)
        products = torch.bmm(decided, every.mT).cpu().numpy()
        sums = every.sum(2).cpu().numpy()
        classes = decided.shape[1]
        if not self.tables:
            self._begin(stack, list(wanted), classes)
        places = np.unravel_index(np.asarray(numbers), tuple(stack.shape[1:]))
        for index, name in enumerate(wanted):
            here = slice(index * classes, (index + 1) * classes)
            self.tables[name][places], self.masses[name][places] = products[..., here], sums[:, here]
        self.entropies[places] = products[..., -1]

    def _begin(self, stack: SliceStack, names: Sequence[str], classes: int) -> None:
        frames, slices = stack.shape[1:]
        self.tables = {name: np.zeros((frames, slices, classes, classes)) for name in names}
        self.masses = {name: np.zeros((frames, slices, classes)) for name in names}
        self.entropies = np.zeros((frames, slices, classes))

    def _names(self, maps: int) -> Sequence[str]:
        """Of the opinions beside the final logits; a network without background maps has none of these."""
        own = OPINIONS[:2][: maps - 1 - self.averaged]
        return (*own, OPINIONS[2]) if self.averaged else own

    def _previous(self, decided: Tensor, numbers: range, slices: int) -> Tensor:
        """The decision on the slice before each; nothing before a frame's first."""
        before = torch.zeros_like(decided)
        before[1:] = decided[:-1]
        end = self._ends.get(numbers.start - 1)
        if end is not None:
            before[0] = end.to(decided.device)
        before[[index for index, number in enumerate(numbers) if number % slices == 0]] = 0
        kept = {} if end is None else {numbers.start - 1: end}  # for when this batch is seen again, or a part of it
        self._ends = {**kept, numbers.stop - 1: decided[-1]}
        return before


def _decision(probabilities: Tensor) -> Tensor:
    """The likeliest class, 1 in its place ``(N, C, P)``; of equal ones the first."""
    likeliest = probabilities.max(1, keepdim=True).indices
    return torch.zeros_like(probabilities).scatter_(1, likeliest, 1.0)
