# SPDX-License-Identifier: Apache-2.0
"""The sheet that a case is drawn on: a title, equally large panels and a legend, on black.

Pillow scales pictures and writes letters, Agg draws lines, both without matplotlib's figures: those take half a second.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D
from PIL import Image, ImageDraw, ImageFont

__all__ = ["FILL_OPACITY", "Color", "Entry", "Panels"]

Color = tuple[float, float, float]
"""RGB in 0–1."""

COLUMNS = 4
PANEL_WIDTH, GAP, DPI = 225, 2, 90
TITLE_HEIGHT, LEGEND_MARGIN, LEGEND_ROW_HEIGHT, LEGEND_COLUMNS = 32, 10, 18, 5
TITLE_SIZE, TEXT_SIZE = 13.75, 10.0
SWATCH, SWATCH_HEIGHT, SWATCH_GAP, LEGEND_GAP = 15, 8, 6, 14
PANEL_PROPORTIONS = (0.5, 1.5)  # height over width; longer pictures keep their shape between black bars
GREYS, MAX_BYTES = (40, 24, 12), 200_000  # shades in the PNG: as many as the size allows; 40 show no banding
COLORS = (256, 64)  # likewise of an image in colour
COMPRESSION = 4  # of zlib: a tenth of the time of 9, for 5 % more bytes
FILL_OPACITY = 0.28
THUMBNAIL = 15  # of the sheet's pixels in a row or column, one is asked for its colour
WHITE: Color = (1.0, 1.0, 1.0)


class Entry(NamedTuple):
    """A line of the legend.

    Attributes:
        text: what it says.
        color: of what it explains; None for a text alone.
        line_width: of a line, in points; None for an area.
    """

    text: str
    color: Color | None = None
    line_width: float | None = None


class Panels:
    """A sheet whose panels are filled row by row.

    Args:
        title: text above the panels, cut off where it is too long.
        count: number of panels.
        size: (height, width) of their pictures, in any unit of length.
        legend: its entries.
    """

    def __init__(self, title: str, count: int, size: tuple[float, float], legend: Sequence[Entry]) -> None:
        self.columns = min(COLUMNS, count)
        self.width = PANEL_WIDTH * COLUMNS  # one slice fills the sheet as well as twelve do
        self.pitch = self.width // self.columns
        height = round(self.pitch * float(np.clip(size[0] / size[1], *PANEL_PROPORTIONS)))
        self.panel = (height - GAP, self.pitch - GAP)
        self.scale = min(side / length for side, length in zip(self.panel, size))  # pixels per unit
        self.inner = tuple(max(1, round(length * self.scale)) for length in size)
        top = TITLE_HEIGHT + height * -(-count // COLUMNS)
        rows = _legend_rows(legend, self.width)
        self.height = top + 2 * LEGEND_MARGIN + LEGEND_ROW_HEIGHT * len(rows)
        self._agg = RendererAgg(self.width, self.height, DPI)
        self._pixels = np.asarray(self._agg.buffer_rgba())
        _whole(self._pixels)[:] = _whole(np.array([0, 0, 0, 255], np.uint8))
        self._texts: list[tuple[tuple[float, float], str, str, bool]] = []  # on pictures: place, text, anchor, bold
        self._entries: list[tuple[tuple[float, float], str]] = []  # of the legend: place, text
        self._draw_legend(rows, top + LEGEND_MARGIN)
        self._title = _shortened(title, _font(TITLE_SIZE, bold=True), self.width - 18)

    def _origin(self, position: int) -> tuple[int, int]:
        """Row and column of the first pixel of a panel's picture."""
        row, column = divmod(position, self.columns)
        top, left = TITLE_HEIGHT + row * (self.panel[0] + GAP), column * self.pitch
        return top + (self.panel[0] - self.inner[0]) // 2, left + (self.panel[1] - self.inner[1]) // 2

    def fill(self, position: int, picture: np.ndarray | None, areas: np.ndarray, colors: Sequence[Color]) -> None:
        """Show a picture with coloured areas.

        Args:
            position: of the panel.
            picture: grey (row, column) or RGB (row, column, 3), uint8; black where ``None``.
            areas: (row, column), uint8: 0 nothing, 1 the first colour, and so on.
            colors: of the areas.
        """
        top, left = self._origin(position)
        height, width = self.inner
        target = self._pixels[top : top + height, left : left + width]
        scaled = np.asarray(Image.fromarray(areas).resize((width, height), Image.Resampling.NEAREST))
        if picture is None:
            picture = np.zeros_like(areas)
        shown = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
        first_tint, tints = scaled.astype(np.intp) * 256, _tints(tuple(colors))
        if shown.ndim == 2:
            _whole(target)[:] = _whole(tints).take(first_tint + shown)
            return
        for channel in range(3):
            target[..., channel] = tints[:, channel].take(first_tint + shown[..., channel])

    def outline(
        self, position: int, lines: Sequence[np.ndarray], size: tuple[int, int], color: Color, width: float
    ) -> None:
        """Draw lines into a panel.

        Args:
            position: of the panel.
            lines: points (column, row) each, where (0, 0) is the middle of the picture's first pixel.
            size: (height, width) of the picture, in its pixels.
            color: of the lines.
            width: of the lines, in points.
        """
        if not lines:
            return
        top, left = self._origin(position)
        codes = [np.full(len(line), Outline.LINETO, np.uint8) for line in lines]
        for code in codes:
            code[0] = Outline.MOVETO
        path = Outline(np.concatenate(lines), np.concatenate(codes))
        down, across = self.inner[0] / size[0], self.inner[1] / size[1]
        place = Affine2D().translate(0.5, 0.5).scale(across, -down).translate(left, self.height - top)
        brush = self._agg.new_gc()
        brush.set_foreground(color)
        brush.set_linewidth(width * DPI / 72)
        self._agg.draw_path(brush, path, place)

    def label(self, position: int, text: str, top: str = "", left: str = "") -> None:
        """Write a text into a panel's corner, and the patient's sides to its edges."""
        row, column = divmod(position, self.columns)
        height, width = self.panel
        y, x = TITLE_HEIGHT + row * (height + GAP), column * self.pitch
        self._texts += [((x + 0.02 * width, y + 0.98 * height), text, "ld", False)]
        self._texts += [((x + 0.02 * width, y + height / 2), left, "lm", True)] if left else []
        self._texts += [((x + width / 2, y + 0.02 * height), top, "mt", True)] if top else []

    def _draw_legend(self, rows: Sequence[Sequence[Entry]], top: int) -> None:
        widths = _column_widths(rows)
        starts = np.cumsum([0, *widths]) + (self.width - sum(widths) + LEGEND_GAP) // 2
        for number, row in enumerate(rows):
            y = top + LEGEND_ROW_HEIGHT * number + LEGEND_ROW_HEIGHT // 2
            for x, entry in zip(starts.tolist(), row):
                if entry.color is not None:
                    half = SWATCH_HEIGHT // 2 if entry.line_width is None else 0
                    swatch = (np.array(entry.color) * 255).round()
                    self._pixels[y - half : y + half + 1, x : x + SWATCH, :3] = swatch
                    x += SWATCH + SWATCH_GAP
                self._entries.append(((x, y), entry.text))

    def png(self, colors: Sequence[Color], in_colour: bool) -> bytes:
        """The sheet as PNG with few colours, fewer still for noisy images.

        Args:
            colors: of the organs.
            in_colour: the pictures are RGB and get a palette of their own; else it is greys and tinted greys.
        """
        sheet = Image.fromarray(self._pixels[..., :3].copy())
        pen = ImageDraw.Draw(sheet)
        pen.text((9, TITLE_HEIGHT / 2), self._title, "white", _font(TITLE_SIZE, bold=True), "lm")
        for place, text in self._entries:
            pen.text(place, text, "white", _font(TEXT_SIZE), "lm")
        for place, text, anchor, bold in self._texts:  # with a black rim, which takes twice as long
            pen.text(place, text, "white", _font(TEXT_SIZE, bold), anchor, stroke_width=1, stroke_fill="black")
        for shades in COLORS if in_colour else GREYS:
            palette = _own_palette(sheet, colors, shades) if in_colour else _palette(tuple(colors), shades)
            buffer = io.BytesIO()
            reduced = sheet.quantize(palette=palette, dither=Image.Dither.NONE)
            reduced.save(buffer, "PNG", compress_level=COMPRESSION)
            if buffer.tell() <= MAX_BYTES:
                break
        return buffer.getvalue()


