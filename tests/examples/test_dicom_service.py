# SPDX-License-Identifier: Apache-2.0
"""The example of a service's step, and the Segmenter beneath it, on a phantom as DICOM."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pranet_monai import Segmenter
from pranet_monai.data.phantom import write_phantom
from pranet_monai.errors import UsageError

from tests.bundles.conftest import SMALLEST, read_json
from tests.data.dicom_series import ID, header, write_series

EXAMPLE = Path(__file__).parents[2] / "examples" / "dicom_service.py"


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter("acdc", device="cpu")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slices of a phantom as an MR series."""
    folder = tmp_path_factory.mktemp("study")
    volume = nib.load(write_phantom(folder / "drawn", 1, 0)[0])
    middle = np.asarray(volume.dataobj)[:, :, 4:6].astype(np.int16)
    write_series(folder / "series", middle, np.asarray(volume.affine), header("MR"), intercept=0)
    return folder / "series"


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dicom_service", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bytes_in_and_bytes_out(segmenter: Segmenter, series: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(series.iterdir()):
            archive.write(path, f"CD/{path.stem}")
        archive.writestr("CD/broken.dcm", bytes(128) + b"DICM")
    segmentations, failures = example().segment_archive(segmenter, packed.getvalue())
    (content,) = segmentations.values()
    found = pydicom.dcmread(io.BytesIO(content))
    assert found.PatientID == ID and found.SOPClassUID.name == "Segmentation Storage"
    expected = segmenter(series)
    assert int(found.pixel_array.sum()) == int((expected.mask > 0).sum()) > 0
    (reason,) = failures.values()
    assert reason.startswith("study.zip!/CD/broken.dcm: found a file that can't be read as DICOM")


def test_a_segmenter_saves_dicom_of_dicom_alone(segmenter: Segmenter, series: Path, tmp_path: Path) -> None:
    result = segmenter(series)
    assert result.save(tmp_path / "a" / "mask.dcm") == tmp_path / "a" / "mask.dcm"
    found = pydicom.dcmread(tmp_path / "a" / "mask.dcm")
    algorithm = found.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    version = read_json(SMALLEST / "configs" / "metadata.json")["version"]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (SMALLEST.name, version)
    assert (tmp_path / "a" / "mask_report.dcm").is_file()
    np.testing.assert_array_equal(np.asarray(nib.load(result.save(tmp_path / "m.nii.gz")).dataobj), result.mask)
    with pytest.raises(UsageError, match="allowed for this mask: .nii.gz, .nii$"):
        segmenter(result.mask.astype(np.float32), result.affine).save(tmp_path / "mask.dcm")
