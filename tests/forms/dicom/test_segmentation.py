# SPDX-License-Identifier: Apache-2.0
"""DICOM segmentations and reports, read back by highdicom and by dcmqi, which is independent of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from monai.data import MetaTensor
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import LABEL_MAPS, get_label_map, label_map_of_record, stated_label_map
from pranet_monai.data.organs import OrganCode, code_of
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import SaveMaskd
from pydicom.uid import generate_uid

from tests.data.dicom_series import ID, grid, header, numbers, write_enhanced, write_series

from .masks import DICOM, segmented


def by_dcmqi(path: Path, out: Path, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The class numbers (H, W, D) of a segmentation on the grid of its image, as dcmqi reads them."""
    out.mkdir()
    tool = Path(sys.executable).with_name("segimage2itkimage")
    command = [tool, "--inputDICOM", path, "--outputDirectory", out, "--outputType", "nii", "-p", "s"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    classes = np.zeros(shape, dtype=np.uint8)
    numbers_of = [group[0]["labelID"] for group in json.loads((out / "s-meta.json").read_text())["segmentAttributes"]]
    for number in numbers_of:
        segment = nib.load(out / f"s-{number}.nii.gz")
        to_image = np.linalg.inv(affine) @ segment.affine
        places = np.argwhere(np.asarray(segment.dataobj) > 0)
        index = np.rint(nib.affines.apply_affine(to_image, places)).astype(int)
        classes[tuple(index.T)] = number
    return classes


def by_highdicom(path: Path, uids: list[str]) -> np.ndarray:
    """The class numbers (H, W, D) by the planes that the segmentation names."""
    segmentation = highdicom.seg.segread(path)
    array = segmentation.get_pixels_by_source_instance(
        uids, combine_segments=True, assert_missing_frames_are_empty=True
    )
    return np.asarray(array).transpose(2, 1, 0)


def uids_in_order(item: dict[str, Any], affine: np.ndarray, shape: tuple[int, ...]) -> list[str]:
    """By where each file says that it lies."""
    files = [pydicom.dcmread(file, stop_before_pixels=True) for file in item["files"]]
    ras = [np.array([-1, -1, 1]) * np.asarray(file.ImagePositionPatient, float) for file in files]
    slices = [int(round(float((np.linalg.inv(affine) @ [*place, 1])[2]))) for place in ras]
    assert sorted(slices) == list(range(shape[2]))
    return [files[slices.index(k)].SOPInstanceUID for k in range(shape[2])]


@pytest.mark.parametrize("degrees", [0, 30])
def test_it_reads_back_voxel_for_voxel(tmp_path: Path, degrees: float) -> None:
    write_series(tmp_path / "in", numbers((12, 9, 5)), grid((1.5, 1.25, 7), degrees))
    item, mask = segmented(tmp_path / "in", tmp_path / "out")
    path, affine = tmp_path / "out" / f"{item['case']}_seg.dcm", np.asarray(mask.affine)
    expected = np.asarray(nib.load(tmp_path / "out" / f"{item['case']}_seg.nii.gz").dataobj)
    np.testing.assert_array_equal(mask.numpy()[0], expected)
    uids = uids_in_order(item, affine, expected.shape)
    np.testing.assert_array_equal(by_highdicom(path, uids), expected)
    np.testing.assert_array_equal(by_dcmqi(path, tmp_path / "dcmqi", affine, expected.shape), expected)


def test_rows_that_run_backwards_on_a_real_series(tmp_path: Path, test_data: Path) -> None:
    item, mask = segmented(test_data / "ct/dicom/amos_0013", tmp_path / "out")
    path, expected, affine = tmp_path / "out" / f"{item['case']}_seg.dcm", mask.numpy()[0], np.asarray(mask.affine)
    np.testing.assert_array_equal(by_highdicom(path, uids_in_order(item, affine, expected.shape)), expected)
    np.testing.assert_array_equal(by_dcmqi(path, tmp_path / "dcmqi", affine, expected.shape), expected)


def test_it_is_of_the_patient_and_names_its_sources(tmp_path: Path) -> None:
    shared = write_series(tmp_path / "in", numbers((12, 9, 5)), grid())
    item, _ = segmented(tmp_path / "in", tmp_path / "out")
    found = pydicom.dcmread(tmp_path / "out" / f"{item['case']}_seg.dcm")
    for name in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "AccessionNumber"):
        assert found[name].value == shared[name].value, name
    assert found.SeriesInstanceUID != shared.SeriesInstanceUID and found.Modality == "SEG"
    (series,) = found.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == shared.SeriesInstanceUID and len(series.ReferencedInstanceSequence) == 5
    algorithm = found.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("a_bundle", "1.2.3")
    assert f"image_sha256={DICOM.fingerprint(item)}" in algorithm.AlgorithmParameters
    assert found.SegmentSequence[0].SegmentAlgorithmName == "a_bundle"
    types = [segment.SegmentedPropertyTypeCodeSequence[0].CodeValue for segment in found.SegmentSequence]
    assert types == ["53085002", "74281007", "87878005"]


