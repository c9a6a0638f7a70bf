# SPDX-License-Identifier: Apache-2.0
"""Masks with a known Dice: of labelled cases as they are, and of copies made worse on purpose."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from pranet_monai.apps.segmenter import Segmentation, Segmenter
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.grid import original_affine
from pranet_monai.geometry import plane_axis
from pranet_monai.metrics import dice
from pranet_monai.quality.calibration import OrganSize, plausibility
from pranet_monai.quality.degrade import DEGRADATIONS, OF_VOLUMES, Planes, degraded
from pranet_monai.quality.examples import UNCHANGED, Example
from pranet_monai.quality.judge import organ_size
from pranet_monai.reports.kinds import create_kind
from pranet_monai.transforms.load import LoadCased

__all__ = ["examples_of_case", "usual_sizes"]

_LEAST_SD = 0.15  # of the logarithm of a size: 15 % of the size


def examples_of_case(
    segmenter: Segmenter, case: Mapping[str, Any], patient: str, copies: int, usual: Mapping[str, OrganSize]
) -> list[Example]:
    """Segments a labelled case and degraded copies of it.

    Args:
        segmenter: that gathers evidence.
        case: as ``find_cases`` lists it.
        patient: whose it is.
        copies: how many; which degradations of what strength is drawn by the case's name.
        usual: organ → its usual size.

    Returns:
        An example for each organ that the reference holds, each frame and each copy.

    Raises:
        BadCaseError: it can't be read.
    """
    loaded = _loaded(segmenter, case)
    examples = []
    for name, strength, image, label in _copies(loaded["image"], loaded["label"], case["case"], copies):
        result = segmenter(image)
        for row in _rows(segmenter, result, label):
            measures = {**row["measures"], "plausibility": plausibility(row["size"], usual[row["organ"]])}
            values = (row["organ"], row["dice"], row["size"], measures)
            examples.append(Example(patient, case["case"], name, strength, *values))
    return examples


def usual_sizes(segmenter: Segmenter, cases: Sequence[Mapping[str, Any]]) -> dict[str, OrganSize]:
    """How large the organs of references are.

    Args:
        segmenter: knows the organs.
        cases: whose references to read; those that can't be read are passed over.
    """
    sizes: dict[str, list[float]] = {organ: [] for organ in segmenter.label_map.organs}
    for case in cases:
        try:
            loaded = _loaded(segmenter, case)
        except BadCaseError:
            continue
        affine = original_affine(loaded["image"]) if segmenter.kind == "volume" else None
        for mask in loaded["label"].numpy(force=True).astype(np.uint8):
            for row in create_kind(segmenter.kind).measure(mask, None, affine, segmenter.label_map):
                sizes[row["organ"]].append(organ_size(row, mask.size))
    return {organ: _usual(values) for organ, values in sizes.items()}


def _loaded(segmenter: Segmenter, case: Mapping[str, Any]) -> dict[Any, Any]:
    item: dict[Any, Any] = dict(case)
    return LoadCased(["image", "label"], segmenter.label_map)(item)


def _usual(values: Sequence[float]) -> OrganSize:
    logs = [math.log(value) for value in values if value > 0]
    mean = float(np.mean(logs)) if logs else 0.0
    return OrganSize(mean, max(_LEAST_SD, float(np.std(logs))) if logs else 1.0, len(logs) == len(values) > 0)


def _copies(
    image: MetaTensor, label: MetaTensor, name: str, copies: int
) -> Iterator[tuple[str, float, MetaTensor, np.ndarray]]:
    """The case itself, then its degraded copies: degradation, strength, image and class numbers of its frames."""
    yield UNCHANGED, 0.0, image, label.numpy(force=True)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    is_volume = image.ndim == 4
    known = [one for one in DEGRADATIONS if is_volume or one not in OF_VOLUMES]
    order = [known[index] for _ in range(-(-copies // len(known))) for index in rng.permutation(len(known))]
    axis = 1 + plane_axis(image.shape[1:], original_affine(image)) if is_volume else 1
    voxels, classes = (one.as_tensor() if is_volume else one.as_tensor()[:, None] for one in (image, label))
    case = Planes(voxels.movedim(axis, 1), classes.movedim(axis, 1))
    for degradation in order[:copies]:
        strength = float(rng.random())
        worse = degraded(case, degradation, strength, rng)
        voxels, reference = (one.movedim(1, axis) if is_volume else one[:, 0] for one in (worse.image, worse.label))
        yield degradation, strength, _like(image, voxels, axis, worse.zoom), reference.numpy()


def _like(image: MetaTensor, array: torch.Tensor, axis: int, zoom: float) -> MetaTensor:
    """The array as a case in memory; its place in space isn't kept, its spacing is, times the zoom in the plane."""
    array = array.as_subclass(torch.Tensor).contiguous()  # transforms give a copy metadata of its own
    if image.ndim < 4:
        return MetaTensor(array)
    affine = original_affine(image).copy()
    affine[:3, [index for index in range(3) if index != axis - 1]] *= zoom
    return MetaTensor(array, affine=torch.as_tensor(affine))


def _rows(segmenter: Segmenter, result: Segmentation, label: np.ndarray) -> Iterator[dict[str, Any]]:
    """Of each frame's organs that the reference holds: Dice, size and measures."""
    if result.evidence is None:
        raise ValueError("the segmenter must gather evidence")
    organs = segmenter.label_map.organs
    for frame, (mask, reference) in enumerate(zip(result.tensor.numpy(force=True), label, strict=True)):
        measured = create_kind(segmenter.kind).measure(mask, None, result.affine, segmenter.label_map)
        sizes = {row["organ"]: organ_size(row, mask.size) for row in measured}
        masks = {organ: (np.isin(mask, classes), np.isin(reference, classes)) for organ, classes in organs.items()}
        voxels = {organ: int(found.sum()) for organ, (found, _) in masks.items()}
        measures = result.evidence.measures(frame, organs, voxels)
        for organ, (found, truth) in masks.items():
            if truth.any():
                row = {"organ": organ, "dice": float(dice(found, truth)), "size": sizes[organ]}
                yield {**row, "measures": measures[organ]}
