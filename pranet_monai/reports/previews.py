# SPDX-License-Identifier: Apache-2.0
"""One picture per case that a person can judge: slices through the organs, prediction and reference on the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from contourpy import contour_generator
from pranet_monai.reports.panels import Color, Entry, Panels
from pranet_monai.reports.views import View

if TYPE_CHECKING:
    from pranet_monai.data.labels import LabelMap

__all__ = ["draw_preview", "grey_range", "organ_color"]

Box = tuple[slice, ...]

MAX_SLICES = 12
MARGIN = 0.35  # of the organs' extent, shown around them on each side
MIN_MARGIN_MM = 15.0
ORGAN_WIDTH = 1.3  # of outlines, in points
REFERENCE_COLOR, REFERENCE_WIDTH = (1.0, 1.0, 1.0), 0.9
AIR_HU = -500.0  # a volume that reaches below this is CT in Hounsfield units
SOFT_TISSUE_HU = (40.0, 400.0)
MAX_SAMPLES = 500_000  # voxels that the grey scale of an image without units is found from


def draw_preview(
    case: str,
    prediction: np.ndarray,
    affine: np.ndarray | None,
    label_map: LabelMap,
    image: np.ndarray | None = None,
    reference: np.ndarray | None = None,
    window: tuple[float, float] | None = None,
    notes: Mapping[str, str] | None = None,
) -> bytes:
    """Draw up to twelve slices, evenly spread over the organs, as a PNG.

    The picture is in radiological convention by the affine, whatever the array's axis order, and its pixels have the
    proportions of the voxels. The prediction is filled and outlined in the organ's colour, the reference's outline is
    a white line.

    Args:
        case: title of the picture.
        prediction: label indices, shape (H, W, D).
        affine: voxel index to mm (RAS), shape (4, 4); ``None`` for an RGB image stored as (column, row, 1).
        label_map: organs and their colours.
        image: grey (H, W, D) or colour (H, W, D, 3); black where ``None``.
        reference: label indices, shape (H, W, D).
        window: centre and width of the grey scale; by default soft tissue for CT, else percentiles of what is shown.
        notes: organ → what the legend says beside its name (volume, Dice).

    Returns:
        The bytes of a PNG file, at most 200 kB for usual volumes.
    """
    view = View.of(prediction.shape, affine)
    masks = [view.apply(mask) for mask in (prediction, reference) if mask is not None]
    boxes = _boxes(view, [mask for mask in (prediction, reference) if mask is not None], label_map)
    crop = _region(list(boxes.values()), masks[0].shape, view.spacing)
    organs, count = list(boxes), masks[0].shape[2]
    shown = _spread(crop[2])
    slices = [np.moveaxis(mask[crop[:2]][:, :, shown], 2, 0) for mask in masks]
    pictures = None if image is None else np.moveaxis(_grey(view.apply(image)[crop[:2]][:, :, shown], window), 2, 0)

    height, width = slices[0].shape[1:]
    legend = _legend(label_map, organs, notes or {}, reference is not None)
    panels = Panels(case, len(shown), (height * view.spacing[0], width * view.spacing[1]), legend)
    colors = [organ_color(label_map, organ) for organ in organs]
    areas = _area_of_label(label_map, organs)[slices[0]]
    lines = [_outlines(part, label_map, organs) for part in slices]
    for position, index in enumerate(shown):
        panels.fill(position, None if pictures is None else pictures[position], areas[position], colors)
        for organ, color in zip(organs, colors, strict=True):
            panels.outline(position, lines[0][position].get(organ, []), (height, width), color, ORGAN_WIDTH)
        for reference_lines in lines[1:]:
            every = [line for organ_lines in reference_lines[position].values() for line in organ_lines]
            panels.outline(position, every, (height, width), REFERENCE_COLOR, REFERENCE_WIDTH)
        sides = (view.top, view.left) if position == 0 else ("", "")
        panels.label(position, f"{view.stored_index(index, count) + 1}/{count}", *sides)
    return panels.png(colors, image is not None and image.ndim == 4)


def organ_color(label_map: LabelMap, organ: str) -> Color:
    """Colour of an organ, RGB in 0–1; a region has that of the first label that it adds to the regions within it."""
    own = set(label_map.organs[organ])
    inner = [set(labels) for labels in label_map.organs.values() if set(labels) < own]
    red, green, blue = label_map.colors[min(own.difference(*inner) or own)]
    return red / 255, green / 255, blue / 255


def _boxes(view: View, masks: list[np.ndarray], label_map: LabelMap) -> dict[str, Box]:
    """The box around each organ that any of the masks holds, as it is shown."""
    found = [_boxes_of_labels(mask) for mask in masks]
    boxes = {}
    for organ, indices in label_map.organs.items():
        held = [labels[index] for labels in found for index in indices if index in labels]
        if held:
            boxes[organ] = view.apply_to_box(_around(held), masks[0].shape)
    return boxes


def _boxes_of_labels(mask: np.ndarray) -> dict[int, Box]:
    """Label → its box. Only the part that holds labels is looked at label by label: far faster on a CT."""
    mask = mask.astype(np.uint8, copy=False)
    held = [np.flatnonzero(profile) for profile in _profiles(mask)]
    if not len(held[0]):
        return {}
    corner = [int(places[0]) for places in held]
    part = mask[tuple(slice(start, int(places[-1]) + 1) for start, places in zip(corner, held))]
    boxes = {}
    for first in range(1, int(part.max()) + 1, 8):
        # a bit for each of eight labels, ten times as fast as scipy's find_objects; others shift theirs out
        profiles = _profiles(np.left_shift(np.uint8(1), part - np.uint8(first)))
        for bit in range(min(8, 256 - first)):
            held = [np.flatnonzero(profile >> bit & 1) for profile in profiles]
            if len(held[0]):
                boxes[first + bit] = tuple(
                    slice(start + int(places[0]), start + int(places[-1]) + 1) for start, places in zip(corner, held)
                )
    return boxes


def _profiles(values: np.ndarray) -> list[np.ndarray]:
    """For each axis the bits that are set at each of its places; fast in whatever order the axes lie in memory."""
    order = np.argsort(values.strides)[::-1]
    ordered = values.transpose(order)
    flat = np.bitwise_or.reduce(ordered, axis=0)
    found = [np.bitwise_or.reduce(ordered, axis=tuple(range(1, values.ndim)))]
    axes = range(flat.ndim)
    found += [np.bitwise_or.reduce(flat, axis=tuple(other for other in axes if other != axis)) for axis in axes]
    return [found[place] for place in np.argsort(order)]


def _around(boxes: list[Box]) -> Box:
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True))


def _region(boxes: list[Box], shape: tuple[int, ...], spacing: tuple[float, float, float]) -> Box:
    """Rows and columns around the organs with a margin, and the slices that hold them; everything where none does."""
    if not boxes:
        return tuple(slice(0, size) for size in shape)
    rows, columns, slices = _around(boxes)
    return (*(_widened(span, size, mm) for span, size, mm in zip((rows, columns), shape, spacing)), slices)


def _widened(span: slice, size: int, spacing: float) -> slice:
    margin = round(max(MARGIN * (span.stop - span.start), MIN_MARGIN_MM / spacing))
    return slice(max(0, span.start - margin), min(size, span.stop + margin))


def _spread(span: slice) -> list[int]:
    """At most ``MAX_SLICES`` indices, evenly spread over a span, first and last included."""
    count = min(MAX_SLICES, span.stop - span.start)
    return [int(index) for index in np.linspace(span.start, span.stop - 1, count).round()]


def _grey(image: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """Scale grey values (row, column, slice) or colours (row, column, slice, 3) to 0–255, uint8."""
    values = np.array(image, dtype=np.float32, order="C")
    np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
    if values.ndim == 4:
        return _as_bytes(values, 0.0, 255.0 if values.max() > 1 else 1.0)
    low, high = grey_range(values, window)
    return _as_bytes(values, low, max(high - low, 1e-12))  # a constant image is black


def grey_range(values: np.ndarray, window: tuple[float, float] | None = None) -> tuple[float, float]:
    """What is shown black and what white of an image of any shape: by a window (centre, width); CT as soft tissue."""
    if window is None and values.min() < AIR_HU:
        window = SOFT_TISSUE_HU
    if window is not None:
        return window[0] - window[1] / 2, window[0] + window[1] / 2
    low, high = np.percentile(values.ravel()[:: 1 + values.size // MAX_SAMPLES], (1.0, 99.5))
    return float(low), float(high)


def _as_bytes(values: np.ndarray, low: float, width: float) -> np.ndarray:
    """Greys from ``low`` on, ``width`` of them, as 0–255; in the memory of ``values``."""
    values -= np.float32(low)
    values *= np.float32(255 / width)
    scaled: np.ndarray = np.rint(values.clip(0, 255, out=values), out=values).astype(np.uint8)
    return scaled


def _area_of_label(label_map: LabelMap, organs: list[str]) -> np.ndarray:
    """Label → which of the organs it is shown as, from 1 on; 0 is none."""
    areas = np.zeros(256, np.uint8)
    for number, organ in enumerate(organs, start=1):
        areas[list(label_map.organs[organ])] = number
    return areas


def _outlines(slices: np.ndarray, label_map: LabelMap, organs: list[str]) -> list[dict[str, list[np.ndarray]]]:
    """Of each slice the organs' closed outlines as arrays of (column, row), also where they reach its edge."""
    places: list[tuple[int, str, tuple[int, int]]] = []
    cut_out = []
    for number, labels in enumerate(np.pad(slices, ((0, 0), (1, 1), (1, 1)))):
        boxes = _boxes_of_labels(labels)
        for organ in organs:
            indices = label_map.organs[organ]
            held = [boxes[index] for index in indices if index in boxes]
            if not held:
                continue
            rows, columns = (slice(span.start - 1, span.stop + 1) for span in _around(held))
            is_organ = np.zeros(256, np.float32)
            is_organ[list(indices)] = 1
            cut_out.append(is_organ[labels[rows, columns]])  # only the box: far faster on a CT
            places.append((number, organ, (columns.start - 1, rows.start - 1)))
    outlines: list[dict[str, list[np.ndarray]]] = [{} for _ in slices]
    for (number, organ, corner), lines in zip(places, _contours(cut_out), strict=True):
        outlines[number][organ] = [line + corner for line in lines]
    return outlines


