# SPDX-License-Identifier: Apache-2.0
"""Cases made worse on purpose: few validation cases fail by themselves, and a calibration must have seen failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from monai.transforms import GaussianSmooth, GibbsNoise, RandBiasField, RandSimulateLowResolution

__all__ = ["DEGRADATIONS", "OF_VOLUMES", "Planes", "degraded"]


@dataclass(frozen=True)
class Planes:
    """A case as slices.

    Attributes:
        image: ``(C, S, H, W)`` float32, C channels or frames.
        label: class numbers ``(C or 1, S, H, W)``.
        zoom: by which the header exaggerates the size of a pixel.
    """

    image: torch.Tensor
    label: torch.Tensor
    zoom: float = 1.0


Degradation = Callable[[Planes, float, np.random.Generator], Planes]


def degraded(case: Planes, name: str, strength: float, rng: np.random.Generator) -> Planes:
    """A case made worse; the label follows where the geometry changes.

    Args:
        case: stays as it is.
        name: key of :data:`DEGRADATIONS`.
        strength: 0, hardly seen, to 1, beyond what a scanner would give.
        rng: for what is drawn.
    """
    return DEGRADATIONS[name](case, strength, rng)


def _on_image(change: Callable[[torch.Tensor, float, np.random.Generator], torch.Tensor]) -> Degradation:
    """A change of grey values slice by slice, ``(C * S, H, W)``, that keeps to the image's own range."""

    def apply(case: Planes, strength: float, rng: np.random.Generator) -> Planes:
        planes = case.image.flatten(0, 1)
        low, high = float(planes.min()), float(planes.max())
        changed = torch.as_tensor(change((planes - low) / max(high - low, 1e-6), strength, rng))
        return replace(case, image=(changed.clamp(0, 1) * (high - low) + low).reshape(case.image.shape))

    return apply


def _noise(planes: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    noise = rng.standard_normal((2, *planes.shape)).astype(np.float32) * (0.02 + 0.18 * strength)
    real, imaginary = torch.from_numpy(noise)
    return ((planes + real) ** 2 + imaginary**2).sqrt()  # Rician, as of a magnitude image


def _bias_field(planes: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    field = RandBiasField(degree=3, coeff_range=(0.1 + 0.3 * strength, 0.2 + 0.5 * strength), prob=1.0)
    field.set_random_state(int(rng.integers(2**31)))
    return planes * torch.as_tensor(field(torch.ones_like(planes[:1])))


def _low_resolution(planes: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    zoom = 0.6 - 0.45 * strength
    coarse = RandSimulateLowResolution(prob=1.0, zoom_range=(zoom, zoom + 1e-3), upsample_mode="bilinear")
    return torch.as_tensor(coarse(planes))


def _ghosts(planes: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    """Copies along the rows, as of a heart or chest that moved: every nth line of k-space is weaker."""
    lines = torch.fft.fft2(planes)
    lines[:, :: int(rng.integers(2, 5))] *= 1 - (0.2 + 0.6 * strength)
    return torch.fft.ifft2(lines).abs()


def _dark_slices(planes: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    lost = torch.from_numpy(rng.random((len(planes), 1, 1)) < 0.1 + 0.4 * strength)
    return torch.where(lost, planes * (0.5 - 0.5 * strength), planes)


def _blot(planes: torch.Tensor, strength: float, rng: np.random.Generator) -> torch.Tensor:
    """A metal's void, or glare: a disc of black or white over the same place of all slices."""
    height, width = planes.shape[1:]
    row, column = rng.uniform(0.3, 0.7) * height, rng.uniform(0.3, 0.7) * width
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    inside = (rows - row) ** 2 + (columns - column) ** 2 < ((0.04 + 0.12 * strength) * (height + width) / 2) ** 2
    return torch.where(inside, float(rng.integers(2)), planes)


def _cut_slices(case: Planes, strength: float, rng: np.random.Generator) -> Planes:
    slices = case.image.shape[1]
    kept = max(1, round(slices * (0.8 - 0.6 * strength)))
    first = int(rng.integers(slices - kept + 1))
    return replace(case, image=case.image[:, first : first + kept], label=case.label[:, first : first + kept])


def _cut_sides(case: Planes, strength: float, rng: np.random.Generator) -> Planes:
    """The field of view ends too early on one side."""
    axis = int(rng.integers(2, 4))
    side = case.image.shape[axis]
    kept = max(16, round(side * (0.8 - 0.35 * strength)))
    first = 0 if rng.random() < 0.5 else max(0, side - kept)
    cut = [slice(None)] * axis + [slice(first, first + kept)]
    return replace(case, image=case.image[tuple(cut)], label=case.label[tuple(cut)])


def _turned(case: Planes, strength: float, rng: np.random.Generator) -> Planes:
    """Another orientation than the header says: a mirroring, or where strong a quarter turn."""
    if strength < 0.5:
        axis = int(rng.integers(2, 4))
        return replace(case, image=case.image.flip(axis), label=case.label.flip(axis))
    turns = int(rng.choice([-1, 1]))
    return replace(case, image=case.image.rot90(turns, (2, 3)), label=case.label.rot90(turns, (2, 3)))


def _wrong_spacing(case: Planes, strength: float, rng: np.random.Generator) -> Planes:
    factor = 1.15 + 0.85 * strength
    return replace(case, zoom=factor if rng.random() < 0.5 else 1 / factor)


DEGRADATIONS: dict[str, Degradation] = {
    "noise": _on_image(_noise),
    "bias_field": _on_image(_bias_field),
    "low_resolution": _on_image(_low_resolution),
    "blur": _on_image(lambda planes, strength, rng: torch.as_tensor(GaussianSmooth(1 + 3 * strength)(planes))),
    "ringing": _on_image(lambda planes, strength, rng: torch.as_tensor(GibbsNoise(0.5 + 0.4 * strength)(planes))),
    "ghosts": _on_image(_ghosts),
    "contrast": _on_image(lambda planes, strength, rng: planes ** float((1.5 + 2 * strength) ** rng.choice([-1, 1]))),
    "inverted": _on_image(lambda planes, strength, rng: planes + strength * (1 - 2 * planes)),
    "dark_slices": _on_image(_dark_slices),
    "blot": _on_image(_blot),
    "cut_slices": _cut_slices,
    "cut_sides": _cut_sides,
    "turned": _turned,
    "wrong_spacing": _wrong_spacing,
}
"""By name."""

OF_VOLUMES = ("dark_slices", "cut_slices", "wrong_spacing")
"""Those that mean nothing for an image of one slice."""
