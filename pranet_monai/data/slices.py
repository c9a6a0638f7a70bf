# SPDX-License-Identifier: Apache-2.0
"""Slices of cached volumes: what a 2D network trains on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.transforms import Randomizable
from pranet_monai.errors import UsageError
from pranet_monai.transforms.slicing import VIEW, SliceStack
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

__all__ = ["SliceDataset"]


class SliceDataset(Dataset):
    """All slices of a list of volumes, kept in memory; random transforms are drawn again in every epoch.

    Random numbers depend on (seed, epoch, slice) alone, so that a run is the same with any number of workers, and a
    resumed run the same as one that was never stopped.

    Args:
        data: volumes as dictionaries of file names, such as ``{"image": ..., "label": ...}``.
        transform: from such a dictionary to tensors ``(C, H, W, D)`` under ``keys``; runs once per volume. Of a cine,
            whose image and label have frames as channels, each frame is a volume.
        slice_transform: on a dictionary of slices ``(C, H, W)``, each with its neighbours as further channels, those
            of the labels too; may be random.
        keys: entries that are sliced; the others are dropped.
        axis: spatial axis of the slices: 2 is axial after ``OrientVolumed("RAS")``.
        adjacent_slices: n neighbours on each side of a slice that its image gets as further channels, ``((2n + 1) C, H,
            W)``, as :class:`~pranet_monai.inferers.SliceVolumeInferer` gives them to the network.
        image_key: the entry that keeps them; of the others the slice itself is what an item holds.
        views: planes, such as ``"axial"`` and ``"coronal"``, whose slices are all items: ``transform`` runs once for
            each, on the dictionary with the plane as ``view``.
        seed: start of all random numbers.
        progress: show a bar on stderr while volumes load.

    Raises:
        UsageError: no volumes, a negative `adjacent_slices`, or the entries of one volume differ in shape.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        slice_transform: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        keys: Sequence[str] = ("image", "label"),
        axis: int = 2,
        adjacent_slices: int = 0,
        image_key: str = "image",
        views: Sequence[str] = (),
        seed: int = 0,
        progress: bool = True,
    ) -> None:
        if not data:
            raise UsageError("the list of training volumes is empty: check dataset_dir and the split.")
        self.slice_transform = slice_transform
        self.seed = seed
        self.epoch = 0
        self._stacks: list[dict[str, SliceStack]] = []
        self._slices: list[tuple[int, int]] = []  # volume, slice
        self._alone = [key for key in keys if key != image_key]
        self._adjacent = adjacent_slices
        for item in tqdm(data, desc="loading volumes", disable=not progress, file=sys.stderr):
            for seen in [{**item, VIEW: view} for view in views] or [item]:
                transformed = transform(seen)
                for volumes in _frames({key: transformed[key] for key in keys}):
                    stacks = _stacks(item, volumes, keys, adjacent_slices, axis + 1)
                    self._slices += [(len(self._stacks), number) for number in range(len(next(iter(stacks.values()))))]
                    self._stacks.append(stacks)

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        volume, number = self._slices[index]
        item: Mapping[str, Any] = {key: stack.cut([number])[0] for key, stack in self._stacks[volume].items()}
        if isinstance(self.slice_transform, Randomizable):
            words = np.random.SeedSequence((self.seed, self.epoch, index)).generate_state(1)
            self.slice_transform.set_random_state(seed=int(words[0]))
        if self.slice_transform is not None:
            item = self.slice_transform(item)
        return {**item, **{key: self._own(item[key]) for key in self._alone}}

    def _own(self, channels: Tensor) -> Tensor:
        """The slice's own channels of those that its neighbours and it have."""
        each = channels.shape[0] // (2 * self._adjacent + 1)
        return channels[self._adjacent * each : (self._adjacent + 1) * each]

    def set_epoch(self, epoch: int) -> None:
        """Choose the random numbers of an epoch; the trainer calls it at each epoch's start."""
        self.epoch = epoch


def _frames(volumes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A cine's frames, each a volume: they are what its image and its label have as channels."""
    channels = {len(volume) for volume in volumes.values()}
    if len(volumes) == 1 or len(channels) > 1:  # an image's own channels, its label hasn't
        return [volumes]
    return [{key: volume[frame : frame + 1] for key, volume in volumes.items()} for frame in range(channels.pop())]


def _stacks(
    item: Mapping[str, Any], volumes: Mapping[str, Any], keys: Sequence[str], adjacent_slices: int, dim: int
) -> dict[str, SliceStack]:
    tensors = {key: torch.as_tensor(volumes[key]).as_subclass(Tensor) for key in keys}
    shapes = {key: tuple(tensor.shape[1:]) for key, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        raise UsageError(
            f"{item}: shapes of one case differ ({shapes}), must be equal: check that the files belong together."
        )
    # slices first, each in one piece of the memory: they are read again and again
    stacked = {key: tensor.movedim(dim, 1).contiguous()[None] for key, tensor in tensors.items()}
    return {key: SliceStack(volume, 0, adjacent_slices=adjacent_slices) for key, volume in stacked.items()}