@lru_cache
def _font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"  # the fonts that matplotlib brings
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _column_widths(rows: Sequence[Sequence[Entry]]) -> list[int]:
    """Pixels of each column of the legend, the gap behind it included."""
    columns = [[row[place] for row in rows if place < len(row)] for place in range(len(rows[0]))]
    return [max(map(_entry_width, column)) + LEGEND_GAP for column in columns]


def _entry_width(entry: Entry) -> int:
    return round(_font(TEXT_SIZE).getlength(entry.text)) + (SWATCH + SWATCH_GAP if entry.color is not None else 0)


def _legend_rows(legend: Sequence[Entry], width: int) -> list[Sequence[Entry]]:
    """As many entries side by side as fit."""
    for columns in range(min(LEGEND_COLUMNS, len(legend)), 0, -1):
        rows = [legend[start : start + columns] for start in range(0, len(legend), columns)]
        if sum(_column_widths(rows)) <= width:
            break
    return rows


def _whole(pixels: np.ndarray) -> np.ndarray:
    """RGBA (..., 4) uint8 as one number per pixel (...), in the same memory: four times as quick to write."""
    return pixels.view(np.uint32)[..., 0]


@lru_cache
def _tints(colors: tuple[Color, ...]) -> np.ndarray:
    """What each value of a channel becomes in each area, ((1 + areas) * 256, RGBA) uint8, the first untinted."""
    values = np.arange(256)[:, None]
    tinted = [values * (1 - FILL_OPACITY) + 255 * FILL_OPACITY * np.array(color) for color in colors]
    by_area = np.concatenate([np.repeat(values, 3, axis=1), *tinted]).round()
    return np.column_stack([by_area, np.full(len(by_area), 255)]).astype(np.uint8)


