# SPDX-License-Identifier: Apache-2.0
"""Cardiac indices from the labels of a heart at end-diastole (ED) and end-systole (ES)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .masks import Spacing, as_spacing

__all__ = ["MYOCARDIUM_G_PER_ML", "cardiac_indices"]

MYOCARDIUM_G_PER_ML = 1.05


def cardiac_indices(
    ed: ArrayLike,
    es: ArrayLike,
    spacing: Spacing,
    *,
    right_ventricle: int = 1,
    myocardium: int = 2,
    left_ventricle: int = 3,
) -> dict[str, float]:
    """Volumes, ejection fractions and myocardial mass of one patient, by counting voxels.

    Args:
        ed: labels (H, W, D) at end-diastole.
        es: labels (H, W, D) at end-systole, of the same spacing.
        spacing: voxel size in mm, in the order of the axes.
        right_ventricle: label of the cavity; the default three are those of ACDC.
        myocardium: label of the left ventricle's wall.
        left_ventricle: label of the cavity.

    Returns:
        ``lv_edv_ml``, ``lv_esv_ml`` and ``lv_ef``, the ejection fraction (EDV - ESV) / EDV: 0.6 for 60 %, NaN without
        a cavity at ED, negative when the cavity is larger at ES (frames swapped?); the same for ``rv``; and of the wall
        at ED ``myo_ed_ml`` and, at 1.05 g/ml, ``myo_mass_g``.

    Raises:
        ValueError: when ``spacing`` isn't one positive number per axis, or ``ed`` and ``es`` differ in dimensions.
    """
    diastole, systole = np.asarray(ed), np.asarray(es)
    if diastole.ndim != systole.ndim:
        raise ValueError(f"ed and es must have as many axes, got shapes {diastole.shape} and {systole.shape}")
    voxel_ml = float(np.prod(as_spacing(spacing, diastole.ndim))) / 1000

    def volume(labels: np.ndarray, index: int) -> float:
        return np.count_nonzero(labels == index) * voxel_ml

    indices: dict[str, float] = {}
    for name, index in (("lv", left_ventricle), ("rv", right_ventricle)):
        edv, esv = volume(diastole, index), volume(systole, index)
        indices |= {f"{name}_edv_ml": edv, f"{name}_esv_ml": esv}
        indices[f"{name}_ef"] = (edv - esv) / edv if edv else float("nan")
    wall = volume(diastole, myocardium)
    return {**indices, "myo_ed_ml": wall, "myo_mass_g": wall * MYOCARDIUM_G_PER_ML}
