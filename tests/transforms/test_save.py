# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Flipd, Invertd, Orientationd, SaveImaged
from PIL import Image
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.forms.label_table import read_label_table
from pranet_monai.forms.provenance import Provenance
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import AsLabelsd, SaveMaskd, SaveProbabilitiesd, SaveQualityMapd

LABELS = {0: "background", 1: "right_ventricle", 2: "myocardium & <scar>"}
COLORS = {0: (0, 0, 0), 1: (0, 114, 178), 2: (255, 255, 0)}
LABEL_MAP = LabelMap("heart", LABELS, COLORS)
AFFINE = np.array([[0, 0.3, -8, 31], [-1.4, 0.1, 0, -7], [0.1, 1.4, 0.4, 12.5], [0, 0, 0, 1]])


PATIENT = b"J.SMITH"


def write_image(path: Path, shape: tuple[int, ...] = (5, 6, 7), kind: type = nib.Nifti1Image) -> nib.Nifti1Image:
    """An image whose header is as far from nibabel's defaults as scanners make them."""
    array = np.random.default_rng(0).integers(0, 3, shape).astype(np.int16)
    image = kind(array, None)
    image.set_qform(AFFINE, code=1, strip_shears=True)
    image.set_sform(AFFINE, code=2)
    image.header.set_xyzt_units("mm", "msec")
    image.header["cal_max"], image.header["descrip"] = 2, PATIENT
    for name in ("aux_file", "intent_name", "db_name", "data_type"):
        if name in image.header:
            image.header[name] = PATIENT
    image.header.set_slope_inter(1, 0)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", PATIENT))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return nib.load(path)


def save_mask(path: Path, out: Path) -> Path:
    """Takes the image's own values as its mask and saves them."""
    before = Compose([LoadCased("image"), Orientationd("image", "RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))])
    after = Compose([Invertd("pred", transform=before, orig_keys="image"), SaveMaskd("pred", out, LABEL_MAP)])
    item = before({"image": str(path), "case": "ward/patient 1"})
    after({**item, "pred": item["image"].to(torch.uint8)})
    return out / "ward" / "patient 1_seg.nii.gz"


def as_mask(item: dict[str, str]) -> dict:
    """The image's own values as its mask, under ``image``."""
    loaded = LoadCased("image")(item)
    return {**loaded, "image": loaded["image"].to(torch.uint8)}


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 7), (5, 6, 7, 1), (5, 6, 7, 3)])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_mask_has_the_images_grid_and_header(tmp_path: Path, shape: tuple[int, ...], kind: type) -> None:
    image = write_image(tmp_path / "x.nii.gz", shape, kind)
    mask = nib.load(save_mask(tmp_path / "x.nii.gz", tmp_path / "out"))
    assert type(mask) is kind and mask.shape == shape and mask.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(mask.dataobj), np.asarray(image.dataobj))
    geometry = ["dim", "pixdim", "qform_code", "sform_code", "xyzt_units", "srow_x", "srow_y", "srow_z"]
    geometry += ["quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"]
    for name in geometry:
        assert mask.header[name].tobytes() == image.header[name].tobytes(), name
    assert mask.header.get_intent()[0] == "label"
    assert (mask.header["cal_min"], mask.header["cal_max"]) == (0, 0)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_nothing_that_names_a_patient_is_copied(tmp_path: Path, kind: type) -> None:
    write_image(tmp_path / "x.nii.gz", kind=kind)
    assert PATIENT in gzip.open(tmp_path / "x.nii.gz").read()
    assert PATIENT not in gzip.open(save_mask(tmp_path / "x.nii.gz", tmp_path / "out")).read()
    probabilities = as_mask({"image": str(tmp_path / "x.nii.gz"), "case": "x"})
    SaveProbabilitiesd("image", tmp_path / "out")({**probabilities, "image": probabilities["image"].float()})
    assert PATIENT not in gzip.open(tmp_path / "out" / "x_probabilities.nii.gz").read()


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 2), (3, 4)])
def test_whichever_form_places_the_image_places_the_mask(tmp_path: Path, codes: tuple[int, int]) -> None:
    """Files without any form stand where their voxel sizes put them; viewers must find the mask there too."""
    image = write_image(tmp_path / "x.nii.gz")
    image.header["qform_code"], image.header["sform_code"] = codes
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), tmp_path / "x.nii.gz")
    image = nib.load(tmp_path / "x.nii.gz")
    mask = nib.load(save_mask(tmp_path / "x.nii.gz", tmp_path / "out"))
    assert (int(mask.header["qform_code"]), int(mask.header["sform_code"])) == codes
    assert np.array_equal(mask.affine, image.affine)
    assert np.array_equal(np.asarray(mask.dataobj), np.asarray(image.dataobj))


