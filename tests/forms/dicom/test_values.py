# SPDX-License-Identifier: Apache-2.0
"""Stored numbers made grey values: scales that are missing or odd, padding, and pixels that nothing here decodes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.dicom import sizes
from pranet_monai.forms.remarks import remarks_of
from pydicom.dataset import Dataset
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.data.dicom_series import Change, grid, header, numbers, write_enhanced, write_series

from .test_reading import load, refused


def with_values(*slices: int, **values: Any) -> Change:
    """Sets elements, or takes them away where the value is None; in all slices unless some are named."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        for name, value in values.items() if not slices or k in slices else ():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)

    return change


NO_SCALE = {"RescaleSlope": None, "RescaleIntercept": None}


@pytest.mark.parametrize("slope", [None, ""], ids=["missing", "empty"])
def test_an_intercept_counts_without_a_slope(tmp_path: Path, slope: Any) -> None:
    write_series(tmp_path, numbers(), grid(), change=with_values(RescaleSlope=slope))
    np.testing.assert_array_equal(load(tmp_path).numpy()[0], numbers())


def test_a_ct_that_does_not_say_how_it_becomes_hu(tmp_path: Path) -> None:
    write_series(tmp_path, numbers(), grid(), change=with_values(**NO_SCALE), intercept=0)
    volume = load(tmp_path)
    np.testing.assert_array_equal(volume.numpy()[0], numbers().astype(np.uint16))
    assert remarks_of(volume) == ["no RescaleSlope and RescaleIntercept: the stored numbers are taken for HU"]


def test_an_mr_needs_no_scale(tmp_path: Path) -> None:
    change = with_values(**NO_SCALE)
    write_series(tmp_path, np.abs(numbers()), grid(), header("MR"), change, intercept=0)
    assert remarks_of(load(tmp_path)) == []


def test_one_slice_without_the_scale_of_the_others(tmp_path: Path) -> None:
    """It would lie 1000 HU above them."""
    write_series(tmp_path, numbers(), grid(), change=with_values(2, **NO_SCALE))
    assert "found 1 of 4 planes without RescaleSlope and RescaleIntercept; allowed: all or none" in refused(tmp_path)


def test_one_slice_without_a_scale_that_changes_nothing(tmp_path: Path) -> None:
    write_series(tmp_path, np.abs(numbers()), grid(), change=with_values(2, **NO_SCALE), intercept=0)
    np.testing.assert_array_equal(load(tmp_path).numpy()[0], np.abs(numbers()))


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_one_frame_without_the_scale_of_the_others(tmp_path: Path, modality: str) -> None:
    write_enhanced(tmp_path / "enhanced.dcm", numbers(), grid(), header(modality))
    dataset = pydicom.dcmread(tmp_path / "enhanced.dcm")
    del dataset.PerFrameFunctionalGroupsSequence[0].PixelValueTransformationSequence
    dataset.save_as(tmp_path / "enhanced.dcm")
    assert "found 1 of 4 planes without RescaleSlope" in refused(tmp_path)


def test_frames_may_share_a_scale(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "enhanced.dcm", numbers(), grid())
    own = load(tmp_path).numpy()
    dataset = pydicom.dcmread(tmp_path / "enhanced.dcm")
    for groups in dataset.PerFrameFunctionalGroupsSequence:  # written with slopes 1 and 2 in turn
        scale = groups.PixelValueTransformationSequence[0]
        if scale.RescaleSlope == 2:
            del groups.PixelValueTransformationSequence
    shared = Dataset()
    shared.RescaleSlope, shared.RescaleIntercept = "2", "0"
    dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [shared]
    dataset.save_as(tmp_path / "enhanced.dcm")
    np.testing.assert_array_equal(load(tmp_path).numpy(), own)


def test_a_slope_of_nothing(tmp_path: Path) -> None:
    write_series(tmp_path, numbers(), grid(), change=with_values(RescaleSlope="0"))
    assert "IM000001.dcm: found RescaleSlope 0; allowed: any other number" in refused(tmp_path)


@pytest.mark.parametrize(("modality", "padded"), [("CT", -1024), ("MR", 0)])
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_padding_is_no_signal(tmp_path: Path, modality: str, padded: float, is_wrapped: bool) -> None:
    """16 bits with a sign; corners of -32768 would outweigh the patient in every mean."""

    def change(dataset: Dataset, k: int, t: int) -> None:
        stored = np.frombuffer(dataset.PixelData, np.uint16).astype(np.int32) - 1000
        stored[:7] = -32768  # the first row
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, "0"
        dataset.PixelData = stored.astype(np.int16).tobytes()
        dataset.add_new("PixelPaddingValue", "US" if is_wrapped else "SS", 32768 if is_wrapped else -32768)

    write_series(tmp_path, numbers(), grid(), header(modality), change)
    expected = numbers().astype(np.float32)
    expected[:, 0] = padded
    np.testing.assert_array_equal(load(tmp_path).numpy()[0], expected)


