# SPDX-License-Identifier: Apache-2.0
"""One picture per case that a person can judge: slices through the organs, prediction and expert on the image."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from contourpy import contour_generator
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from PIL import Image
from scipy.ndimage import find_objects

from pranet_monai.reports.views import View

if TYPE_CHECKING:
    from pranet_monai.data.labels import LabelMap

__all__ = ["draw_preview", "organ_color"]

Box = tuple[slice, ...]

COLUMNS, MAX_SLICES = 4, 12
PANEL_INCHES, TITLE_INCHES, LEGEND_ROW_INCHES, DPI = 2.5, 0.36, 0.2, 90
LEGEND_COLUMNS = 5
PANEL_PROPORTIONS = (0.5, 1.5)  # height over width; longer pictures keep their shape between black bars
GREYS, MAX_BYTES = (40, 24, 14), 200_000  # shades in the PNG: as many as the size allows; 40 show no banding
COLORS = (256, 96, 32)  # likewise of an image in colour
MARGIN = 0.35  # of the organs' extent, shown around them on each side
MIN_MARGIN_MM = 15.0
FILL_OPACITY = 0.28
EXPERT_COLOR, EXPERT_WIDTH = "white", 0.9
OUTLINE = withStroke(linewidth=2, foreground="black")  # keeps letters readable on bright fat
AIR_HU = -500.0  # a volume that reaches below this is CT in Hounsfield units
SOFT_TISSUE_HU = (40.0, 400.0)


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
    proportions of the voxels. The prediction is filled and outlined in the organ's colour, the expert's outline is
    a white line.

    Args:
        case: title of the picture.
        prediction: label indices, shape (H, W, D).
        affine: voxel index to mm (RAS), shape (4, 4); ``None`` for an RGB image stored as (column, row, 1).
        label_map: organs and their colours.
        image: grey (H, W, D) or colour (H, W, D, 3); black where ``None``.
        reference: expert's label indices, shape (H, W, D).
        window: centre and width of the grey scale; by default soft tissue for CT, else percentiles of what is shown.
        notes: organ → what the legend says beside its name (volume, Dice).

    Returns:
        The bytes of a PNG file, at most 200 kB for usual volumes.
    """
    view = View.of(prediction.shape, affine)
    masks = [view.apply(mask) for mask in (prediction, reference) if mask is not None]
    boxes = _boxes(masks, label_map)
    crop = _region(list(boxes.values()), masks[0].shape, view.spacing)
    count = masks[0].shape[2]
    shown = _spread(crop[2])
    picture = _grey(view.apply(image)[crop[:2]][:, :, shown], window) if image is not None else None
    organs = list(boxes)

    height, width = masks[0][crop[:2]].shape[:2]
    legend = _legend(label_map, organs, notes or {}, reference is not None)
    panels = Panels(case, len(shown), height * view.spacing[0] / (width * view.spacing[1]), legend)
    for position, index in enumerate(shown):
        axes = panels.axes(position)
        frame = np.zeros((height, width, 3)) if picture is None else picture[:, :, position]
        axes.imshow(frame, interpolation="bicubic", aspect=view.spacing[0] / view.spacing[1])
        _draw_organs(axes, [mask[crop[:2]][:, :, index] for mask in masks], label_map, organs)
        panels.label(axes, f"{view.stored_index(index, count) + 1}/{count}", view if position == 0 else None)
    in_colour = image is not None and image.ndim == 4
    return panels.png(None if in_colour else [organ_color(label_map, organ) for organ in organs])


def organ_color(label_map: LabelMap, organ: str) -> tuple[float, float, float]:
    """Colour of an organ, RGB in 0–1; a region has that of the first label that it adds to the regions within it."""
    own = set(label_map.organs[organ])
    inner = [set(labels) for labels in label_map.organs.values() if set(labels) < own]
    red, green, blue = label_map.colors[min(own.difference(*inner) or own)]
    return red / 255, green / 255, blue / 255


