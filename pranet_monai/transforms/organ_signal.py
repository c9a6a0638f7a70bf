# SPDX-License-Identifier: Apache-2.0
"""Augmentation of MR slices by organs that are darker or brighter than usual, as iron overload makes the liver."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import GaussianSmooth, MapTransform, RandomizableTransform
from pranet_monai.errors import UsageError

__all__ = ["RandOrganSignald"]


class RandOrganSignald(MapTransform, RandomizableTransform):
    """Scale the signal of some organs of a slice and its neighbours, each by its own factor.

    Signal counts from the darkest pixel of the slice, taken as air. The factor fades over the organ's border, so that
    the reference's outline doesn't show in the image.

    Args:
        keys: images, (C, H, W) each, a slice and its neighbours as channels.
        label_key: class numbers of the same slices, (C, H, W); 0 is background and stays as it is.
        factors: the range that factors are drawn from, not negative.
        prob: how likely each organ of a slice is to change.
        fade: standard deviation of the fading, in pixels.
        allow_missing_keys: don't fail if an image is missing.

    Raises:
        ValueError: the factors aren't a range of non-negative numbers.
        UsageError: image and labels differ in shape, so some channels of the image have no labels.
    """

    def __init__(
        self,
        keys: KeysCollection,
        label_key: str = "label",
        factors: tuple[float, float] = (0.15, 1.2),
        prob: float = 0.15,
        fade: float = 1.0,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, 1.0)
        if len(factors) != 2 or not 0 <= factors[0] <= factors[1]:
            raise ValueError(f"factors is {factors}; give the least and the greatest factor, neither negative")
        self.label_key = label_key
        self.factors = (float(factors[0]), float(factors[1]))
        self.organ_prob = prob
        self.smooth = GaussianSmooth(sigma=fade)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with changed images."""
        out = dict(data)
        factor_map = self._factor_map(torch.as_tensor(out[self.label_key]))
        if factor_map is None:
            return out
        for key in self.key_iterator(out):
            if out[key].shape != factor_map.shape:
                raise UsageError(
                    f"RandOrganSignald: found {key} of shape {tuple(out[key].shape)} with labels of shape "
                    f"{tuple(factor_map.shape)}; allowed: the same slices as channels of both"
                )
            air = out[key].min()
            out[key] = air + (out[key] - air) * factor_map.to(out[key].dtype)
        return out

    def _factor_map(self, label: torch.Tensor) -> torch.Tensor | None:
        """Factors per pixel, (1, H, W), or None where no organ changes."""
        change = torch.zeros(label.shape, dtype=torch.float32)  # factor - 1: what lies outside the slice is unchanged
        changed = False
        for organ in label.unique().tolist():
            if organ == 0 or self.R.random() >= self.organ_prob:
                continue
            change[(label == organ).as_subclass(torch.Tensor)] = self.R.uniform(*self.factors) - 1
            changed = True
        return 1 + self.smooth(change).as_subclass(torch.Tensor) if changed else None