def test_padding_of_several_values(tmp_path: Path) -> None:
    def change(dataset: Dataset, k: int, t: int) -> None:
        stored = np.frombuffer(dataset.PixelData, np.uint16).copy()
        stored[:2] = 65533, 65535
        dataset.PixelData = stored.tobytes()
        dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 65535, 65530

    write_series(tmp_path, np.abs(numbers()), grid(), header("MR"), change, intercept=0)
    expected = np.abs(numbers())
    expected[:2, 0] = 0
    np.testing.assert_array_equal(load(tmp_path).numpy()[0], expected)


# --- syntaxes


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian], ids=lambda uid: uid.name)
def test_other_orders_of_bytes(tmp_path: Path, syntax: Any) -> None:
    write_series(tmp_path, numbers(), grid())
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=syntax != ExplicitVRBigEndian)
    np.testing.assert_array_equal(load(tmp_path).numpy()[0], numbers())


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless], ids=lambda uid: uid.name[:12])
def test_what_brings_a_missing_decoder(tmp_path: Path, syntax: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path, numbers((32, 40, 3)), grid(), syntax=syntax)
    decoder = pydicom.pixels.get_decoder(syntax)
    monkeypatch.setattr(decoder, "_available", {})
    monkeypatch.setattr(decoder, "_unavailable", {"plugin": ("its-package>=1.0",)})
    told = refused(tmp_path)
    assert f"IM000001.dcm: found pixels compressed as {syntax.name}, and nothing here that decodes them" in told
    assert "its-package>=1.0" in told and "fix: pip install 'pranet-monai[dicom]'" in told


def test_films_are_not_decoded(tmp_path: Path) -> None:
    write_series(tmp_path, numbers(), grid())
    for path in tmp_path.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = MPEG2MPML
        dataset.PixelData = pydicom.encaps.encapsulate([b"no film"])
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)
    assert "compressed as MPEG2 Main Profile / Main Level; allowed: JPEG, JPEG-LS" in refused(tmp_path)


# --- more than it says


def test_more_pixels_than_the_header_says(tmp_path: Path) -> None:
    write_series(tmp_path, numbers(), grid(), change=with_values(PixelData=bytes(9 * 7 * 2 * 4)))
    assert "IM000001.dcm: found 252 pixels; allowed: 9 x 7, as its header says" in refused(tmp_path)


def test_a_small_zip_that_unpacks_to_more_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "in", numbers(), grid(), change=with_values(PixelData=bytes(4_000_000)))
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((tmp_path / "in").iterdir()):
            archive.write(path, path.name)
    assert (tmp_path / "x.zip").stat().st_size < 100_000
    monkeypatch.setattr(sizes, "available_memory", lambda: 9_000_000)
    (tmp_path / "in").rename(tmp_path / ".hidden")
    with pytest.raises(BadCaseError, match=r"x\.zip!/IM000001\.dcm: found 3\.82 MiB; allowed: 2\.86 MiB"):
        load(tmp_path)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("available, fits", [(13_000_000, True), (11_000_000, False)])
@pytest.mark.parametrize("version", [b"\0\1", bytes(3000)], ids=["", "long meta information"])
def test_a_deflated_file_that_unpacks_to_more_than_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, available: int, fits: bool, zipped: bool, version: bytes
) -> None:
    """pydicom unpacks such a file whole, even for its header."""
    source = tmp_path / "in"
    write_series(source, numbers((1000, 2000, 1)), grid(), change=with_values(PixelData=bytes(4_000_000)))
    (path,) = source.iterdir()
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.file_meta.FileMetaInformationVersion = version
    pydicom.dcmwrite(path, dataset)
    assert path.stat().st_size < 100_000
    if zipped:
        with zipfile.ZipFile(source / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
        path.unlink()
    monkeypatch.setattr(sizes, "available_memory", lambda: available)
    if fits:
        assert load(source).shape[1:] == (1000, 2000, 1)
        return
    with pytest.raises(
        BadCaseError, match=r"IM000001\.dcm: found deflated data of more than 3\.5 MiB; allowed: 3\.5 MiB"
    ):
        load(source)
