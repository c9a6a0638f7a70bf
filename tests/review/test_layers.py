# SPDX-License-Identifier: Apache-2.0
"""What the browser gets is what the files hold: voxel for voxel, in its place, of every form."""

from __future__ import annotations

import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pranet_monai.data.cases import find_cases
from pranet_monai.forms.run_folder import OutputFormat
from pranet_monai.review import ReviewedRun

from tests.data.dicom_series import grid, numbers, write_series
from tests.data.samples import write_nifti
from tests.review.runs import finished_run

AFFINE = np.array([[-2.0, 0, 0, 30], [0, 0, 3, -20], [0, -4, 0, 11], [0, 0, 0, 1]])


def layer(run: ReviewedRun, case: str, name: str) -> nib.Nifti1Image:
    content, kind = run[case].read(name)
    assert kind == "application/octet-stream"
    return nib.Nifti1Image.from_bytes(content)


def check(run: ReviewedRun, case: str, name: str, expected: np.ndarray, affine: np.ndarray) -> None:
    found = layer(run, case, name)
    assert np.array_equal(found.dataobj, expected)
    assert np.allclose(found.affine, affine, atol=1e-5)


def test_a_volume_with_its_reference(tmp_path: Path) -> None:
    image, reference = numbers((7, 9, 4)), numbers((7, 9, 4), 1) % 4
    write_nifti(tmp_path / "in/images/a.nii.gz", image, AFFINE)
    write_nifti(tmp_path / "in/labels/a.nii.gz", reference.astype(np.uint8), AFFINE)
    masks, maps = finished_run(tmp_path / "in", tmp_path / "out")
    run = ReviewedRun(tmp_path / "out")
    assert run["images/a"].available == ["image", "mask", "reference", "unsure"]
    check(run, "images/a", "image", image, AFFINE)
    check(run, "images/a", "mask", masks["images/a"][0], AFFINE)
    check(run, "images/a", "reference", reference, AFFINE)
    check(run, "images/a", "unsure", (100 * (1 - maps["images/a"][0])).round(), AFFINE)
    header = layer(run, "images/a", "image").header
    assert header.get_data_dtype() == np.int16 and header["cal_min"] < header["cal_max"]


def test_fractions_stay_fractions(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(0, 1, (4, 5, 3)).astype(np.float32)
    write_nifti(tmp_path / "in/a.nii.gz", image, AFFINE)
    finished_run(tmp_path / "in", tmp_path / "out")
    check(ReviewedRun(tmp_path / "out"), "a", "image", image, AFFINE)


def test_each_frame_of_a_cine_by_itself(tmp_path: Path) -> None:
    image = numbers((5, 6, 3, 4))
    write_nifti(tmp_path / "in/a.nii.gz", image, AFFINE)
    write_nifti(tmp_path / "in/a_frame02.nii.gz", numbers((5, 6, 3), 7), AFFINE)
    masks, maps = finished_run(tmp_path / "in", tmp_path / "out")
    run = ReviewedRun(tmp_path / "out")
    assert sorted(run.listing["cases"]) == [*(f"a (cine)_frame0{n}" for n in (1, 2, 3, 4)), "a_frame02"]
    for frame in range(4):
        name = f"a (cine)_frame0{frame + 1}"
        check(run, name, "image", image[..., frame], AFFINE)
        check(run, name, "mask", masks["a"][frame], AFFINE)
        check(run, name, "unsure", (100 * (1 - maps["a"][frame])).round(), AFFINE)
    check(run, "a_frame02", "image", numbers((5, 6, 3), 7), AFFINE)
    check(run, "a_frame02", "mask", masks["a_frame02"][0], AFFINE)


@pytest.mark.parametrize("output_format", ["nifti", "dicom_seg", "both"])
@pytest.mark.parametrize("frames", [(), (3,)])
def test_dicom(tmp_path: Path, output_format: OutputFormat, frames: tuple[int, ...]) -> None:
    """A series is shown as any volume; its mask, too, where it is a segmentation object alone."""
    image, affine = numbers((7, 9, 4, *frames)), grid(degrees=3)
    write_series(tmp_path / "in", image, affine)
    masks, _ = finished_run(tmp_path / "in", tmp_path / "out", output_format=output_format)
    run = ReviewedRun(tmp_path / "out")
    (case,) = masks
    for frame, volume in enumerate(np.moveaxis(image, -1, 0) if frames else [image]):
        name = f"{case}_frame{frame + 1:02d}" if frames else case
        check(run, name, "image", volume, affine)
        check(run, name, "mask", masks[case][frame], affine)


def test_a_dicom_reference_beside_a_segmentation_object(tmp_path: Path) -> None:
    reference = numbers((7, 9, 4), 1) % 4
    write_series(tmp_path / "in/images/a", numbers((7, 9, 4)), grid())
    write_nifti(tmp_path / "in/labels/a.nii.gz", reference.astype(np.uint8), grid())
    (item,) = find_cases(tmp_path / "in", "optional")
    assert "label" in item
    finished_run(tmp_path / "in", tmp_path / "out", output_format="dicom_seg")
    check(ReviewedRun(tmp_path / "out"), item["case"], "reference", reference, grid())


def test_an_image_in_colour(tmp_path: Path) -> None:
    """The masks lie over it in the class's colour, where they are at all."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    reference = np.random.default_rng(1).integers(0, 2, (6, 5)).astype(np.uint8) * 255
    for folder, array in (("images", pixels), ("masks", reference)):
        (tmp_path / "in" / folder).mkdir(parents=True)
        Image.fromarray(array).save(tmp_path / "in" / folder / "a.png")
    masks, maps = finished_run(tmp_path / "in", tmp_path / "out", "image", "polyp")
    run = ReviewedRun(tmp_path / "out")
    shown = {
        name: np.asarray(Image.open(io.BytesIO(run["images/a"].read(name)[0]))) for name in run["images/a"].available
    }
    assert list(shown) == ["image", "mask", "reference", "unsure"] and run.listing["kind"] == "image"
    assert np.array_equal(shown["image"], pixels)
    assert np.array_equal(shown["mask"][..., 3] > 0, masks["images/a"][0] > 0)
    assert np.array_equal(shown["reference"][..., 3] > 0, reference > 0)
    assert np.abs(shown["unsure"][..., 3] - 255 * (1 - maps["images/a"][0])).max() <= 1
