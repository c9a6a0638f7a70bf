# SPDX-License-Identifier: Apache-2.0
"""Pairs of files, FreeSurfer's volumes and MetaImage headers are read and get masks in .nii.gz."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError
from pranet_monai.forms import FORMS, Search
from pranet_monai.forms.left_out import left_out_files, left_out_sentence
from pranet_monai.forms.provenance import Provenance
from pranet_monai.forms.remarks import remarks_of
from pranet_monai.forms.run_folder import RunFolder

ORGAN = LabelMap("demo", {0: "background", 1: "organ"}, {0: (0, 0, 0), 1: (9, 9, 9)})
VOLUME = FORMS["volume_file"]
VOXELS = np.random.default_rng(0).integers(0, 2, (6, 5, 4)).astype(np.int16)
AFFINE = np.array([[-1.5, 0, 0, 31], [0, 1.25, 0, -7], [0, 0, 8, 12.5], [0, 0, 0, 1]])


def nifti_pair(folder: Path) -> Path:
    image = nib.Nifti1Pair(VOXELS, AFFINE)
    image.set_qform(AFFINE, code=1)
    image.set_sform(AFFINE, code=2)
    image.header.set_xyzt_units("mm", "msec")
    nib.save(image, folder / "x.hdr")
    return folder / "x.hdr"


def nifti2_pair(folder: Path) -> Path:
    nib.save(nib.Nifti2Pair(VOXELS, AFFINE), folder / "x.hdr")
    return folder / "x.hdr"


def analyze(folder: Path) -> Path:
    nib.save(nib.Spm2AnalyzeImage(VOXELS, AFFINE), folder / "x.hdr")  # with its matrix in x.mat
    return folder / "x.hdr"


def mgz(folder: Path) -> Path:
    nib.save(nib.MGHImage(VOXELS.astype(np.float32), AFFINE), folder / "x.mgz")
    return folder / "x.mgz"


def mgh(folder: Path) -> Path:
    nib.save(nib.MGHImage(VOXELS, AFFINE), folder / "x.mgh")
    return folder / "x.mgh"


def mhd(folder: Path) -> Path:
    image = sitk.GetImageFromArray(VOXELS.transpose())
    image.SetSpacing((1.5, 1.25, 8))
    image.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
    image.SetOrigin((-31, 7, 12.5))
    sitk.WriteImage(image, str(folder / "x.mhd"))
    return folder / "x.mhd"


KINDS = [nifti_pair, nifti2_pair, analyze, mgz, mgh, mhd]


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_found_read_and_given_a_mask(tmp_path: Path, make: object) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    (item,) = find_cases(tmp_path)
    assert (item["case"], item["form"], item["image"]) == ("x", "volume_file", str(path))
    volume = VOLUME.read_image(item)
    assert np.array_equal(volume.numpy()[0], VOXELS) and np.allclose(volume.affine, AFFINE, atol=1e-5)
    assert remarks_of(volume) == []
    made_by = Provenance(VOLUME.fingerprint({"image": path}), "")
    mask_path = RunFolder(tmp_path / "out").mask("x", VOLUME)
    VOLUME.write_mask(mask_path, MetaTensor(volume.to(torch.uint8), meta=volume.meta), ORGAN, made_by)
    mask = nib.load(mask_path)
    assert mask_path.name == "x_seg.nii.gz" and np.array_equal(np.asarray(mask.dataobj), VOXELS)
    assert np.allclose(mask.affine, AFFINE, atol=1e-5)
    assert VOLUME.mask_is_whole(mask_path, item, ORGAN, made_by)
    if make is nifti_pair:
        fields = ("pixdim", "qform_code", "sform_code", "srow_x", "srow_y", "srow_z", "xyzt_units", "dim")
        assert all(np.array_equal(mask.header[field], nib.load(path).header[field]) for field in fields)


@pytest.mark.parametrize("make", [nifti_pair, mhd], ids=lambda make: make.__name__)
def test_other_voxels_beside_a_header_are_another_image(tmp_path: Path, make: object) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    former = VOLUME.fingerprint({"image": path})
    voxels = path.with_suffix(".img" if path.suffix == ".hdr" else ".raw")
    voxels.write_bytes(bytes(voxels.stat().st_size))
    assert VOLUME.fingerprint({"image": path}) != former


def test_an_analyze_file_without_matrix_is_remarked(tmp_path: Path) -> None:
    path = analyze(tmp_path)
    path.with_suffix(".mat").unlink()
    (remark,) = remarks_of(VOLUME.read_image({"image": path}))
    assert remark.startswith("an Analyze header doesn't say where left and right are")


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_cut_off(tmp_path: Path, make: object) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    voxels = {".hdr": path.with_suffix(".img"), ".mhd": path.with_suffix(".raw")}.get(path.suffix, path)
    voxels.write_bytes(voxels.read_bytes()[: -60 if path.suffix != ".mgh" else -160])
    with pytest.raises(BadCaseError, match="bytes that can't be read as a volume"):
        VOLUME.read_image({"image": path})


def test_a_header_without_its_voxels_is_a_bad_case(tmp_path: Path) -> None:
    path = nifti_pair(tmp_path)
    path.with_suffix(".img").unlink()
    assert len(find_cases(tmp_path)) == 1
    with pytest.raises(BadCaseError, match="x.hdr: found 348 bytes that can't be read"):
        VOLUME.read_image({"image": path})


def test_what_looks_like_an_image_is_named(tmp_path: Path) -> None:
    nifti_pair(tmp_path)
    names = (
        "a.vtk",
        "b.vtk",
        "ward/c.vtk",
        "d.VTK",
        "e.tif",
        "f.dicom",
        "alone.img",
        "g.nii.bz2",
        "notes.txt",
        "z.json",
    )
    for name in (*names, "series/1.dcm", "x_raw.raw", "out/report/previews/p.png", "out/report/cases.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for name in ("IM0001", "IM0002.3", "README"):
        (tmp_path / name).write_bytes(bytes(128) + (b"DICM" if name != "README" else b"text"))
    found = left_out_files(Search(tmp_path), "volume")
    assert found == {
        ".img": ["alone.img"],
        ".nii.bz2": ["g.nii.bz2"],
        ".raw": ["x_raw.raw"],
        ".tif": ["e.tif"],
        ".vtk": ["a.vtk", "b.vtk", "d.VTK", "ward/c.vtk"],
    }
    sentence = left_out_sentence(found)
    assert sentence.startswith("left out: 1 .img file (alone.img), ")
    assert "4 .vtk files (a.vtk, b.vtk, d.VTK, …)" in sentence
    told = [item["case"] for item in find_cases(tmp_path) if "can't be read as DICOM" in item.get("error", "")]
    assert told == ["IM0001", "IM0002.3", "f", "series/1"], "each is a row of its own"
    assert left_out_sentence({}) == ""
    among_images = left_out_files(Search(tmp_path), "image")
    assert among_images["DICOM"] == ["IM0001", "IM0002.3"]
    assert ".tif" not in among_images and among_images[".dcm"] == ["series/1.dcm"] and ".hdr" in among_images
