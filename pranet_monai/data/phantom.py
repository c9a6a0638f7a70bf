# SPDX-License-Identifier: Apache-2.0
"""A short-axis cardiac MR phantom: volumes to try everything on where no patient data may be had.

Sizes, intensities and the look of the chest follow cine balanced-SSFP stacks as in ACDC: bright blood and fat, dark
myocardium and lung, slices 8 to 10 mm apart from the base (first) to the apex (last). Coordinates below are mm from the
middle of the image: x to the patient's left, y to the patient's back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter

__all__ = ["Phantom", "make_phantom", "write_phantom"]

Phase = Literal["ED", "ES"]

BACKGROUND, RIGHT_VENTRICLE, MYOCARDIUM, LEFT_VENTRICLE = range(4)

# signal of each tissue before bias field and noise, scanner units
BLOOD, MUSCLE, FAT, LUNG, LIVER, BONE, FLUID, AIR = 210.0, 75.0, 290.0, 22.0, 68.0, 60.0, 320.0, 2.0


@dataclass(frozen=True)
class Phantom:
    """One frame of one phantom patient.

    Attributes:
        image: signal (H, W, D), int16.
        label: ACDC's class numbers (H, W, D), uint8.
        affine: voxel to RAS mm, 4 x 4; axes L, P, S.
    """

    image: np.ndarray
    label: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True)
class _Anatomy:
    """What differs between patients; lengths in mm."""

    lv_center: tuple[float, float]
    lv_radius: float
    wall: float
    lv_length: float
    rv_angle: float  # direction from LV to RV
    wobble: np.ndarray  # (2, 3) amplitude and phase of the contour's harmonics 2, 3, 4
    body: tuple[float, float]  # half axes of the chest
    fat: float
    vessels: np.ndarray  # (n, 3) x, y, radius of lung and liver vessels

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Anatomy:
        body = (rng.uniform(148, 168), rng.uniform(100, 114))
        harmonics = np.stack([rng.uniform(0.01, 0.035, 3), rng.uniform(0, 2 * np.pi, 3)])
        spots = rng.uniform((-0.9, -0.8, 0.8), (0.9, 0.8, 2.6), (40, 3)) * (*body, 1.0)
        return cls(
            lv_center=(rng.uniform(14, 30), rng.uniform(-26, -8)),
            lv_radius=rng.uniform(23, 27),
            wall=rng.uniform(8.5, 11),
            lv_length=rng.uniform(76, 90),
            rv_angle=np.deg2rad(rng.uniform(195, 225)),
            wobble=harmonics,
            body=body,
            fat=rng.uniform(9, 18),
            vessels=spots,
        )


class _Slice:
    """A slice being painted: later shapes cover earlier ones, with edges as soft as a voxel."""

    def __init__(self, x: np.ndarray, y: np.ndarray, edge: float) -> None:
        self.x, self.y, self.edge = x, y, edge
        self.image = np.full(x.shape, AIR)
        self.label = np.zeros(x.shape, dtype=np.uint8)

    def ellipse(
        self, center: tuple[float, float], a: float, b: float, angle: float = 0.0, power: float = 2.0
    ) -> np.ndarray:
        """Distance to a (super)ellipse in mm, negative inside; true near the edge, where it matters."""
        dx, dy = self.x - center[0], self.y - center[1]
        u = (dx * np.cos(angle) + dy * np.sin(angle)) / a
        v = (dy * np.cos(angle) - dx * np.sin(angle)) / b
        return ((np.abs(u) ** power + np.abs(v) ** power) ** (1 / power) - 1) * min(a, b)

    def paint(self, distance: np.ndarray, signal: float, label: int | None = None, opacity: float = 1.0) -> None:
        cover = np.clip(0.5 - distance / self.edge, 0, 1) * opacity
        self.image += cover * (signal - self.image)
        if label is not None:
            self.label[distance < 0] = label


def make_phantom(seed: int, phase: Phase = "ED") -> Phantom:
    """Draws one frame; the same seed is the same patient, scanned once in each phase.

    Args:
        seed: which patient.
        phase: ``"ED"``, heart filled, or ``"ES"``, heart contracted (ejection fraction about 0.55).

    Raises:
        ValueError: when the phase is none of the two.
    """
    if phase not in ("ED", "ES"):
        raise ValueError(f"phase={phase!r}: allowed are 'ED' and 'ES'")
    rng = np.random.default_rng(seed)
    anatomy = _Anatomy.draw(rng)
    spacing, thickness, slices = rng.uniform(1.25, 1.6), float(rng.choice([8.0, 9.0, 10.0])), int(rng.integers(8, 11))
    shape = (int(rng.uniform(330, 380) / spacing), int(rng.uniform(290, 340) / spacing))
    noise = np.random.default_rng([seed, phase == "ES"])  # one anatomy, but each frame has its own noise

    x, y = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * spacing for n in shape), indexing="ij")
    depths = (np.arange(slices) - 0.4) * thickness  # mm below the valve plane: one slice shows the atria
    painted = [_paint(_Slice(x, y, edge=1.3 * spacing), anatomy, depth, phase) for depth in depths]
    image = np.stack([part.image for part in painted], axis=-1)
    label = np.stack([part.label for part in painted], axis=-1)
    image = _acquire(image, x, y, noise)
    return Phantom(image.astype(np.int16), label, np.diag([-spacing, -spacing, thickness, 1.0]))


def write_phantom(folder: str | Path, n_cases: int = 2, seed: int = 0) -> list[Path]:
    """Writes phantom patients as a small data set: ``imagesTr/phantom001_ED.nii.gz``, …, and ``labelsTr`` beside.

    The last patient is stored with its axes in another order, as exports of other scanners are.

    Args:
        folder: where to write; made if it isn't there.
        n_cases: number of patients, two frames each.
        seed: of the first patient.

    Returns:
        The images written.
    """
    folder = Path(folder).expanduser()
    images = []
    for number in range(1, n_cases + 1):
        for phase in ("ED", "ES"):
            phantom = make_phantom(seed + number - 1, phase)
            for kind, array in (("images", phantom.image), ("labels", phantom.label)):
                path = folder / f"{kind}Tr" / f"phantom{number:03d}_{phase}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                nib.save(_nifti(array, phantom.affine, turned=number == n_cases > 1), path)
            images.append(folder / "imagesTr" / path.name)
    return images


def _nifti(array: np.ndarray, affine: np.ndarray, turned: bool) -> nib.Nifti1Image:
    image = nib.Nifti1Image(array, affine)
    if turned:
        target = nib.orientations.axcodes2ornt("PSR")
        turn = nib.orientations.ornt_transform(nib.io_orientation(affine), target)
        image = image.as_reoriented(turn)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    return image


def _paint(canvas: _Slice, anatomy: _Anatomy, depth: float, phase: Phase) -> _Slice:
    _paint_chest(canvas, anatomy, depth)
    _paint_heart(canvas, anatomy, depth, phase)
    return canvas


def _paint_chest(canvas: _Slice, anatomy: _Anatomy, depth: float) -> None:
    """Skin to lung, spine, great vessels, and the liver and stomach that rise into view towards the apex."""
    a, b = anatomy.body
    middle, fat = (0.0, 12.0), anatomy.fat
    canvas.paint(canvas.ellipse(middle, a, b, power=2.3), FAT)
    canvas.paint(canvas.ellipse(middle, a - fat, b - fat * 0.8, power=2.3), MUSCLE)
    lung = canvas.ellipse(middle, a - fat - 12, b - fat * 0.8 - 11, power=2.3)
    canvas.paint(lung, LUNG)
    for angle in np.linspace(0, 2 * np.pi, 18, endpoint=False):  # marrow of the ribs in the chest wall
        place = (middle[0] + (a - fat - 6) * np.cos(angle), middle[1] + (b - fat - 5) * np.sin(angle))
        canvas.paint(canvas.ellipse(place, 6.5, 3, angle + np.pi / 2), 150.0, opacity=0.7)

    low = np.clip((depth - 5) / 70, 0, 1)  # 0 at the base, 1 at the apex
    liver = canvas.ellipse((-62.0, 62.0 - 28 * low), 62.0 + 16 * low, 36.0 + 26 * low, 0.25, power=2.3)
    organs = np.maximum(liver, lung + 2)
    canvas.paint(organs, LIVER)
    stomach = np.maximum(canvas.ellipse((62.0, 78.0 - 22 * low), 38.0, 18.0 + 20 * low, -0.35), lung + 2)
    canvas.paint(stomach, LIVER * 1.2)
    canvas.paint(canvas.ellipse((78.0, 66.0 - 22 * low), 13.0, 4.0, 0.9), 0.8 * FAT)
    for vx, vy, radius in anatomy.vessels:
        distance = np.maximum(canvas.ellipse((vx, vy), radius * 1.5, radius, vx), lung + 6)
        canvas.paint(distance, 140.0, opacity=0.75)

    canvas.paint(canvas.ellipse((0.0, 84.0), 50.0, 24.0, power=2.5), MUSCLE)
    canvas.paint(canvas.ellipse((0.0, 68.0), 18.0, 14.0), BONE)
    canvas.paint(canvas.ellipse((0.0, 89.0), 8.0, 6.5), FLUID)
    canvas.paint(canvas.ellipse((24.0, 52.0), 11.5, 11.5), BLOOD * 1.2)
    canvas.paint(canvas.ellipse((-20.0, 38.0 - 8 * low), 12.0, 9.0, 0.5), BLOOD * 1.1)


def _paint_heart(canvas: _Slice, anatomy: _Anatomy, depth: float, phase: Phase) -> None:
    """Two ventricles that narrow towards the apex; contraction thickens the wall and pulls the base down."""
    contracted = phase == "ES"
    base = 9.0 if contracted else 0.0
    radius = anatomy.lv_radius * (0.72 if contracted else 1.0)
    wall = anatomy.wall * (1.35 if contracted else 1.0)
    length = anatomy.lv_length - base
    taper_lv = _taper((depth - base) / length)
    taper_epi = _taper((depth - base) / (length + wall))
    taper_rv = _taper((depth - base) / (0.9 * length))

    center = np.asarray(anatomy.lv_center) + np.array([0.22, 0.1]) * depth  # the long axis points left and back
    middle = (float(center[0]), float(center[1]))
    wobble = _wobble(canvas, middle, anatomy.wobble)
    towards = np.array([np.cos(anatomy.rv_angle), np.sin(anatomy.rv_angle)])
    epicardium = (radius + wall) * taper_epi
    across = np.pi / 2 + anatomy.rv_angle
    rv_a, rv_b = (38.0, 24.0) if not contracted else (33.0, 17.5)
    rv_center = center + towards * (epicardium + 0.25 * rv_b * taper_rv)
    rv = (float(rv_center[0]), float(rv_center[1]))

    if depth < base:  # above the valves: both atria and the root of the aorta in fat, none of them labelled
        canvas.paint(canvas.ellipse((middle[0] - 14, middle[1]), 36, 27, 0.9), 0.75 * FAT)
        canvas.paint(canvas.ellipse((middle[0] - 2, middle[1] + 17), 31, 15, 0.1), BLOOD * 0.95)
        canvas.paint(canvas.ellipse((middle[0] - 30, middle[1] - 4), 15, 22, 0.3), BLOOD * 0.85)
        canvas.paint(canvas.ellipse((middle[0] - 6, middle[1] - 14), 13, 12), BLOOD * 1.05)
    if taper_epi > 0:
        outline = canvas.ellipse(middle, epicardium + 5, epicardium + 5) + wobble
        canvas.paint(
            np.minimum(outline, canvas.ellipse(rv, rv_a * taper_rv + 5, rv_b * taper_rv + 5, across)), 0.4 * FAT
        )
    if taper_rv > 0.15:
        a, b = rv_a * taper_rv, rv_b * taper_rv
        canvas.paint(canvas.ellipse(rv, a + 3, b + 3, across), MUSCLE * 1.1)
        canvas.paint(canvas.ellipse(rv, a, b, across) + wobble, BLOOD * 0.92, RIGHT_VENTRICLE)
    if taper_epi > 0.2:
        canvas.paint(canvas.ellipse(middle, epicardium, epicardium) + wobble, MUSCLE, MYOCARDIUM)
    if taper_lv > 0.15:
        inner = radius * taper_lv
        canvas.paint(canvas.ellipse(middle, inner, inner) + 0.8 * wobble, BLOOD, LEFT_VENTRICLE)
        for angle in (0.7, 2.6):  # papillary muscles, which ACDC counts to the cavity
            place = (middle[0] + 0.62 * inner * np.cos(angle), middle[1] + 0.62 * inner * np.sin(angle))
            canvas.paint(canvas.ellipse(place, 0.2 * inner, 0.15 * inner, angle), MUSCLE * 1.2, opacity=0.85)


def _taper(depth: float) -> float:
    """Radius of a half ellipsoid at a relative depth below its base; 0 outside."""
    return float(np.sqrt(1 - depth**2.4)) if 0 <= depth < 1 else 0.0


def _wobble(canvas: _Slice, center: tuple[float, float], harmonics: np.ndarray) -> np.ndarray:
    """Shifts of a contour in mm by angle, so that no ventricle is a perfect circle."""
    angle = np.arctan2(canvas.y - center[1], canvas.x - center[0])
    return sum(30 * size * np.cos(n * angle + phase) for n, (size, phase) in enumerate(harmonics.T, start=2))


def _acquire(image: np.ndarray, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tissue texture, point spread, the surface coil's bias field, and Rician noise."""
    texture = gaussian_filter(rng.standard_normal(image.shape), (2.2, 2.2, 0.3))
    image = image * (1 + 0.07 * texture / texture.std())
    image = gaussian_filter(image, (0.6, 0.6, 0.25))
    tilt = rng.uniform(-0.15, 0.15, 2)
    bias = np.exp(-(y + 60) / 260) * (1 + tilt[0] * x / 150 + tilt[1] * (x * x + y * y) / 150**2)
    image = image * bias[..., None]
    real, imaginary = rng.normal(0, 4.5, (2, *image.shape))
    return np.rint(np.hypot(image + real, imaginary))
