# SPDX-License-Identifier: Apache-2.0
"""DICOM files as scanners and archives write them, made of arrays: no data of patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = {"CT": CT + ".1", "MR": MR + ".1"}
NAME, ID = "WINTERBOTTOM^HERMIONE", "MRN4711000815"  # found in no other bytes by chance
Change = Callable[[Dataset, int, int], None]
"""Gets a plane's file, which slice it is and which frame, before it is written."""


def grid(spacing: tuple[float, float, float] = (1.5, 1.25, 7.0), degrees: float = 0.0, tilt: float = 0.0) -> np.ndarray:
    """Voxel (column, row, slice) to RAS mm: axes along L, P and S, turned about S, slices tilted as by a gantry."""
    turn, lean = np.radians(degrees), np.radians(tilt)
    affine = np.eye(4)
    affine[:3, 0] = np.array([-np.cos(turn), -np.sin(turn), 0]) * spacing[0]
    along_column = np.array([np.sin(turn), -np.cos(turn), 0])
    affine[:3, 1] = (np.cos(lean) * along_column + np.sin(lean) * np.array([0, 0, -1])) * spacing[1]
    affine[:3, 2], affine[:3, 3] = np.array([0, 0, 1]) * spacing[2], (30, -20, 11)
    return affine


def numbers(shape: tuple[int, ...] = (7, 9, 4), seed: int = 0) -> np.ndarray:
    """Grey values without any symmetry."""
    return np.random.default_rng(seed).integers(-100, 900, shape).astype(np.int16)


def header(modality: str = "CT", study: str | None = None, series: str | None = None, number: int = 4) -> Dataset:
    """What all files of a series share."""
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = NAME, ID, "19700101", "F"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study or generate_uid(), series or generate_uid()
    dataset.FrameOfReferenceUID = generate_uid()
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "20260102", "101112", "S1", "A1"
    dataset.ReferringPhysicianName = ""
    dataset.Modality, dataset.SeriesNumber, dataset.SOPClassUID = modality, number, CT if modality == "CT" else MR
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    return dataset


def write_series(
    folder: Path,
    voxels: np.ndarray,
    affine: np.ndarray,
    shared: Dataset | None = None,
    change: Change | None = None,
    syntax: UID | None = None,
    suffix: str = ".dcm",
    intercept: int = -1000,
) -> Dataset:
    """One file per plane of an array (H, W, D) or (H, W, D, T); a cine has its times in TriggerTime, counting down
    while the files' names count up. Returns what the files share.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shared = header() if shared is None else shared
    frames = voxels if voxels.ndim == 4 else voxels[..., None]
    for k in range(frames.shape[2]):
        for t in range(frames.shape[3]):
            dataset = _plane(shared, frames[:, :, k, t], affine, k, intercept)
            dataset.InstanceNumber = k * frames.shape[3] + t + 1
            if voxels.ndim == 4:
                dataset.TriggerTime = str(40.0 * t)
            if change is not None:
                change(dataset, k, t)
            if syntax is not None:
                dataset.compress(syntax)
            name = f"IM{k:03d}{frames.shape[3] - t:03d}{suffix}"
            dataset.save_as(folder / name, enforce_file_format=True)
    return shared


def write_enhanced(path: Path, voxels: np.ndarray, affine: np.ndarray, shared: Dataset | None = None) -> Dataset:
    """One file of an array (H, W, D) or (H, W, D, T), its planes in no order, each with a slope of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shared = header("MR") if shared is None else shared
    frames = voxels if voxels.ndim == 4 else voxels[..., None]
    dataset = _plane(shared, frames[:, :, 0, 0], affine, 0, 0)
    places = [(k, t) for k in range(frames.shape[2]) for t in range(frames.shape[3])]
    places = [places[index] for index in np.random.default_rng(1).permutation(len(places))]
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ENHANCED[shared.Modality]
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = dataset.ImageOrientationPatient, dataset.PixelSpacing
    common = Dataset()
    common.PlaneOrientationSequence, common.PixelMeasuresSequence = [orientation], [measures]
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [common], []
    planes = []
    for index, (k, t) in enumerate(places):
        slope = 1 + index % 2
        plane = frames[:, :, k, t].T.astype(np.int32)
        stored = (plane - plane % 2) // slope  # even numbers, which survive a slope of 2
        planes.append(stored.astype(np.int16))
        position, content, scale, heart = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = place_of(affine, k)
        content.TemporalPositionIndex = t + 1
        heart.NominalCardiacTriggerDelayTime = 40.0 * t
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = str(slope), "0", "US"
        groups = Dataset()
        groups.PlanePositionSequence, groups.FrameContentSequence = [position], [content]
        groups.PixelValueTransformationSequence, groups.CardiacSynchronizationSequence = [scale], [heart]
        dataset.PerFrameFunctionalGroupsSequence.append(groups)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(dataset, name)
    dataset.NumberOfFrames, dataset.PixelRepresentation = len(planes), 1
    dataset.PixelData = np.stack(planes).tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return shared


def write_other(path: Path, sop_class: str, shared: Dataset, **elements: Any) -> None:
    """An object without pixels, such as a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = _copy(shared)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.SeriesInstanceUID = sop_class, generate_uid(), generate_uid()
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.file_meta = _file_meta(dataset)
    dataset.save_as(path, enforce_file_format=True)


def place_of(affine: np.ndarray, k: int) -> list[str]:
    """ImagePositionPatient of a slice."""
    return [f"{value:.8g}" for value in (np.diag([-1, -1, 1, 1]) @ affine @ [0, 0, k, 1])[:3]]


def _plane(shared: Dataset, plane: np.ndarray, affine: np.ndarray, k: int, intercept: int) -> Dataset:
    lps = np.diag([-1, -1, 1, 1]) @ affine
    edges = np.linalg.norm(lps[:3, :3], axis=0)
    dataset = _copy(shared)
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta = _file_meta(dataset)
    dataset.ImagePositionPatient = place_of(affine, k)
    dataset.ImageOrientationPatient = [f"{x:.9f}" for x in [*(lps[:3, 0] / edges[0]), *(lps[:3, 1] / edges[1])]]
    dataset.PixelSpacing, dataset.SliceThickness = [f"{edges[1]:.8g}", f"{edges[0]:.8g}"], "1"  # never the distance
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", str(intercept), "HU"
    stored = plane.T.astype(np.int32) - intercept
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = np.ascontiguousarray(stored.astype(np.uint16)).tobytes()
    return dataset


def _copy(shared: Dataset) -> Dataset:
    dataset = Dataset()
    dataset.update(dict(shared.items()))
    return dataset


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    return meta
