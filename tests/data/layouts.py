# SPDX-License-Identifier: Apache-2.0
"""Every layout in which people hold the data sets, as writers of one volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from tests.data.samples import Sample, slice_name, write_dicom, write_nifti

Writer = Callable[[Path, Sample], None]

CHAOS_GREY = np.array([0, 63, 126, 189, 252], dtype=np.uint8)
# this project's order of the eight organs → BTCV's 13 numbers, and → TransUNet's order (aorta first)
TO_BTCV = np.array([0, 1, 2, 3, 4, 11, 6, 7, 8], dtype=np.uint8)
TO_TRANSUNET = np.array([0, 7, 4, 3, 2, 6, 5, 8, 1], dtype=np.uint8)


def pair(image: str, label: str, numbers: np.ndarray | None = None) -> Writer:
    def write(root: Path, sample: Sample) -> None:
        write_nifti(root / image, sample.image, sample.affine)
        write_nifti(root / label, sample.label if numbers is None else numbers[sample.label], sample.affine)

    return write


def btcv(root: Path, sample: Sample) -> None:
    pair("Training/img/img0005.nii.gz", "Training/label/label0005.nii.gz", TO_BTCV)(root, sample)
    write_nifti(root / "Testing/img/img0061.nii.gz", sample.image, sample.affine)


def kits(root: Path, sample: Sample) -> None:
    pair("dataset/case_00001/imaging.nii.gz", "dataset/case_00001/segmentation.nii.gz")(root, sample)
    extra = root / "dataset/case_00001/instances/kidney_instance-1_annotation-1.nii.gz"
    write_nifti(extra, sample.label, sample.affine)


def acdc(root: Path, sample: Sample) -> None:
    stem = "database/training/patient003/patient003_"
    pair(f"{stem}frame01.nii.gz", f"{stem}frame01_gt.nii.gz")(root, sample)
    write_nifti(root / f"{stem}4d.nii.gz", np.stack([sample.image] * 2, axis=-1), sample.affine)
    (root / f"{stem}4d.nii.gz").with_name("Info.cfg").write_text("ED: 1\nES: 12\nGroup: DCM\n")


def chaos(root: Path, sample: Sample) -> None:
    write_dicom(root / "MR/1/T2SPIR/DICOM_anon", sample)
    labels = root / "MR/1/T2SPIR/Ground"
    labels.mkdir()
    for k in range(sample.label.shape[2]):
        grey = CHAOS_GREY[sample.label[:, :, k].T]
        Image.fromarray(grey).save(labels / f"{slice_name(sample.label.shape[2], k)}.png")


def papers_arrays(name: str) -> Writer:
    """Preprocessed by hand as ARCHITECTURE describes: slices first, clipped and scaled, TransUNet's numbers."""

    def write(root: Path, sample: Sample) -> None:
        numbers = TO_TRANSUNET[sample.label] if name == "synapse" else sample.label
        image = scaled_as_in_papers(sample)
        if name == "synapse":
            slices, volume, key = root / "train_npz/case0005_slice{:03d}.npz", "test_vol_h5/case0001.npy.h5", "image"
        else:
            slices, volume, key = root / "train/case_001_sliceED_{}.npz", "test/case_002_volume_ED.npz", "img"
        slices.parent.mkdir(parents=True)
        for k in range(image.shape[2]):
            np.savez(str(slices).format(k), **{key: image[:, :, k], "label": numbers[:, :, k]})
        path = root / volume
        path.parent.mkdir()
        arrays = {key: image.transpose(2, 0, 1), "label": numbers.transpose(2, 0, 1)}
        if name == "synapse":
            with h5py.File(path, "w") as file:
                file.update(arrays)
        else:
            np.savez(path, **arrays)

    return write


def scaled_as_in_papers(sample: Sample) -> np.ndarray:
    return (np.clip(sample.image, -125, 275) + 125) / np.float32(400)


def polyps(root: Path) -> None:
    """Two images and their masks, as distributed with PraNet."""
    rng = np.random.default_rng(0)
    for number in (1, 2):
        truth = np.zeros((60, 80), dtype=np.uint8)
        truth[20:40, 30:70] = 255
        for folder, array in (("image", rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)), ("masks", truth)):
            path = root / "TrainDataset" / folder / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)


# data set, what the volume shows, classes, the files, the case and its patient
LAYOUTS = [
    ("acdc", "acdc", 4, acdc, "database/training/patient003/patient003_frame01", "patient003"),
    (
        *("acdc", "acdc", 4, pair("imagesTr/patient003_ED.nii.gz", "labelsTr/patient003_ED.nii.gz")),
        *("imagesTr/patient003_ED", "patient003"),
    ),
    ("synapse", "ct", 9, btcv, "Training/img/img0005", "img0005"),
    (
        *("synapse", "ct", 9, pair("imagesTr/case0005.nii.gz", "labelsTr/case0005.nii.gz", TO_BTCV)),
        *("imagesTr/case0005", "img0005"),
    ),
    (
        *("synapse", "ct", 9),
        pair(
            "averaged-training-images/DET0000101_avg.nii.gz",
            "averaged-training-labels/DET0000101_avg_seg.nii.gz",
            TO_BTCV,
        ),
        *("averaged-training-images/DET0000101_avg", "DET0000101"),
    ),
    ("kits23", "ct", 4, kits, "dataset/case_00001/imaging", "case_00001"),
    ("chaos_mr", "chaos_mr", 5, chaos, "MR/1/T2SPIR", "chaos_01"),
    (
        *("chaos_mr", "chaos_mr", 5, pair("imagesTr/chaos_01.nii.gz", "labelsTr/chaos_01.nii.gz")),
        *("imagesTr/chaos_01", "chaos_01"),
    ),
    (
        *("hippocampus", "hippocampus", 3),
        pair("imagesTr/hippocampus_001.nii.gz", "labelsTr/hippocampus_001.nii.gz"),
        *("imagesTr/hippocampus_001", "hippocampus_001"),
    ),
    (
        *("amos", "amos", 16, pair("imagesVa/amos_0013.nii.gz", "labelsVa/amos_0013.nii.gz")),
        *("imagesVa/amos_0013", "amos_0013"),
    ),
]