@lru_cache
def _palette(colors: tuple[Color, ...], greys: int) -> Image.Image:
    """At most 256 colours: greys, each organ's colour, and the greys under its fill."""
    tones = [np.repeat(np.linspace(0, 1, greys)[:, None], 3, axis=1)]
    levels = max(2, min(greys // 2, (256 - greys) // max(1, len(colors)) - 1))
    under = np.linspace(0, 1, levels)[:, None] * (1 - FILL_OPACITY)
    for color in colors:
        tones += [np.array([color]), under + FILL_OPACITY * np.array([color])]
    return _as_palette((np.concatenate(tones)[:256] * 255).round())


def _own_palette(sheet: Image.Image, colors: Sequence[Color], shades: int) -> Image.Image:
    """The commonest colours of a thumbnail of the sheet, those of the organs and white."""
    wanted = np.array([WHITE, *colors])[: shades // 2] * 255
    thumbnail = sheet.resize((sheet.width // THUMBNAIL, sheet.height // THUMBNAIL), Image.Resampling.NEAREST)
    found = thumbnail.quantize(shades - len(wanted), dither=Image.Dither.NONE).getpalette() or []
    return _as_palette(np.concatenate([np.reshape(found, (-1, 3)), wanted]))


def _as_palette(tones: np.ndarray) -> Image.Image:
    palette = Image.new("P", (1, 1))
    palette.putpalette(tones.astype(np.uint8).tobytes())
    return palette