class Panels:
    """A black figure with a title, a grid of equally large panels and a legend below.

    Args:
        title: text above the grid.
        count: number of panels.
        height_over_width: of one panel, in mm / mm.
        legend: its entries.
    """

    def __init__(self, title: str, count: int, height_over_width: float, legend: list[Patch | Line2D]) -> None:
        self.columns = min(COLUMNS, count)
        self.rows = -(-count // COLUMNS)
        width = PANEL_INCHES * COLUMNS  # one slice fills the figure as well as twelve do
        panel_height = width / self.columns * float(np.clip(height_over_width, *PANEL_PROPORTIONS))
        self.legend_height = LEGEND_ROW_INCHES * (0.6 + -(-len(legend) // LEGEND_COLUMNS))
        self.height = TITLE_INCHES + panel_height * self.rows + self.legend_height
        self.figure = Figure(figsize=(width, self.height), dpi=DPI, facecolor="black")
        self.canvas = FigureCanvasAgg(self.figure)
        top = 1 - TITLE_INCHES / self.height
        self.figure.text(0.01, (1 + top) / 2, title, color="white", fontsize=11, weight="bold", va="center")
        self.figure.legend(
            handles=legend, loc="lower center", ncols=min(len(legend), LEGEND_COLUMNS), frameon=False,
            labelcolor="white", fontsize=8, handlelength=1.4, columnspacing=1.6, borderaxespad=0.3,
        )  # fmt: skip

    def axes(self, position: int) -> Axes:
        """Axes of a panel, filled row by row."""
        row, column = divmod(position, self.columns)
        top, bottom = 1 - TITLE_INCHES / self.height, self.legend_height / self.height
        width, height = 1 / self.columns, (top - bottom) / self.rows
        axes = self.figure.add_axes((column * width, top - (row + 1) * height, width * 0.992, height * 0.992))
        axes.set_axis_off()
        return axes

    @staticmethod
    def label(axes: Axes, text: str, view: View | None) -> None:
        """Write the slice number, and where a view is given the patient's sides, into a panel."""
        style: dict[str, Any] = {
            "transform": axes.transAxes,
            "color": "white",
            "fontsize": 8,
            "path_effects": [OUTLINE],
        }
        axes.text(0.02, 0.02, text, va="bottom", **style)
        if view is not None:
            axes.text(0.02, 0.5, view.left, va="center", weight="bold", **style)
            axes.text(0.5, 0.98, view.top, va="top", ha="center", weight="bold", **style)

    def png(self, colors: list[tuple[float, float, float]] | None) -> bytes:
        """Render as PNG with few colours, fewer still for noisy images.

        Args:
            colors: of the organs on a grey image, whose palette is greys and tinted greys; None for an image in colour,
                which has a palette of its own.
        """
        self.canvas.draw()
        picture = Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB")
        palette = Image.new("P", (1, 1))
        for shades in COLORS if colors is None else GREYS:
            if colors is None:
                reduced = picture.quantize(shades, dither=Image.Dither.NONE)
            else:
                palette.putpalette(_palette(colors, shades).tobytes())
                reduced = picture.quantize(palette=palette, dither=Image.Dither.NONE)
            buffer = io.BytesIO()
            reduced.save(buffer, "PNG", optimize=True)
            if buffer.tell() <= MAX_BYTES:
                break
        return buffer.getvalue()


def _palette(colors: list[tuple[float, float, float]], greys: int) -> np.ndarray:
    """At most 256 colours: greys, each organ's colour, and the greys under its fill; shape (n, 3), uint8."""
    tones = [np.repeat(np.linspace(0, 1, greys)[:, None], 3, axis=1)]
    levels = max(2, min(greys // 2, (256 - greys) // max(1, len(colors)) - 1))
    under = np.linspace(0, 1, levels)[:, None] * (1 - FILL_OPACITY)
    for color in colors:
        tones += [np.array([color]), under + FILL_OPACITY * np.array([color])]
    return (np.concatenate(tones)[:256] * 255).round().astype(np.uint8)


def _boxes(masks: list[np.ndarray], label_map: LabelMap) -> dict[str, Box]:
    """The box around each organ that any of the masks holds, found in one pass per mask."""
    found = [find_objects(np.asarray(mask, dtype=np.uint8)) for mask in masks]
    boxes = {}
    for organ, indices in label_map.organs.items():
        parts = [labels[index - 1] for labels in found for index in indices if index <= len(labels)]
        held = [part for part in parts if part is not None]
        if held:
            boxes[organ] = _around(held)
    return boxes


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
    """Scale grey values (row, column, slice) or colours (row, column, slice, 3) to RGB in 0–1."""
    values: np.ndarray = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    if values.ndim == 4:
        return np.clip(values / 255 if values.max() > 1 else values, 0, 1)
    if window is None and values.min() < AIR_HU:
        window = SOFT_TISSUE_HU
    if window is not None:
        low, high = window[0] - window[1] / 2, window[0] + window[1] / 2
    else:
        low, high = np.percentile(values, (1.0, 99.5))
    scaled = np.clip((values - low) / max(float(high - low), 1e-12), 0, 1)  # a constant image is black
    return np.repeat(scaled[..., None], 3, axis=-1)


def _draw_organs(axes: Axes, slices: list[np.ndarray], label_map: LabelMap, organs: list[str]) -> None:
    """Fill and outline the prediction (first slice), then outline the expert (second slice, if any)."""
    fill = np.zeros((*slices[0].shape, 4))
    for organ in organs:
        inside = np.isin(slices[0], label_map.organs[organ])
        fill[inside] = (*organ_color(label_map, organ), FILL_OPACITY)
        axes.add_collection(LineCollection(_outlines(inside), colors=[organ_color(label_map, organ)], linewidths=1.3))
    axes.imshow(fill, interpolation="nearest", aspect=axes.get_aspect())
    for reference in slices[1:]:
        lines = [line for organ in organs for line in _outlines(np.isin(reference, label_map.organs[organ]))]
        axes.add_collection(LineCollection(lines, colors=EXPERT_COLOR, linewidths=EXPERT_WIDTH))


def _outlines(inside: np.ndarray) -> list[np.ndarray]:
    """Closed outlines of a 2D mask as arrays of (column, row), also where it reaches the edge of the picture."""
    if not inside.any():
        return []
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    row, column = int(rows[0]), int(columns[0])
    box = np.pad(inside[row : rows[-1] + 1, column : columns[-1] + 1], 1)  # only the box: far faster on a CT
    lines = contour_generator(z=box.astype(np.float32)).lines(0.5)
    return [np.asarray(line) + (column - 1, row - 1) for line in lines]


def _legend(
    label_map: LabelMap, organs: list[str], notes: Mapping[str, str], has_reference: bool
) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Patch(color=organ_color(label_map, organ), label=f"{organ.replace('_', ' ')} {notes.get(organ, '')}".strip())
        for organ in organs
    ]
    if has_reference:
        handles.append(Line2D([], [], color=EXPERT_COLOR, linewidth=EXPERT_WIDTH, label="expert"))
    return handles or [Patch(facecolor="none", label="no organ found")]