def _contours(areas: list[np.ndarray]) -> list[list[np.ndarray]]:
    """Outlines of what is 1 in each of several arrays, with zeros all around it, as (column, row).

    The arrays lie side by side in one: contourpy takes longer to begin than for an organ.
    """
    if not areas:
        return []
    starts = np.cumsum([0, *(area.shape[1] for area in areas)])
    strip = np.zeros((max(area.shape[0] for area in areas), starts[-1]), np.float32)
    for start, area in zip(starts, areas):
        strip[: area.shape[0], start : start + area.shape[1]] = area
    lines: list[list[np.ndarray]] = [[] for _ in areas]
    for line in contour_generator(z=strip).lines(0.5):
        points = np.asarray(line)
        number = int(np.searchsorted(starts, points[0, 0], "right")) - 1
        lines[number].append(points - (starts[number], 0))
    return lines


def _legend(label_map: LabelMap, organs: list[str], notes: Mapping[str, str], has_reference: bool) -> list[Entry]:
    entries = [
        Entry(f"{organ.replace('_', ' ')} {notes.get(organ, '')}".strip(), organ_color(label_map, organ))
        for organ in organs
    ]
    entries += [Entry("reference", REFERENCE_COLOR, REFERENCE_WIDTH)] if has_reference else []
    return entries or [Entry("no organ found")]