def test_scale_on_disk_is_one_and_zero(tmp_path: Path) -> None:
    """nibabel hides these two bytes of the header from its users, other readers don't."""
    write_image(tmp_path / "x.nii.gz")
    with gzip.open(save_mask(tmp_path / "x.nii.gz", tmp_path / "out")) as stream:
        assert struct.unpack("<2f", stream.read(348)[112:120]) == (1.0, 0.0)


def test_label_names_travel_in_the_header(tmp_path: Path) -> None:
    write_image(tmp_path / "x.nii.gz")
    mask = nib.load(save_mask(tmp_path / "x.nii.gz", tmp_path / "out"))
    assert read_label_table(mask) == {1: "right_ventricle", 2: "myocardium & <scar>"}
    extension, comment = mask.header.extensions
    assert (extension.get_code(), comment.get_code()) == (0, 6)
    made_by = Provenance.of_text(comment.content.decode().rstrip("\0"))
    assert made_by == Provenance(file_sha256(tmp_path / "x.nii.gz"), "")
    assert b'Key="1" Red="0.0000" Green="0.4471" Blue="0.6980"' in extension.content
    assert read_label_table(nib.load(tmp_path / "x.nii.gz")) == {}


def test_an_independent_reader_sees_the_same(tmp_path: Path) -> None:
    image = write_image(tmp_path / "x.nii.gz")
    image.set_sform(image.get_qform(), code=1)  # ITK refuses shears
    nib.save(image, tmp_path / "x.nii.gz")
    mask = sitk.ReadImage(str(save_mask(tmp_path / "x.nii.gz", tmp_path / "out")))
    original = sitk.ReadImage(str(tmp_path / "x.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(mask), sitk.GetArrayFromImage(original))
    assert mask.GetDirection() == original.GetDirection() and mask.GetOrigin() == original.GetOrigin()
    assert mask.GetPixelIDTypeAsString() == "8-bit unsigned integer"


@pytest.mark.parametrize("name", ["x.mha", "x.nrrd"])
def test_other_kinds_get_a_nifti_in_the_same_place(tmp_path: Path, name: str) -> None:
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 3, (5, 4, 3)).astype(np.int16))
    image.SetSpacing((1.5, 2.0, 8.0))
    image.SetOrigin((10.0, 20.0, 30.0))
    image.SetDirection((0, 0, 1, 1, 0, 0, 0, 1, 0))
    sitk.WriteImage(image, str(tmp_path / name))
    mask = sitk.ReadImage(str(save_mask(tmp_path / name, tmp_path / "out")))
    assert np.array_equal(sitk.GetArrayFromImage(mask), sitk.GetArrayFromImage(image))
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert np.allclose(getattr(mask, get)(), getattr(image, get)(), atol=1e-5)


def test_frames_not_asked_for_stay_zero(tmp_path: Path) -> None:
    image = write_image(tmp_path / "cine.nii", (4, 5, 3, 6))
    item = LoadCased("image", frames=[4, 1])({"image": str(tmp_path / "cine.nii")})
    mask = torch.ones_like(item["image"])
    mask[1] = 2
    SaveMaskd("pred", tmp_path, LABEL_MAP)({"case": "c", "pred": mask.to(torch.uint8)})
    saved = np.asarray(nib.load(tmp_path / "c_seg.nii.gz").dataobj)
    assert saved.shape == image.shape
    assert [int(saved[..., t].max()) for t in range(6)] == [0, 2, 0, 0, 1, 0]


