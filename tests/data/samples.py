# SPDX-License-Identifier: Apache-2.0
"""Labelled volumes for tests, real ones where there are any, and writers of the files that people hold."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

REAL = {
    "acdc": ("acdc/imagesTr/patient003_ED.nii.gz", "acdc/labelsTr/patient003_ED.nii.gz"),
    "chaos_mr": ("chaos_mr/imagesTr/chaos_01.nii.gz", "chaos_mr/labelsTr/chaos_01.nii.gz"),
    "hippocampus": ("hippocampus/imagesTr/hippocampus_001.nii.gz", "hippocampus/labelsTr/hippocampus_001.nii.gz"),
    "amos": ("ct/images/amos_0013.nii.gz", "ct/labels/amos_0013_amos15.nii.gz"),
    "ct": ("ct/images/amos_0001.nii.gz", "ct/labels/amos_0001_amos15.nii.gz"),
}


class Sample(NamedTuple):
    """Arrays (H, W, D) in the order of the file, and voxel to RAS mm."""

    image: np.ndarray
    label: np.ndarray
    affine: np.ndarray


def real_sample(folder: Path, kind: str, classes: int) -> Sample:
    """A volume of `folder`; classes above `classes` - 1 of its label become background."""
    image, label = (nib.load(folder / name) for name in REAL[kind])
    numbers = np.asarray(label.dataobj).astype(np.uint8)
    return Sample(np.asarray(image.dataobj).astype(np.int16), np.where(numbers < classes, numbers, 0), image.affine)


def made_sample(classes: int, seed: int = 0) -> Sample:
    """A small volume with a turned, anisotropic grid, every class in it and nothing symmetric about it."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, (7, 9, 4)).astype(np.uint8)
    label.reshape(-1)[:classes] = np.arange(classes)
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]) @ np.diag([-1, -1, 1])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * [1.5, 1.25, 7.0], (30, -20, 11)
    return Sample(rng.integers(-100, 900, label.shape).astype(np.int16), label, affine)


def write_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


def write_dicom(folder: Path, sample: Sample) -> None:
    """One file per slice, as a scanner writes them; numbered against the direction of the slices."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    folder.mkdir(parents=True)
    lps = np.diag([-1, -1, 1, 1]) @ sample.affine
    edges = np.linalg.norm(lps[:3, :3], axis=0)
    depth = sample.image.shape[2]
    for k in range(depth):
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
        dataset.ImagePositionPatient = [f"{value:.8g}" for value in (lps @ [0, 0, k, 1])[:3]]
        directions = np.concatenate([lps[:3, 0] / edges[0], lps[:3, 1] / edges[1]])
        dataset.ImageOrientationPatient = [f"{value:.8f}" for value in directions]
        dataset.PixelSpacing = [f"{edges[1]:.8g}", f"{edges[0]:.8g}"]  # between rows, between columns
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1000"
        plane = sample.image[:, :, k].T.astype(np.int32) + 1000
        dataset.Rows, dataset.Columns = plane.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
        dataset.PixelData = np.ascontiguousarray(plane.astype(np.uint16)).tobytes()
        dataset.save_as(folder / f"{slice_name(depth, k)}.dcm", enforce_file_format=True)


def slice_name(depth: int, k: int) -> str:
    """CHAOS's name of slice `k`, counted from the first voxel of the volume's third axis."""
    return f"IMG-0004-{depth - k:05d}"
