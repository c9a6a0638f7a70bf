# SPDX-License-Identifier: Apache-2.0
"""A labelled folder looked through: what is found, and the sentence that each kind of broken folder gets."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pranet_monai.data.splits import patient_of_case
from pranet_monai.errors import UsageError
from pranet_monai.planning.groups import group_patients
from pranet_monai.planning.survey import Survey, survey

from tests.data.samples import made_sample, write_dicom, write_nifti

NAMES = ("anna", "bob", "carl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three patients, three classes."""
    for seed, name in enumerate(NAMES):
        sample = made_sample(4, seed)
        for kind, array in (("images", sample.image), ("labels", sample.label)):
            write_nifti(path_of(tmp_path, name, kind), array, sample.affine)
    return tmp_path


def path_of(folder: Path, name: str, kind: str = "labels") -> Path:
    return folder / kind / f"{name}.nii.gz"


def relabel(folder: Path, name: str, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    write_nifti(path_of(folder, name), array, made_sample(4).affine if affine is None else affine)


def look(folder: Path) -> Survey:
    return survey(folder, quiet=True)


def test_what_is_kept_of_a_case(folder: Path) -> None:
    found = look(folder)
    assert (found.kind, found.data_set, found.problems, found.remarks) == ("volume", None, [], [])
    assert found.numbers == [1, 2, 3] and [case.item["case"] for case in found.cases] == [
        f"images/{name}" for name in NAMES
    ]
    sample, case = made_sample(4, 0), found.cases[0]
    assert case.numbers == {number: int((sample.label == number).sum()) for number in (1, 2, 3)}
    assert case.size == (7, 9, 4) and case.spacing == pytest.approx((1.5, 1.25, 7.0)) and case.stack_axis == 2
    assert case.tilt == pytest.approx(np.degrees(np.arccos(0.8)), abs=0.01)
    assert (case.low, case.high) == (sample.image.min(), sample.image.max())


def test_how_far_labels_reach_from_the_middle(folder: Path) -> None:
    """Rows 1 … 3 of 10, the middle between 4 and 5: 4.5 - 1 + a half, on either side, of 2 mm."""
    label = np.zeros((10, 8, 6), np.uint8)
    label[1:4, 2:6, 3] = 1
    for name in NAMES:
        for kind in ("images", "labels"):
            write_nifti(path_of(folder, name, kind), label, np.diag([2.0, 2.0, 3.0, 1.0]))
    assert look(folder).cases[0].reach == pytest.approx((2 * 2 * 4, 2 * 2 * 2, 2 * 3 * 1))


# --- one bad case is left out with a sentence


def fractions(folder: Path) -> None:
    relabel(folder, "bob", made_sample(4).label * 0.3)


def another_grid(folder: Path) -> None:
    relabel(folder, "bob", made_sample(4, 1).label, np.diag([1.5, 1.25, 7.0, 1.0]))


def another_shape(folder: Path) -> None:
    relabel(folder, "bob", made_sample(4, 1).label[:-1])


def below_zero(folder: Path) -> None:
    relabel(folder, "bob", made_sample(4, 1).label.astype(np.int16) - 1)


def numbers_of_objects(folder: Path) -> None:
    sample = made_sample(4, 1)
    big = np.arange(65000).reshape(65, 100, 10)
    for kind in ("images", "labels"):
        write_nifti(path_of(folder, "bob", kind), big.astype(np.int32), sample.affine)


def no_volume(folder: Path) -> None:
    path_of(folder, "bob", "images").write_bytes(b"not a volume")


def cut_off(folder: Path) -> None:
    path = path_of(folder, "bob")
    path.write_bytes(path.read_bytes()[:-30])


def nan_in_the_image(folder: Path) -> None:
    sample = made_sample(4, 1)
    write_nifti(path_of(folder, "bob", "images"), np.full(sample.image.shape, np.nan, np.float32), sample.affine)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (fractions, "labels/bob.nii.gz: found label values that are not whole numbers, such as 0."),
        (another_grid, "labels/bob.nii.gz: found labels that lie up to"),
        (another_shape, "labels/bob.nii.gz: found labels of shape (6, 9, 4)"),
        (below_zero, "labels/bob.nii.gz: found the label number -1"),
        (numbers_of_objects, "labels/bob.nii.gz: found 65000 different label numbers; allowed: 255 classes"),
        (no_volume, "images/bob.nii.gz: found 12 bytes that can't be read as a volume"),
        (cut_off, "labels/bob.nii.gz: found"),
        (nan_in_the_image, "images/bob.nii.gz: found 252 NaN"),
    ],
)
def test_a_bad_case_is_left_out_with_a_sentence(folder: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    spoil(folder)
    found = look(folder)
    assert [case.item["case"] for case in found.cases] == ["images/anna", "images/carl"]
    assert len(found.problems) == 1 and sentence in found.problems[0]
    assert sorted(group_patients(found).classes_of) == ["anna", "carl"]


def test_images_without_label_and_labels_without_image(folder: Path) -> None:
    path_of(folder, "bob").unlink()
    found = look(folder)
    assert found.problems == [] and found.remarks == ["left out, as they have no label: images/bob"]
    write_nifti(path_of(folder, "dora"), made_sample(4).label, made_sample(4).affine)
    (problem,) = look(folder).problems
    assert "labels/dora.nii.gz: found a label without its image" in problem


def test_odd_but_usable(folder: Path) -> None:
    sample = made_sample(4, 0)
    relabel(folder, "anna", sample.label * 0)
    relabel(folder, "bob", np.maximum(made_sample(4, 1).label, 1))
    write_nifti(path_of(folder, "carl", "images"), sample.image, sample.affine)
    found = look(folder)
    assert found.problems == []
    assert found.remarks == [
        "nothing is labelled in images/anna",
        "no voxel is background (0) in images/bob",
        "images/carl: its image has the very voxels of images/anna; they count as one patient's",
    ]
    patients = group_patients(found)
    assert sorted(patients.listed.values()) == [["anna", "carl"], ["bob"]]
    assert patients.folds(5).keys() == {"fold0", "fold1"}


# --- a folder that nothing can be learned from


def test_no_label_at_all(folder: Path) -> None:
    for name in NAMES:
        path_of(folder, name).unlink()
    with pytest.raises(
        UsageError, match="found 3 volumes .images/anna.*and no label to any of them; allowed: labels of"
    ):
        look(folder)


def test_labels_of_no_single_image_are_named(folder: Path) -> None:
    (folder / "labels").rename(folder / "lung_mask")
    shutil.copytree(folder / "lung_mask", folder / "lesion_mask")
    with pytest.raises(UsageError, match="6 files are named like labels, of none or several of one image: lesion_mask"):
        look(folder)


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no such folder"):
        look(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="found no volume in it"):
        look(tmp_path)


def test_empty_labels_everywhere(folder: Path) -> None:
    for name in NAMES:
        relabel(folder, name, np.zeros((7, 9, 4), np.uint8))
    with pytest.raises(UsageError, match="found 3 labels and nothing but 0 in them"):
        look(folder)


def test_most_cases_are_bad(folder: Path) -> None:
    for name in ("anna", "bob"):
        path_of(folder, name, "images").write_bytes(b"x")
    with pytest.raises(UsageError, match="found 2 of 3 labelled cases that can't be used:(?s:.*)images/bob"):
        look(folder)


def test_too_many_numbers_over_all(folder: Path) -> None:
    affine = made_sample(4).affine
    for start, name in enumerate(NAMES):
        array = np.zeros((7, 9, 4), np.int16)
        array.flat[:100] = np.arange(100) + 100 * start + 1
        write_nifti(path_of(folder, name), array, affine)
    with pytest.raises(UsageError, match="found 300 different label numbers in all labels, up to 300; allowed: 255"):
        look(folder)


def test_one_patient_only(folder: Path) -> None:
    for kind in ("images", "labels"):
        for number, name in enumerate(NAMES):
            path_of(folder, name, kind).rename(path_of(folder, f"anna_visit{number}", kind))
    with pytest.raises(UsageError, match="found 3 usable cases of 1 patient.*anna.*--patient REGEX"):
        group_patients(look(folder))
    assert len(group_patients(look(folder), "anna_visit[0-9]").classes_of) == 3


def test_a_patient_by_any_part_of_a_name(folder: Path) -> None:
    """What a split can't tell by the beginning of a name, it lists case by case."""
    for kind in ("images", "labels"):
        for name, new in zip(NAMES, ("1-anna", "2-anna", "3-carl"), strict=True):
            path_of(folder, name, kind).rename(path_of(folder, new, kind))
    found = look(folder)
    patients = group_patients(found, "anna|carl")
    assert patients.listed == {"anna": ["images/1-anna", "images/2-anna"], "carl": ["images/3-carl"]}
    assert patient_of_case({"case": "images/1-anna"}, patients.listed["anna"]) == "images/1-anna"


def test_names_that_may_be_of_one_patient(folder: Path) -> None:
    """Slices numbered behind the patient's name would be on both sides of a split; nobody can know, so it is said."""
    sample = made_sample(4, 7)
    names = ("eva_1", "eva_2", "max_1", "max_2")
    for number, name in enumerate(names):
        for kind, array in (("images", sample.image + number), ("labels", sample.label)):
            write_nifti(path_of(folder, name, kind), array, sample.affine)
    (remark,) = group_patients(look(folder)).remarks
    assert remark.startswith("eva_1, eva_2 count as two patients") and "--patient REGEX" in remark
    assert group_patients(look(folder), "[a-z]+(?=_|$)").remarks == []
    for kind in ("images", "labels"):
        path_of(folder, "max_1", kind).unlink()
    assert group_patients(look(folder)).remarks == [], "numbers of patients, as far as anybody can see"


def test_visits_of_brats(folder: Path) -> None:
    names = ("BraTS-GLI-00001-000", "BraTS-GLI-00001-001-t2f", "BraTS-GLI-00002-000")
    for kind in ("images", "labels"):
        for name, new in zip(NAMES, names, strict=True):
            path_of(folder, name, kind).rename(path_of(folder, new, kind))
    assert sorted(group_patients(look(folder)).listed) == ["BraTS-GLI-00001", "BraTS-GLI-00002"]


def test_other_cases_of_a_patient_that_cant_be_used(folder: Path) -> None:
    """What can be used is listed case by case, so that a split finds nothing else of this patient."""
    for kind in ("images", "labels"):
        for number, name in enumerate(("anna", "bob")):
            path_of(folder, name, kind).rename(path_of(folder, f"anna_visit{number}", kind))
    path_of(folder, "anna_visit1").unlink()
    assert group_patients(look(folder)).listed == {"anna": ["images/anna_visit0"], "carl": ["carl"]}


def test_several_modalities(folder: Path) -> None:
    """nnU-Net has a file for each, of which the first counts; the Decathlon one file of 4 dimensions, refused."""
    for name in NAMES:
        for channel in ("0000", "0001"):
            sample = made_sample(4, NAMES.index(name))
            write_nifti(path_of(folder, f"{name}_{channel}", "images"), sample.image, sample.affine)
        path_of(folder, name, "images").unlink()
    found = survey(folder, quiet=True, channels=2)
    assert [case.item["case"] for case in found.cases] == [f"images/{name}_0000" for name in NAMES]
    assert "left out, as they have no label: images/anna_0001" in found.remarks[0]
    assert found.remarks[1].startswith("dataset.json names 2 modalities of each case: one image is read of each")
    for name in NAMES:
        path_of(folder, f"{name}_0001", "images").unlink()
        image = np.stack([made_sample(4).image] * 2, axis=-1)
        write_nifti(path_of(folder, f"{name}_0000", "images"), image, made_sample(4).affine)
    with pytest.raises(UsageError, match="allowed: .* and 2, those of(?s:.*)a file that holds several must be split"):
        survey(folder, quiet=True, channels=2)


def write_images(folder: Path, masks: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    for name, mask in masks.items():
        for kind, array in (("images", rng.integers(0, 255, (*mask.shape, 3))), ("masks", mask)):
            (folder / kind).mkdir(exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(folder / kind / f"{name}.png")


def test_rgb_images(tmp_path: Path) -> None:
    disc = np.zeros((40, 50))
    disc[10:30, 10:30] = 255
    write_images(tmp_path, {"a": disc, "b": disc // 255, "c": np.where(disc > 0, 90, 0)})
    found = look(tmp_path)
    assert found.kind == "image" and [case.item["case"] for case in found.cases] == ["images/a", "images/b"]
    assert found.cases[0].numbers == {1: 400} and found.cases[0].size == (40, 50, 1)
    assert "masks/c.png: found the brightnesses [0, 90] in a mask" in found.problems[0]


@pytest.mark.parametrize("has_palette", [False, True])
def test_coloured_masks_are_no_single_class(tmp_path: Path, has_palette: bool) -> None:
    """Red and green are two classes, of which one would be made without a word."""
    disc = np.zeros((40, 50))
    disc[10:30, 10:30] = 255
    write_images(tmp_path, dict.fromkeys("abcd", disc))
    numbers = (disc > 0).astype(np.uint8)
    numbers[15:20, 15:20] = 2
    colours = Image.fromarray(numbers, "P")
    colours.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    (colours if has_palette else colours.convert("RGB")).save(tmp_path / "masks" / "d.png")
    (problem,) = look(tmp_path).problems
    assert "masks/d.png: found the colours (255, 0, 0), (0, 255, 0) in a mask" in problem


def test_one_colour_is_one_class(tmp_path: Path) -> None:
    disc = np.zeros((40, 50, 3))
    disc[10:30, 10:30] = (255, 0, 0)
    write_images(tmp_path, dict.fromkeys("ab", disc[..., 0]))
    for name in "ab":
        Image.fromarray(disc.astype(np.uint8)).save(tmp_path / "masks" / f"{name}.png")
    assert look(tmp_path).problems == []


def test_numbers_of_several_classes_in_masks_of_images(tmp_path: Path) -> None:
    """0, 1 and 2 are dark all three, and 1 alone is bright in other masks of the folder."""
    disc = np.zeros((40, 50))
    disc[10:30, 10:30] = 1
    several = disc.copy()
    several[15:20, 15:20] = 2
    write_images(tmp_path, {"a": disc, "b": disc, "c": several})
    assert "masks/c.png: found the brightnesses [0, 1, 2] in a mask" in look(tmp_path).problems[0]


def test_rgb_images_among_volumes(folder: Path) -> None:
    (folder / "photos").mkdir()
    write_images(folder / "photos", {"a": np.eye(40) * 255})
    with pytest.raises(UsageError, match="found 3 volumes and 1 RGB images with labels; allowed: one kind.*--kind"):
        look(folder)
    assert survey(folder, "volume", quiet=True).kind == "volume"
    assert survey(folder, "image", quiet=True).kind == "image"


def test_dicom_folders_of_chaos_are_known(tmp_path: Path) -> None:
    """By their names and the grey values of their label images."""
    for number in (1, 2):
        sample = made_sample(5, number)
        folder = tmp_path / f"MR/{number}/T2SPIR"
        write_dicom(folder / "DICOM_anon", sample)
        (folder / "Ground").mkdir()
        for path in sorted((folder / "DICOM_anon").iterdir()):
            depth = sample.label.shape[2] - int(path.stem[-5:])
            plane = sample.label[:, :, depth].T * 63
            Image.fromarray(plane.astype(np.uint8)).save(folder / "Ground" / f"{path.stem}.png")
    found = look(tmp_path)
    assert found.problems == [] and found.data_set is not None and found.data_set.name == "chaos_mr"
    assert sorted(group_patients(found).classes_of) == ["chaos_01", "chaos_02"]


def test_names_alone_make_no_known_data_set(folder: Path) -> None:
    for kind in ("images", "labels"):
        for number, name in enumerate(NAMES):
            path_of(folder, name, kind).rename(path_of(folder, f"hippocampus_00{number}", kind))
    assert look(folder).data_set is None, "it has a label 3"
    for number in range(3):
        label = nib.load(path_of(folder, f"hippocampus_00{number}"))
        relabel(folder, f"hippocampus_00{number}", np.minimum(np.asarray(label.dataobj), 2))
    found = look(folder).data_set
    assert found is not None and found.name == "hippocampus"