def test_item_without_case_takes_the_files_name(tmp_path: Path) -> None:
    write_image(tmp_path / "in" / "x.nii")
    SaveMaskd("image", tmp_path / "out", LABEL_MAP)(as_mask({"image": str(tmp_path / "in" / "x.nii")}))
    assert (tmp_path / "out" / "x_seg.nii.gz").is_file()


@pytest.mark.parametrize("axis", [0, 2])
def test_mask_off_its_grid_is_refused(tmp_path: Path, axis: int) -> None:
    """A square volume would take a mirrored mask without a sound."""
    write_image(tmp_path / "x.nii", (6, 6, 6))
    mirrored = Flipd("image", axis)(as_mask({"image": str(tmp_path / "x.nii"), "case": "x"}))
    with pytest.raises(ValueError, match="x.nii: found a mask of shape .* fix: put Invertd before"):
        SaveMaskd("image", tmp_path, LABEL_MAP)(mirrored)
    assert [path.name for path in tmp_path.iterdir()] == ["x.nii"]


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "in" / "x.nii")

    def full_disk(image: nib.Nifti1Image, path: Path) -> None:
        Path(path).write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    item = as_mask({"image": str(tmp_path / "in" / "x.nii"), "case": "x"})
    monkeypatch.setattr(nib, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        SaveMaskd("image", tmp_path / "out", LABEL_MAP)(item)
    assert list((tmp_path / "out").iterdir()) == []


def test_references_beside_the_images_are_kept(tmp_path: Path) -> None:
    write_image(tmp_path / "x.nii")
    write_image(tmp_path / "x_seg.nii.gz")
    before = (tmp_path / "x_seg.nii.gz").read_bytes()
    item = as_mask({"image": str(tmp_path / "x.nii"), "case": "x"})
    save = SaveMaskd("image", tmp_path, LABEL_MAP)
    with pytest.raises(BadCaseError, match="x_seg.nii.gz: found a file there that this program didn't write"):
        save(item)
    assert (tmp_path / "x_seg.nii.gz").read_bytes() == before
    (tmp_path / "x_seg.nii.gz").unlink()
    save(item)
    save(item)  # its own mask may be replaced
    (tmp_path / "x_seg.nii.gz").write_bytes(b"half a file")
    save(item)
    assert nib.load(tmp_path / "x_seg.nii.gz").shape == (5, 6, 7)


@pytest.mark.parametrize(("saver", "name"), [(SaveProbabilitiesd, "x_probabilities"), (SaveQualityMapd, "x_quality")])
def test_images_named_as_maps_are_kept(tmp_path: Path, saver: type, name: str) -> None:
    write_image(tmp_path / "x.nii")
    write_image(tmp_path / f"{name}.nii.gz")
    before = (tmp_path / f"{name}.nii.gz").read_bytes()
    item = as_mask({"image": str(tmp_path / "x.nii"), "case": "x"})
    item["image"] = item["image"].float()
    with pytest.raises(BadCaseError, match=f"{name}.nii.gz: found a file there that this program didn't write"):
        saver("image", tmp_path)(item)
    assert (tmp_path / f"{name}.nii.gz").read_bytes() == before
    (tmp_path / f"{name}.nii.gz").unlink()
    for _ in range(2):  # its own map may be replaced
        saver("image", tmp_path)(item)


@pytest.mark.parametrize(
    ("saver", "name"), [(SaveProbabilitiesd, "x_probabilities.tif"), (SaveQualityMapd, "x_quality.png")]
)
def test_pictures_named_as_maps_are_kept(tmp_path: Path, saver: type, name: str) -> None:
    for file in ("x.png", name):
        Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / file)
    item = LoadCased("image")({"image": str(tmp_path / "x.png"), "case": "x"})
    item["image"] = item["image"][:1]
    with pytest.raises(BadCaseError, match=f"{name}: found a file there that this program didn't write"):
        saver("image", tmp_path)(item)
    (tmp_path / name).unlink()
    for _ in range(2):
        saver("image", tmp_path)(item)


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    write_image(tmp_path / "x.nii.gz")
    first = save_mask(tmp_path / "x.nii.gz", tmp_path / "one").read_bytes()
    assert save_mask(tmp_path / "x.nii.gz", tmp_path / "two").read_bytes() == first


