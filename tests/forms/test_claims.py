# SPDX-License-Identifier: Apache-2.0
"""Files that claim more than there is memory for, or than is in them: one reason each, and no memory taken."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from pranet_monai.engines.case_dataset import CaseDataset
from pranet_monai.errors import BadCaseError
from pranet_monai.forms import claims, form_of
from pranet_monai.storage import memory
from pranet_monai.transforms.load import LoadCased

from tests.data.samples import made_sample, write_dicom

HUGE = 30_000  # cubed and as float32: 98 TiB, more than any machine has


def header(shape: tuple[int, ...], dtype: type = np.int16) -> bytes:
    """Of a single file that claims voxels of this shape."""
    made = nib.Nifti1Header()
    made.set_data_dtype(dtype)
    made.set_data_shape(shape)
    made.set_sform(np.eye(4), code=1)
    made["vox_offset"] = 352
    made["magic"] = b"n+1"
    return made.binaryblock + bytes(4)


def huge_gzip(path: Path) -> Path:
    path = path / "x.nii.gz"
    path.write_bytes(gzip.compress(header((HUGE, HUGE, HUGE)) + bytes(1 << 20)))
    return path


def huge_sparse_file(path: Path) -> Path:
    """Whole by its size, though no disk holds that much."""
    path = path / "x.nii"
    path.write_bytes(header((3000, 3000, 1 << 10)))
    with path.open("r+b") as file:
        file.truncate(352 + 2 * 3000 * 3000 * (1 << 10))
    return path


def huge_npz(path: Path) -> Path:
    path = path / "x.npz"
    claim = io.BytesIO()
    np.lib.format.write_array_header_1_0(claim, {"descr": "<f4", "fortran_order": False, "shape": (HUGE,) * 3})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", claim.getvalue())
    return path


def huge_h5(path: Path) -> Path:
    path = path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("image", shape=(HUGE,) * 3, dtype="f4", chunks=(10, 10, 10))
    return path


def huge_nrrd(path: Path) -> Path:
    path = path / "x.nrrd"
    path.write_text(
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 30000 30000 30000\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n1234"
    )
    return path


def huge_mha(path: Path) -> Path:
    path = path / "x.mha"
    path.write_text(
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        "DimSize = 30000 30000 30000\nElementType = MET_SHORT\nElementDataFile = LOCAL\n1234"
    )
    return path


def huge_dicom(path: Path) -> Path:
    import pydicom

    folder = path / "series"
    write_dicom(folder, made_sample(2))
    for file in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.Rows = dataset.Columns = 65_000
        dataset.save_as(file)
    return folder


@pytest.mark.parametrize(
    "make", [huge_gzip, huge_sparse_file, huge_npz, huge_h5, huge_nrrd, huge_mha, huge_dicom], ids=lambda f: f.__name__
)
def test_a_claim_beyond_memory_is_a_row(
    tmp_path: Path, make: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "available_memory", lambda: 16 << 30)
    path = make(tmp_path)
    item = CaseDataset([{"case": "x", "image": str(path)}], LoadCased("image"))[0]
    assert item["error"].startswith(f"{path}: found a header that claims "), item["error"]
    assert "TiB of memory" in item["error"] or "GiB of memory" in item["error"]
    assert "allowed: 16 GiB, what is available now; fix: crop or split it" in item["error"]


def test_the_claim_is_weighed_before_the_data_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = huge_gzip(tmp_path)
    monkeypatch.setattr(claims, "unpacked_bytes", None)
    with pytest.raises(BadCaseError, match="found a header that claims 30000 x 30000 x 30000 values"):
        form_of({"image": path}).read_image({"image": path})


def test_what_is_available_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((20, 20, 20), np.int16), np.eye(4)), path)
    read = form_of({"image": path}).read_image
    assert read({"image": path}).shape == (1, 20, 20, 20)
    monkeypatch.setattr(claims, "available_memory", lambda: 20**3 * 12 - 1)
    with pytest.raises(BadCaseError, match=r"20 x 20 x 20 values, which need 93.8 KiB .* allowed: 93.7 KiB|93.8 KiB"):
        read({"image": path})
    monkeypatch.setattr(claims, "available_memory", lambda: None)  # a system that doesn't tell
    read({"image": path})


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_a_file_that_holds_less_than_it_claims(tmp_path: Path, name: str) -> None:
    """Gzip's checksum is right here: somebody packed a file that was cut off."""
    content = header((50, 50, 40)) + bytes(1000)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(BadCaseError, match=rf"{name}: found 1352 bytes .*its header claims 200352, 196 KiB\)"):
        form_of({"image": tmp_path / name}).read_image({"image": tmp_path / name})


def test_unpacking_stops_far_behind_the_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packed file of some kilobytes can be gigabytes of zeros; its checksum is never reached."""
    monkeypatch.setattr(claims, "MAX_TRAILING_BYTES", 4 << 20)
    packer = zlib.compressobj(wbits=31)
    content = packer.compress(header((5, 5, 5)) + bytes(250)) + packer.compress(bytes(64 << 20)) + packer.flush()
    (tmp_path / "x.nii.gz").write_bytes(content[:-8] + bytes(8))  # with a wrong checksum
    with pytest.raises(BadCaseError, match="continues more than 4 MiB behind the 602 bytes of its header's claim"):
        form_of({"image": tmp_path / "x.nii.gz"}).read_image({"image": tmp_path / "x.nii.gz"})


def test_a_header_of_gigabytes(tmp_path: Path) -> None:
    content = bytearray(header((5, 5, 5)))
    content[108:112] = np.float32(4e9).tobytes()  # vox_offset
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(BadCaseError, match=r"puts its voxels 4e\+09 bytes into the file; allowed: up to 64 MiB"):
        form_of({"image": tmp_path / "x.nii.gz"}).read_image({"image": tmp_path / "x.nii.gz"})


def test_rgb_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    Image.new("RGB", (100, 50)).save(path)
    read = form_of({"image": path}, "image").read_image
    assert read({"image": path}).shape == (3, 50, 100)
    with monkeypatch.context() as less:
        less.setattr(claims, "available_memory", lambda: 1000)
        with pytest.raises(BadCaseError, match="x.png: found a header that claims 50 x 100 x 3 values"):
            read({"image": path})
    monkeypatch.setattr(PngImagePlugin.Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BadCaseError, match=r"x.png: found Image size \(5000 pixels\).*allowed: 2000 pixels; fix: crop"):
        read({"image": path})


def test_this_process_survives(tmp_path: Path) -> None:
    """Nothing is replaced here: whatever this machine has left, it is less than the claim."""
    assert (memory.available_memory() or 0) < HUGE**3 * 12
    item = CaseDataset([{"case": "x", "image": str(huge_gzip(tmp_path))}], LoadCased("image"))[0]
    assert "x.nii.gz: found a header that claims 30000 x 30000 x 30000 values, which need 295 TiB" in item["error"]
