# SPDX-License-Identifier: Apache-2.0
"""A short-axis cardiac MR phantom: volumes to try everything on where no patient data may be had.

Sizes, intensities and the look of the chest follow cine balanced-SSFP stacks as in ACDC: bright blood and fat, dark
myocardium and lung, a dark line where water meets fat, trabeculae along the walls, slices 8 to 10 mm apart from the
base (first) to the apex (last). Coordinates below are mm from the middle of the image: x to the patient's left, y to
the patient's back.
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

TRABECULAE_MM = 2.0  # thickness of the layer along the wall
RV_WALL_MM = 2.0
BASE_MM = {"ED": 0.0, "ES": 9.0}  # how far contraction pulls the valves down


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
    spacing, thickness = rng.uniform(1.25, 1.6), float(rng.choice([8.0, 9.0, 10.0]))
    shape = (int(rng.uniform(330, 380) / spacing), int(rng.uniform(290, 340) / spacing))
    noise = np.random.default_rng([seed, phase == "ES"])  # one anatomy, but each frame has its own noise

    x, y = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * spacing for n in shape), indexing="ij")
    # mm below the valves of the filled heart: stacks are planned to begin below them, as in 68 of 70 of ACDC's; where
    # contraction pulls the valves further down than the first slice, that one shows the atria (19 of 70)
    depths = np.arange(rng.uniform(0.7, 1.3) * thickness, anatomy.lv_length, thickness)
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


@dataclass(frozen=True)
class _Heart:
    """The heart where a slice cuts it; lengths in mm, radii 0 above the valves and beyond the apex."""

    middle: tuple[float, float]  # of the left ventricle
    cavity: float  # radius of the left ventricle
    epicardium: float  # radius with the wall
    rv_middle: tuple[float, float]
    rv_axes: tuple[float, float]  # half axes of the right ventricle
    rv_across: float  # direction of its long axis
    wobble: np.ndarray  # (H, W) shift of every contour

    @classmethod
    def cut(cls, canvas: _Slice, anatomy: _Anatomy, depth: float, phase: Phase) -> _Heart:
        """Two ventricles that narrow towards the apex; contraction thickens the wall and pulls the base down."""
        shrink, thicken, rv_axes = (0.72, 1.35, (33.0, 17.5)) if phase == "ES" else (1.0, 1.0, (38.0, 24.0))
        below = depth - BASE_MM[phase]
        length = anatomy.lv_length - BASE_MM[phase]
        radius, wall = anatomy.lv_radius * shrink, anatomy.wall * thicken
        outer, right = _taper(below / (length + wall)), _taper(below / (0.9 * length))

        center = np.asarray(anatomy.lv_center) + np.array([0.22, 0.1]) * depth  # the long axis points left and back
        middle = (float(center[0]), float(center[1]))
        towards = np.array([np.cos(anatomy.rv_angle), np.sin(anatomy.rv_angle)])
        rv_center = center + towards * ((radius + wall) * outer + 0.25 * rv_axes[1] * right)
        return cls(
            middle=middle,
            cavity=radius * _taper(below / length),
            epicardium=(radius + wall) * outer,
            rv_middle=(float(rv_center[0]), float(rv_center[1])),
            rv_axes=(rv_axes[0] * right, rv_axes[1] * right),
            rv_across=np.pi / 2 + anatomy.rv_angle,
            wobble=_wobble(canvas, middle, anatomy.wobble) * outer,
        )

    def left(self, canvas: _Slice, radius: float, wobble: float = 1.0) -> np.ndarray:
        """Distance to a contour of the left ventricle in mm, negative inside."""
        return canvas.ellipse(self.middle, radius, radius) + wobble * self.wobble

    def right(self, canvas: _Slice, wall: float = 0.0) -> np.ndarray:
        """Distance to the right ventricle with a wall in mm, negative inside."""
        a, b = self.rv_axes
        return canvas.ellipse(self.rv_middle, a + wall, b + wall, self.rv_across) + self.wobble


def _paint_heart(canvas: _Slice, anatomy: _Anatomy, depth: float, phase: Phase) -> None:
    heart = _Heart.cut(canvas, anatomy, depth, phase)
    _paint_surroundings(canvas, heart.middle, depth)
    if depth < BASE_MM[phase]:
        _paint_above_valves(canvas, heart.middle)
        return
    has_right = heart.rv_axes[0] > 6
    outline = heart.left(canvas, heart.epicardium)
    if has_right:
        outline = np.minimum(outline, heart.right(canvas, RV_WALL_MM))
    canvas.paint(outline - 3, 0.6 * FAT)
    canvas.paint(outline - 1, LUNG)  # fat and water cancel along their border
    if has_right:
        canvas.paint(heart.right(canvas, RV_WALL_MM), MUSCLE * 1.1)
        _paint_cavity(canvas, heart.right(canvas), BLOOD * 0.92, RIGHT_VENTRICLE)
    canvas.paint(heart.left(canvas, heart.epicardium), MUSCLE, MYOCARDIUM)
    if heart.cavity > 4:
        _paint_cavity(canvas, heart.left(canvas, heart.cavity, wobble=0.8), BLOOD, LEFT_VENTRICLE)
        for angle in (0.7, 2.6):  # papillary muscles, which ACDC counts to the cavity
            reach = 0.62 * heart.cavity
            place = (heart.middle[0] + reach * np.cos(angle), heart.middle[1] + reach * np.sin(angle))
            muscle = canvas.ellipse(place, 0.2 * heart.cavity, 0.15 * heart.cavity, angle)
            canvas.paint(muscle, MUSCLE * 1.2, opacity=0.85)


def _paint_cavity(canvas: _Slice, distance: np.ndarray, signal: float, label: int) -> None:
    """Blood, and along the wall the trabeculae with blood between them, which ACDC counts to the cavity."""
    canvas.paint(distance, 0.5 * (signal + MUSCLE), label)
    canvas.paint(distance + TRABECULAE_MM, signal)


def _paint_surroundings(canvas: _Slice, middle: tuple[float, float], depth: float) -> None:
    """What the heart lies in: fat towards the breastbone, the mediastinum towards the spine."""
    x, y = middle
    low = np.clip(depth / 80, 0, 1)
    canvas.paint(canvas.ellipse((x - 30, y + 12), 30, 36, 0.5), MUSCLE * 1.3)
    canvas.paint(canvas.ellipse((x - 30 + 18 * low, y - 34 + 10 * low), 40 - 8 * low, 17, 0.35), 0.7 * FAT)


def _paint_above_valves(canvas: _Slice, middle: tuple[float, float]) -> None:
    """Both atria, the aortic root between them and the right ventricle's outlet in front, none of which is labelled.

    Each has a thin wall of its own, and fat fills the grooves between them.
    """
    x, y = middle
    canvas.paint(canvas.ellipse((x - 14, y + 2), 46, 37, 0.6), 0.7 * FAT)
    chambers = (
        ((x - 6, y + 24), 33, 14, 0.15, 0.95),  # left atrium: wide and flat, at the back
        ((x - 45, y + 4), 14, 21, -0.2, 0.85),  # right atrium
        ((x - 8, y - 26), 24, 10, -0.25, 0.88),  # outlet to the pulmonary artery
        ((x - 16, y - 2), 13.5, 12.5, 0.0, 1.05),  # aortic root
    )
    for center, a, b, angle, brightness in chambers:
        canvas.paint(canvas.ellipse(center, a + 2, b + 2, angle), MUSCLE)
        canvas.paint(canvas.ellipse(center, a, b, angle), BLOOD * brightness)


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
