# SPDX-License-Identifier: Apache-2.0
"""References beside the volumes: a bad one costs the case its metrics, never its mask."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from pranet_monai.forms.label_table import label_table_extension

from ..heart import AFFINE, block, image, save
from ..kind import OK, Kind, Maker, failed, without_metrics
from .headers import BILLION_LAUGHS

TRUTH = block().astype(np.uint8)


def with_reference(array: np.ndarray, affine: np.ndarray = AFFINE) -> Maker:
    def make(folder: Path) -> np.ndarray:
        save(folder)
        save(folder, array, affine, "x_gt.nii.gz")
        return block()

    return make


def with_file(content: bytes) -> Maker:
    def make(folder: Path) -> np.ndarray:
        save(folder)
        (folder / "x_gt.nii.gz").write_bytes(content)
        return block()

    return make


def with_extension(content: nib.nifti1.Nifti1Extension) -> Maker:
    def make(folder: Path) -> np.ndarray:
        save(folder)
        reference = image(TRUTH)
        reference.header.extensions.append(content)
        nib.save(reference, folder / "x_gt.nii.gz")
        return block()

    return make


def dangling(folder: Path) -> np.ndarray:
    save(folder)
    (folder / "x_gt.nii.gz").symlink_to("gone")
    return block()


def alone(folder: Path) -> None:
    save(folder, TRUTH, name="x_gt.nii.gz")


def hidden_folder(folder: Path) -> None:
    (folder / "labels").mkdir()
    save(folder / "labels", TRUTH, name="x.nii.gz")


def one(value: float) -> np.ndarray:
    return np.where(block(), value, 0)


XML = nib.nifti1.Nifti1Extension(0, BILLION_LAUGHS)
NO_XML = nib.nifti1.Nifti1Extension(0, b"<CaretExtension><Label")
OTHER_CLASSES = label_table_extension({1: "liver", 2: "spleen"})

KINDS = [
    Kind("reference", with_reference(TRUTH), OK),
    Kind("reference of whole numbers as float", with_reference(TRUTH.astype(np.float64)), OK),
    Kind("reference whose place is rounded", with_reference(TRUTH, AFFINE + 1e-4 * np.eye(4, k=1)), OK),
    Kind("reference that is empty", with_reference(TRUTH * 0), OK),
    Kind("reference with halves", with_reference(one(0.5)), without_metrics("found")),
    Kind(
        "reference with an unknown number",
        with_reference(one(7)),
        without_metrics("found label values outside of acdc: 7"),
    ),
    Kind(
        "reference with a number below 0",
        with_reference(one(-1)),
        without_metrics("found label values outside of acdc: -1"),
    ),
    Kind("reference with NaN", with_reference(one(np.nan)), without_metrics("NaN")),
    Kind(
        "reference of another shape",
        with_reference(TRUTH[:, :, :2]),
        without_metrics("found labels of shape (40, 36, 2)"),
    ),
    Kind(
        "reference of two dimensions",
        with_reference(TRUTH[:, :, 1]),
        without_metrics("found labels of shape (40, 36, 1)"),
    ),
    Kind("reference of two frames", with_reference(np.stack([TRUTH] * 2, -1)), without_metrics("and 2 frame(s)")),
    Kind(
        "reference elsewhere",
        with_reference(TRUTH, AFFINE + 5 * np.eye(4, k=3)),
        without_metrics("found labels that lie up to 5 mm beside"),
    ),
    Kind(
        "reference mirrored",
        with_reference(TRUTH, AFFINE @ np.diag([-1, 1, 1, 1])),
        without_metrics("found labels that lie up to"),
    ),
    Kind("reference of text", with_file(b"hello"), without_metrics("that can't be read as a volume")),
    Kind("reference that is empty, 0 bytes", with_file(b""), without_metrics("found 0 bytes that can't be read")),
    Kind("reference of other classes", with_extension(OTHER_CLASSES), without_metrics("found the classes")),
    Kind("reference with a table that blows up as XML", with_extension(XML), without_metrics("x_gt.nii.gz: found")),
    Kind("reference with a table that is no XML", with_extension(NO_XML), without_metrics("x_gt.nii.gz: found")),
    Kind("reference that links to nothing", dangling, without_metrics("x_gt.nii.gz: found no such file")),
    Kind("reference without its volume", alone, failed("found a label without its image")),
    Kind("folder of references without volumes", hidden_folder, failed("found a label without its image")),
]