def test_a_tilted_series(tmp_path: Path) -> None:
    write_series(tmp_path / "in", numbers((12, 9, 5)), grid(tilt=20))
    item, mask = segmented(tmp_path / "in", tmp_path / "out")
    path, affine = tmp_path / "out" / f"{item['case']}_seg.dcm", np.asarray(mask.affine)
    np.testing.assert_array_equal(by_highdicom(path, uids_in_order(item, affine, (12, 9, 5))), mask.numpy()[0])


@pytest.mark.parametrize("make", ["classic", "one_series_per_slice", "enhanced"])
def test_a_cine_has_one_segmentation_per_frame(tmp_path: Path, make: str) -> None:
    voxels, affine, study = numbers((7, 9, 4, 3)), grid(), generate_uid()
    if make == "classic":
        write_series(tmp_path / "in", voxels, affine, header("MR"))
    elif make == "enhanced":
        write_enhanced(tmp_path / "in/cine.dcm", voxels, affine)
    else:
        reference = generate_uid()
        for k in range(4):
            shared = header("MR", study, number=k)
            shared.FrameOfReferenceUID = reference
            moved = affine.copy()
            moved[:3, 3] += k * affine[:3, 2]
            write_series(tmp_path / f"in/s{k}", voxels[:, :, [k]], moved, shared)
    item, mask = segmented(tmp_path / "in", tmp_path / "out")
    for t in range(3):
        path = tmp_path / "out" / f"{item['case']}_frame{t + 1:02d}_seg.dcm"
        found = by_dcmqi(path, tmp_path / f"dcmqi{t}", affine, (7, 9, 4))
        np.testing.assert_array_equal(found, mask.numpy()[t])
        check_references(path, item, t, 40.0 * t)
    label = LoadCased(("image", "label"), "acdc")({**item, "label": str(path)})["label"]
    np.testing.assert_array_equal(label.numpy(), mask.numpy())


def check_references(path: Path, item: dict[str, Any], t: int, trigger: float) -> None:
    """Every frame of a segmentation names a plane at its place and time, and the series that it is of."""
    sources = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, item["files"])}
    segmentation = pydicom.dcmread(path)
    named = {
        (str(series.SeriesInstanceUID), str(one.ReferencedSOPInstanceUID))
        for series in segmentation.ReferencedSeriesSequence
        for one in series.ReferencedInstanceSequence
    }
    for groups in segmentation.PerFrameFunctionalGroupsSequence:
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        dataset = sources[source.ReferencedSOPInstanceUID]
        assert (str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID)) in named
        assert source.ReferencedSOPClassUID == dataset.SOPClassUID
        place = groups.PlanePositionSequence[0].ImagePositionPatient
        if "NumberOfFrames" in dataset:
            frame = dataset.PerFrameFunctionalGroupsSequence[source.ReferencedFrameNumber - 1]
            assert frame.PlanePositionSequence[0].ImagePositionPatient == place
            assert frame.FrameContentSequence[0].TemporalPositionIndex == t + 1
        else:
            assert dataset.ImagePositionPatient == place and dataset.TriggerTime == trigger


def test_a_mask_without_anything_in_it(tmp_path: Path) -> None:
    write_series(tmp_path / "in", numbers(), grid())
    (item,) = find_cases(tmp_path / "in")
    image = LoadCased("image")(item)["image"]
    empty = MetaTensor(torch.zeros(image.shape, dtype=torch.uint8), meta=dict(image.meta))
    SaveMaskd("pred", tmp_path / "out", "acdc")({**item, "pred": empty})
    found = pydicom.dcmread(tmp_path / "out" / f"{item['case']}_seg.dcm")
    assert not found.pixel_array.any()
    assert (tmp_path / "out" / f"{item['case']}_report.dcm").is_file()


def test_sparse_headers_are_enough(tmp_path: Path) -> None:
    """As of anonymised files: no patient, study, series or frame of reference is named."""

    def bare(dataset: pydicom.Dataset, k: int, t: int) -> None:
        for name in (
            "PatientName",
            "PatientID",
            "StudyInstanceUID",
            "SeriesInstanceUID",
            "FrameOfReferenceUID",
            "StudyID",
            "SliceThickness",
        ):
            if name in dataset:
                del dataset[name]

    write_series(tmp_path / "in", numbers(), grid(), change=bare)
    item, mask = segmented(tmp_path / "in", tmp_path / "out")
    path = tmp_path / "out" / f"{item['case']}_seg.dcm"
    affine = np.asarray(mask.affine)
    np.testing.assert_array_equal(by_dcmqi(path, tmp_path / "dcmqi", affine, (7, 9, 4)), mask.numpy()[0])


