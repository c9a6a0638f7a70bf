# SPDX-License-Identifier: Apache-2.0
"""DICOM series: what scanners, archives and anonymisers make of them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless, generate_uid

from tests.data.dicom_series import Change, grid, header, write_enhanced, write_series

from ..heart import PIXEL_MM, block, voxels
from ..kind import LEFT_OUT, OK, Handled, Kind, Maker, failed, remarked

GRID = grid((PIXEL_MM, PIXEL_MM, 8))
PREAMBLE_BYTES = 132


def series(change: Change | None = None, modality: str = "MR", **options: Any) -> Maker:
    """The volume whose mask is known, as a series of files that are changed before they are written."""

    def make(folder: Path) -> np.ndarray:
        shared = header(modality)
        shared.update(options.get("shared", Dataset()))
        suffix, syntax = options.get("suffix", ".dcm"), options.get("syntax")
        write_series(folder / "series", voxels(), GRID, shared, change, syntax, suffix)
        return block()

    return make


def setting(*slices: int, **values: Any) -> Change:
    """Sets elements, or takes them away where the value is None; in all slices unless some are named."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        for name, value in values.items() if not slices or k in slices else ():
            if value is None and name in dataset:
                delattr(dataset, name)
            elif value is not None:
                setattr(dataset, name, value)

    return change


def lacking(*slices: int) -> Maker:
    def make(folder: Path) -> None:
        write_series(folder / "series", voxels((40, 36, 5)), GRID)
        for number in slices:
            (folder / "series" / f"IM{number:03d}001.dcm").unlink()

    return make


def garbage(folder: Path) -> None:
    lacking()(folder)
    (folder / "series" / "IM002001.dcm").write_bytes(b"DICM" * 100)


def without_preamble(folder: Path) -> np.ndarray:
    series(suffix="")(folder)
    for path in (folder / "series").iterdir():
        path.write_bytes(path.read_bytes()[PREAMBLE_BYTES:])
    return block()


def zipped(inner: bool = False) -> Maker:
    def make(folder: Path) -> np.ndarray:
        series()(folder)
        target = folder / "series.zip"
        with zipfile.ZipFile(target, "w") as archive:
            for path in sorted((folder / "series").iterdir()):
                archive.write(path, f"Größe 1!/{path.name}")
                path.unlink()
        (folder / "series").rmdir()
        if inner:
            with zipfile.ZipFile(folder / "outer.zip", "w") as archive:
                archive.write(target, target.name)
            target.unlink()
        return block()

    return make


def several(change: Change) -> Maker:
    """Two pictures at each place."""

    def make(folder: Path) -> None:
        write_series(folder / "series", np.stack([voxels(), 2 * voxels()], axis=3), GRID, header("MR"), change)

    return make


def echoes(dataset: Dataset, k: int, t: int) -> None:
    dataset.EchoTime = 5 + 10 * t


def untold(dataset: Dataset, k: int, t: int) -> None:
    del dataset.TriggerTime, dataset.InstanceNumber


def enhanced(folder: Path) -> np.ndarray:
    write_enhanced(folder / "x.dcm", voxels(), GRID)
    return block()


def padded(dataset: Dataset, k: int, t: int) -> None:
    """Dark corners; as grey values they would be darker than all else by far."""
    stored = np.frombuffer(dataset.PixelData, np.uint16).astype(np.int32) - 1000
    stored[:20] = -32768
    dataset.PixelRepresentation, dataset.PixelPaddingValue, dataset.RescaleIntercept = 1, -32768, "0"
    dataset.PixelData = stored.astype(np.int16).tobytes()


def called(name: str) -> Dataset:
    dataset = Dataset()
    dataset.SeriesDescription = name
    return dataset


MOSAIC = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}
NO_SCALE = {"RescaleSlope": None, "RescaleIntercept": None}
JAPANESE = {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"}
ONE_UID = {"SOPInstanceUID": generate_uid()}

KINDS = [
    Kind("DICOM series", series(), OK),
    Kind("DICOM series that lacks a slice", lacking(2), failed("1 missing")),
    Kind("DICOM, one slice alone", lacking(0, 1, 2, 3), remarked("one slice: counted as 1 mm thick")),
    Kind("DICOM series with a damaged slice", garbage, Handled("failed", "; fix: ", rows=2, has_mask=False)),
    Kind("DICOM without extensions", series(suffix=""), OK),
    Kind("DICOM without its first 132 bytes", without_preamble, OK),
    Kind("DICOM in a zip", zipped(), OK),
    Kind("DICOM in a zip in a zip", zipped(inner=True), LEFT_OUT),
    Kind("enhanced DICOM", enhanced, OK),
    *(
        Kind(f"DICOM, {syntax.name.partition(' (')[0]}", series(syntax=syntax), OK)
        for syntax in (RLELossless, JPEG2000Lossless, JPEGLSLossless)
    ),
    Kind("DICOM, echoes in one series", several(echoes), Handled("ok", remark="at the same places: echo time", rows=2)),
    Kind("DICOM, two planes at each place and no times", several(untold), failed("nothing that says which of them")),
    Kind("DICOM, one instance UID for all slices", series(setting(**ONE_UID)), remarked("though they differ")),
    Kind("DICOM, Siemens mosaic", series(setting(**MOSAIC)), failed("found a mosaic, all slices side by side")),
    Kind("DICOM, a localizer by name alone", series(shared=called("3-plane loc")), LEFT_OUT),
    Kind("DICOM, one slice without a scale", series(setting(1, **NO_SCALE)), failed("without RescaleSlope and")),
    Kind("DICOM, CT without a scale", series(setting(**NO_SCALE), "CT"), remarked("are taken for HU")),
    Kind("DICOM, padding", series(padded), OK),
    Kind("DICOM without PixelSpacing", series(setting(PixelSpacing=None)), failed("found no PixelSpacing that")),
    Kind("DICOM without InstanceNumber", series(setting(InstanceNumber=None)), OK),
    Kind("DICOM, names in Japanese", series(setting(**JAPANESE)), OK),
    Kind("DICOM, a sex that isn't known", series(setting(PatientSex="U")), OK),
    Kind("DICOM, a date that there isn't", series(setting(StudyDate="20261340")), OK),
]
