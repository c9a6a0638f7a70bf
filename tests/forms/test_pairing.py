# SPDX-License-Identifier: Apache-2.0
"""Layouts of public data sets: which file is a reference, and of which image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import get_label_map
from pranet_monai.errors import BadCaseError
from pranet_monai.forms.pairing import is_label_folder, is_label_stem, pairs_by_words
from pranet_monai.forms.rgb_image import RGBImage
from pranet_monai.forms.search import Search

VOLUMES, IMAGES = (".nii.gz", ".nii", ".mhd"), (".png", ".jpg")


def found_pairs(root: Path, files: list[str], extensions: tuple[str, ...] = VOLUMES) -> dict[str, str]:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    search = Search(root)
    images = [path for path in search.files if not search.names_reference(path, extensions)]
    found = {path: search.reference_file(path, extensions) for path in images}
    return {
        path.relative_to(root).as_posix(): pair.relative_to(root).as_posix() for path, pair in found.items() if pair
    }


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("volume-{}.nii", "segmentation-{}.nii"),  # LiTS
        ("volumes/volume-{}.nii", "segmentations/segmentation-{}.nii"),
        ("ct_train/ct_train_100{}_image.nii.gz", "ct_train/ct_train_100{}_label.nii.gz"),  # MM-WHS
        ("scan/liver-orig00{}.mhd", "label/liver-seg00{}.mhd"),  # SLiver07
        ("case{}/image.nii.gz", "case{}/label.nii.gz"),
        ("case{}/mri.nii.gz", "case{}/mask.nii.gz"),
        ("Patient_{0}/Patient_{0}.nii.gz", "Patient_{0}/GT.nii.gz"),  # SegTHOR
        ("TrainingImg/train_{}_0000.nii.gz", "TrainingMask/train_{}.nii.gz"),  # FLARE21
        ("mr/{}.nii.gz", "mask/{}.nii.gz"),
        ("sub-{0}/anat/sub-{0}_T1w.nii.gz", "derivatives/manual/sub-{0}/anat/sub-{0}_dseg.nii.gz"),  # BIDS
        ("sub-{0}/anat/sub-{0}_T1w.nii.gz", "derivatives/x/sub-{0}/anat/sub-{0}_T1w_label-lesion_mask.nii.gz"),
        ("rawdata/sub-{0}/sub-{0}_ct.nii.gz", "derivatives/sub-{0}/sub-{0}_seg-vert_msk.nii.gz"),  # VerSe
        ("Labeled/{0}/{0}_sa.nii.gz", "Labeled/{0}/{0}_sa_gt.nii.gz"),  # M&Ms
    ],
)
def test_volumes(tmp_path: Path, image: str, label: str) -> None:
    expected = {image.format(n): label.format(n) for n in (1, 2, 3)}
    assert found_pairs(tmp_path, [*expected, *expected.values()]) == expected


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("Training_Input/ISIC_000{}.jpg", "Task1_Training_GroundTruth/ISIC_000{}_segmentation.png"),
        ("with_GT/benign ({}).png", "with_GT/benign ({})_mask.png"),  # BUSI
        ("Training400/Images/V000{}.jpg", "Training400/Masks/V000{}.png"),  # REFUGE
        ("train/{}.jpg", "train_masks/{}_mask.png"),
    ],
)
def test_images(tmp_path: Path, image: str, label: str) -> None:
    expected = {image.format(n): label.format(n) for n in (1, 2, 3)}
    assert found_pairs(tmp_path, [*expected, *expected.values()], IMAGES) == expected


def test_masks_of_several_lesions_of_an_image(tmp_path: Path) -> None:
    """BUSI's second mask is neither an image nor a label without one; what is bright in it counts as well."""
    for name, rows in (("a (1)", slice(0, 8)), ("a (1)_mask", slice(0, 2)), ("a (1)_mask_1", slice(5, 8))):
        pixels = np.zeros((8, 6), np.uint8)
        pixels[rows] = 255
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    (item,) = find_cases(tmp_path, "required", kind="image")
    assert item["case"] == "a (1)" and "error" not in item
    assert RGBImage().read_mask(item)[0, :, 0].tolist() == [1, 1, 0, 0, 0, 1, 1, 1]
    before = RGBImage().reference_fingerprint(item, get_label_map("polyp"))
    Image.fromarray(np.zeros((8, 7), np.uint8)).save(tmp_path / "a (1)_mask_1.png")
    with pytest.raises(BadCaseError, match="found masks of 2 lesions in different sizes"):
        RGBImage().read_mask(item)
    after = RGBImage().reference_fingerprint(item, get_label_map("polyp"))
    assert after != before, "a resumed run measures it again"


def test_one_image_of_several_modalities(tmp_path: Path) -> None:
    files = [f"B_{n}/B_{n}_{what}.nii.gz" for n in (1, 2) for what in ("t1", "t1ce", "t2", "flair", "seg")]
    expected = {f"B_{n}/B_{n}_flair.nii.gz": f"B_{n}/B_{n}_seg.nii.gz" for n in (1, 2)}
    assert found_pairs(tmp_path, files) == expected


def test_what_several_files_could_be_is_none(tmp_path: Path) -> None:
    """Two masks of an image, and two images of a mask: nobody can know."""
    files = ["ct/a.nii", "Lung_Mask/a.nii", "Lesion_Mask/a.nii", "x/image.nii", "x/scan.nii", "x/gt.nii"]
    assert found_pairs(tmp_path, [*files, "y/anna.nii", "y/bob_gt.nii"]) == {}


def test_names_of_two_folders_are_not_mixed_up() -> None:
    images, labels = ["train/1", "test/1", "test/2"], ["train/1_manual_gt", "test/1_gt"]
    found = pairs_by_words(map(Path, images), map(Path, labels))
    assert found == {Path("test/1"): Path("test/1_gt")}


def test_labels_of_another_part_are_of_other_images(tmp_path: Path) -> None:
    assert found_pairs(tmp_path, ["imagesTr/1.nii", "labelsTs/1.nii", "train/2.nii", "test_masks/2_mask.nii"]) == {}


def test_words_that_only_begin_like_those_of_references() -> None:
    assert not any(map(is_label_folder, ("Labeled", "labelled", "images_and_masks", "Dataset_with_GT", "maskless")))
    assert not any(map(is_label_stem, ("labelled_1", "gtx", "segway_2", "masked", "patient_segmented")))