def test_the_report_has_the_volumes(tmp_path: Path) -> None:
    write_series(tmp_path / "in", numbers((12, 9, 5)), grid((1.5, 1.25, 7), tilt=20))
    item, mask = segmented(tmp_path / "in", tmp_path / "out")
    segmentation = pydicom.dcmread(tmp_path / "out" / f"{item['case']}_seg.dcm")
    report = highdicom.sr.srread(tmp_path / "out" / f"{item['case']}_report.dcm")
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500" and report.PatientID == ID
    groups = report.content.get_volumetric_roi_measurement_groups()
    height_mm = 7 * np.cos(np.radians(20))  # of a sheared voxel
    voxel_ml = 1.5 * 1.25 * height_mm / 1000
    for number, group in enumerate(groups, start=1):
        (volume,) = group.get_measurements()
        assert volume.value == pytest.approx(float((mask == number).sum()) * voxel_ml, abs=1e-5)
        assert volume.unit.value == "ml"
        assert group.referenced_segment.referenced_sop_instance_uid == segmentation.SOPInstanceUID
        assert group.referenced_segment.referenced_segment_numbers == [number]
    assert [group.finding_type.meaning for group in groups] == ["Right ventricle", "Myocardium", "Left ventricle"]


def test_the_report_has_the_expected_dice_where_it_is_known(tmp_path: Path) -> None:
    write_series(tmp_path / "in", numbers(), grid())
    item, _ = segmented(tmp_path / "in", tmp_path / "out")
    (paths,) = RunFolder(tmp_path / "out").dicom([item["case"]])
    DICOM.note_quality(paths, {"myocardium": 0.87654, "left_ventricle": None, "somebody": 0.5})
    told = []
    for group in highdicom.sr.srread(paths.report).content.get_volumetric_roi_measurement_groups():
        named = {one.name.meaning: (one.value, one.unit.value) for one in group.get_measurements()}
        assert named.pop("Volume")[1] == "ml"
        told.append(named)
    assert told == [{}, {"Expected Dice coefficient": (0.8765, "1")}, {}]


@pytest.mark.parametrize("name", LABEL_MAPS)
def test_every_class_has_a_code(name: str) -> None:
    label_map = get_label_map(name)
    codes = label_map.codes
    assert set(codes) == set(label_map.foreground)
    assert all(code.scheme == "SCT" and code.value.isdigit() for code in codes.values())
    told = [(code.value, code.modifier) for code in codes.values()]
    assert len(set(told)) == len(told), "no two classes of a map mean the same"
    for number, organ in label_map.foreground.items():
        side = {"right": "24028007", "left": "7771000"}.get(organ.split("_")[0], "")
        if organ.endswith("ventricle"):
            continue
        assert (codes[number].modifier[0] in ("24028007", "7771000")) == bool(side), organ
        assert not side or codes[number].modifier[0] == side


def test_what_a_name_means_is_known_of_its_own_data_set_alone() -> None:
    """A tumour is in the kidney in KiTS; an own bundle's "anterior" may be of anything."""
    own = stated_label_map("own", {1: "liver", 2: "tumour", 3: "cyst", 4: "anterior", 5: "posterior", 6: "polyp"})
    assert [code.meaning for code in own.codes.values()][:3] == ["Liver", "Neoplasm", "Cyst"]
    assert all(code.region == code.modifier == ("", "") for code in own.codes.values())
    assert [code.scheme for code in own.codes.values()] == ["SCT"] * 3 + ["99PRANET"] * 3
    known = {name: code for one in ("kits23", "hippocampus", "polyp") for name, code in codes_by_name(one).items()}
    assert {name: known[name].region[1] for name in ("tumour", "cyst")} == {"tumour": "Kidney", "cyst": "Kidney"}
    for name, modifier in (("anterior", "Anterior"), ("posterior", "Posterior")):
        assert (known[name].meaning, known[name].modifier[1]) == ("Hippocampus", modifier)
    assert known["polyp"].meaning == "Polyp of colon"


def codes_by_name(name: str) -> dict[str, OrganCode]:
    label_map = label_map_of_record(json.loads(json.dumps(asdict(get_label_map(name)))))
    assert label_map == get_label_map(name), "as shards and the records of runs keep it"
    return {label_map.labels[number]: code for number, code in label_map.codes.items()}


def test_a_class_of_ones_own_has_a_private_code() -> None:
    assert code_of("left_thumb").scheme == "99PRANET" and code_of("liver").value == "10200004"
