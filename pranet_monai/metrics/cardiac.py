# SPDX-License-Identifier: Apache-2.0
"""Cardiac indices from the labels of a heart at end-diastole (ED) and end-systole (ES)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from pranet_monai.metrics.masks import Spacing, as_spacing

__all__ = ["MYOCARDIUM_G_PER_ML", "cardiac_indices", "cardiac_indices_of_volumes"]

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

    labels = {"lv": left_ventricle, "rv": right_ventricle, "myo": myocardium}
    volumes = (
        {name: np.count_nonzero(frame == index) * voxel_ml for name, index in labels.items()}
        for frame in (diastole, systole)
    )
    return cardiac_indices_of_volumes(*volumes)


def cardiac_indices_of_volumes(ed_ml: Mapping[str, float], es_ml: Mapping[str, float]) -> dict[str, float]:
    """The indices of :func:`cardiac_indices` where the volumes are known already.

    Args:
        ed_ml: volumes in ml of ``lv``, ``rv`` and ``myo`` at end-diastole.
        es_ml: the same at end-systole.
    """
    indices: dict[str, float] = {}
    for name in ("lv", "rv"):
        edv, esv = ed_ml[name], es_ml[name]
        indices |= {f"{name}_edv_ml": edv, f"{name}_esv_ml": esv}
        indices[f"{name}_ef"] = (edv - esv) / edv if edv else float("nan")
    return {**indices, "myo_ed_ml": ed_ml["myo"], "myo_mass_g": ed_ml["myo"] * MYOCARDIUM_G_PER_ML}