def test_is_monais_saver_for_monai_label(tmp_path: Path) -> None:
    """MONAI Label leaves out savers by their class."""
    assert isinstance(SaveMaskd("pred", tmp_path, LABEL_MAP), SaveImaged)
    assert isinstance(SaveProbabilitiesd("pred", tmp_path), SaveImaged)


def probabilities(shape: tuple[int, ...], classes: int = 3) -> torch.Tensor:
    return torch.rand((classes, *shape), generator=torch.Generator().manual_seed(0)).softmax(0)


def test_probabilities_are_never_taken_for_a_mask(tmp_path: Path) -> None:
    write_image(tmp_path / "x.nii")
    item = LoadCased("image")({"image": str(tmp_path / "x.nii"), "case": "x"})
    maps = probabilities((5, 6, 7))
    pred = MetaTensor(maps, meta=dict(item["image"].meta))
    with pytest.raises(UsageError, match="must hold class numbers, this one is torch.float32; fix: put AsLabelsd"):
        SaveMaskd("pred", tmp_path / "out", LABEL_MAP)({**item, "pred": pred})
    with pytest.raises(UsageError, match=r"holds the numbers \[0, 7\]; allowed: 0 to 2"):
        SaveMaskd("pred", tmp_path / "out", LABEL_MAP)({**item, "pred": (pred[:1] > 0.5).to(torch.uint8) * 7})
    with pytest.raises(UsageError, match="gave 3 maps with values from .* allowed: labels or probabilities"):
        AsLabelsd("pred", 3)({**item, "pred": pred * 8 - 4})
    assert not (tmp_path / "out").exists()
    done = SaveMaskd("pred", tmp_path / "out", LABEL_MAP)(AsLabelsd("pred", 3)({**item, "pred": pred}))
    SaveProbabilitiesd("probabilities", tmp_path / "out")(done)
    mask = nib.load(tmp_path / "out" / "x_seg.nii.gz")
    saved = nib.load(tmp_path / "out" / "x_probabilities.nii.gz")
    assert np.array_equal(np.asarray(mask.dataobj), maps.argmax(0).numpy())
    assert saved.get_data_dtype() == np.float32 and np.array_equal(saved.affine, mask.affine)
    assert np.array_equal(np.asarray(saved.dataobj), maps.movedim(0, -1).numpy())


def test_probabilities_of_a_cine_keep_their_frames(tmp_path: Path) -> None:
    write_image(tmp_path / "cine.nii", (4, 5, 3, 6))
    item = LoadCased("image", frames=[4, 1])({"image": str(tmp_path / "cine.nii"), "case": "c"})
    maps = torch.cat([probabilities((4, 5, 3)), probabilities((4, 5, 3)).flip(0)])
    done = AsLabelsd("pred", 3)({**item, "pred": MetaTensor(maps, meta=dict(item["image"].meta))})
    assert torch.equal(done["pred"].as_tensor(), torch.stack([maps[:3].argmax(0), maps[3:].argmax(0)]).to(torch.uint8))
    SaveProbabilitiesd("probabilities", tmp_path)(done)
    saved = np.asarray(nib.load(tmp_path / "c_probabilities.nii.gz").dataobj)
    assert saved.shape == (4, 5, 3, 6, 3)
    assert np.array_equal(saved[..., 4, :], maps[:3].movedim(0, -1).numpy())
    assert np.array_equal(saved[..., 1, :], maps[3:].movedim(0, -1).numpy()) and not saved[..., 0, :].any()
