# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest
from pranet_monai.data.cases import find_cases
from pranet_monai.errors import UsageError
from pranet_monai.forms import FORMS
from pranet_monai.forms.run_folder import RunFolder

from tests.data.samples import made_sample, write_dicom


def make(root: Path, *names: str) -> Path:
    """Empty files: finding cases never opens one."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def pairs(root: Path, items: list[dict[str, str]]) -> dict[str, tuple[str | None, ...]]:
    """case → its image and label, relative to the root."""
    shown = {
        item["case"]: tuple(
            Path(item[key]).relative_to(root).as_posix() if key in item else None for key in ("image", "label")
        )
        for item in items
    }
    assert len(shown) == len(items), "two cases share a name"
    return shown


def test_flat_folder_and_sub_folders(tmp_path: Path) -> None:
    make(tmp_path, "b.nii", "a.nii.gz", "ward/x.nrrd", "ward/deep/x.mha", "notes.txt", ".hidden.nii", "._a.nii.gz")
    items = find_cases(tmp_path)
    assert [item["case"] for item in items] == ["a", "b", "ward/deep/x", "ward/x"]
    assert items[2]["image"] == str(tmp_path / "ward/deep/x.mha")


def test_decathlon_with_macos_leftovers(tmp_path: Path) -> None:
    make(tmp_path, "imagesTr/h_1.nii.gz", "labelsTr/h_1.nii.gz", "imagesTr/._h_1.nii.gz", "imagesTs/h_2.nii.gz")
    assert pairs(tmp_path, find_cases(tmp_path, labels="optional")) == {
        "imagesTr/h_1": ("imagesTr/h_1.nii.gz", "labelsTr/h_1.nii.gz"),
        "imagesTs/h_2": ("imagesTs/h_2.nii.gz", None),
    }


def test_images_folder_given_itself_finds_its_sibling(tmp_path: Path) -> None:
    make(tmp_path, "imagesVal/p.nii.gz", "labelsVal/p.nii.gz")
    assert pairs(tmp_path, find_cases(tmp_path / "imagesVal", labels="required")) == {
        "p": ("imagesVal/p.nii.gz", "labelsVal/p.nii.gz")
    }


def test_acdc_as_downloaded(tmp_path: Path) -> None:
    folder = "training/patient001/patient001_"
    make(tmp_path, *(f"{folder}{name}" for name in ("4d.nii.gz", "frame01.nii.gz", "frame01_gt.nii.gz", "Info.cfg")))
    make(tmp_path, "training/patient002/patient002_4d.nii.gz")
    assert pairs(tmp_path, find_cases(tmp_path, labels="optional")) == {
        "training/patient001/patient001_frame01": (f"{folder}frame01.nii.gz", f"{folder}frame01_gt.nii.gz"),
        "training/patient002/patient002_4d": ("training/patient002/patient002_4d.nii.gz", None),
    }


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("img/img0001.nii.gz", "label/label0001.nii.gz"),
        ("case_00000/imaging.nii.gz", "case_00000/segmentation.nii.gz"),
        ("imagesTr/x_0000.nii.gz", "labelsTr/x.nii.gz"),
        ("images/a/x.nii", "labels/a/x.nii.gz"),
        ("averaged-training-images/DET1_avg.nii.gz", "averaged-training-labels/DET1_avg_seg.nii.gz"),
        ("x.nii.gz", "x_label.nii"),
        ("x.nrrd", "x.seg.nrrd"),
        ("x.nii.gz", "x-seg.nii.gz"),
    ],
)
def test_label_conventions(tmp_path: Path, image: str, label: str) -> None:
    make(tmp_path, image, label)
    (item,) = find_cases(tmp_path, labels="required")
    assert (item["image"], item["label"]) == (str(tmp_path / image), str(tmp_path / label))


def test_annotations_of_single_tumours_are_no_cases(tmp_path: Path) -> None:
    make(tmp_path, "case_00000/imaging.nii.gz", "case_00000/segmentation.nii.gz")
    make(tmp_path, "case_00000/instances/tumor_instance-1_annotation-1.nii.gz", "other/instances/x.nii.gz")
    assert [item["case"] for item in find_cases(tmp_path)] == ["case_00000/imaging", "other/instances/x"]


def test_label_dir_is_the_only_place_looked_at(tmp_path: Path) -> None:
    images = make(tmp_path / "images", "a.nii", "a_gt.nii", "sub/b.nii", "c.nii")
    labels = make(tmp_path / "masks", "a.nii.gz", "sub/b_seg.nii")
    found = find_cases(images, labels="optional", label_dir=labels)
    assert pairs(tmp_path, found) == {
        "a": ("images/a.nii", "masks/a.nii.gz"),
        "c": ("images/c.nii", None),
        "sub/b": ("images/sub/b.nii", "masks/sub/b_seg.nii"),
    }
    with pytest.raises(UsageError, match="label_dir .*nowhere: found no such folder"):
        find_cases(images, labels="optional", label_dir=tmp_path / "nowhere")


def test_what_lacks_its_partner_fails_by_itself(tmp_path: Path) -> None:
    make(tmp_path, "whole.nii", "whole_gt.nii", "alone.nii", "orphan_gt.nii")
    required = {item["case"]: item.get("error") for item in find_cases(tmp_path, labels="required")}
    assert required["whole"] is None
    assert "alone.nii: found no label" in str(required["alone"])
    assert "orphan_gt.nii: found a label without its image" in str(required["orphan_gt"])
    optional = {item["case"] for item in find_cases(tmp_path, labels="optional") if "error" in item}
    assert optional == {"orphan_gt"}
    assert [item["case"] for item in find_cases(tmp_path)] == ["alone", "whole"]


def test_single_file_even_if_named_like_a_label(tmp_path: Path) -> None:
    make(tmp_path, "x_seg.nii.gz", "other.nii.gz")
    items = find_cases(tmp_path / "x_seg.nii.gz", labels="optional")
    assert items == [{"case": "x_seg", "form": "volume_file", "image": str(tmp_path / "x_seg.nii.gz")}]


def test_two_files_of_one_name_keep_two_masks(tmp_path: Path) -> None:
    make(tmp_path, "x.nii", "x.nii.gz")
    cases = [item["case"] for item in find_cases(tmp_path)]
    assert cases == ["x.nii", "x.nii.gz"]
    assert len({RunFolder("out").mask(case, FORMS["volume_file"]) for case in cases}) == 2
    assert all("label" not in item for item in find_cases(tmp_path, labels="optional")), "neither labels the other"


def test_masks_of_runs_are_never_images_nor_labels(tmp_path: Path) -> None:
    make(tmp_path, "a.nii", "out/a_seg.nii.gz", "out/stray.nii", "old/b.nii", "old/report/cases.csv")
    items = find_cases(tmp_path, labels="optional", output_dir=tmp_path / "out")
    assert pairs(tmp_path, items) == {"a": ("a.nii", None)}
    beside = make(tmp_path / "beside", "a.nii", "a_seg.nii.gz")
    assert pairs(beside, find_cases(beside, labels="optional", output_dir=beside)) == {"a": ("a.nii", None)}
    assert pairs(beside, find_cases(beside, labels="optional")) == {"a": ("a.nii", "a_seg.nii.gz")}


def test_link_back_to_the_root_ends(tmp_path: Path) -> None:
    make(tmp_path, "a.nii")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [item["case"] for item in find_cases(tmp_path)] == ["a"]


def test_wrong_folders_say_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: found no such folder"):
        find_cases(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"no file at all; allowed: \*\.nii\.gz, \*\.nii, .*DICOM files"):
        find_cases(tmp_path)
    make(tmp_path, "s1.txt", "s2.txt", "x_gt.nii")
    with pytest.raises(UsageError, match=r"1 files named like labels \(x_gt.nii, …\), 2 .txt files"):
        find_cases(tmp_path)
    with pytest.raises(UsageError, match=r"s1.txt: found no volume"):
        find_cases(tmp_path / "s1.txt")
    with pytest.raises(UsageError, match="labels='all': allowed are"):
        find_cases(tmp_path, labels="all")  # type: ignore[arg-type]


def test_folder_that_cannot_be_listed_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.nii", "locked/b.nii")
    scan = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(UsageError, match=r"locked: this folder can't be listed \(Permission denied\)"):
        find_cases(tmp_path)


def test_masks_keep_the_folder_structure() -> None:
    assert RunFolder("out").mask("ward/deep/x", FORMS["volume_file"]) == Path("out/ward/deep/x_seg.nii.gz")


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/cju1.jpg", "masks/cju1.jpg"),  # Kvasir-SEG
        ("TrainDataset/image/12.png", "TrainDataset/masks/12.png"),  # as distributed with PraNet
        ("imagesTr/cju1.jpg", "masksTr/cju1.png"),
        ("Original/612.tif", "Ground Truth/612.tif"),  # CVC-ClinicDB
        ("ward/a.JPG", "ward/a_mask.png"),
    ],
)
def test_rgb_images_and_their_masks(tmp_path: Path, image: str, label: str) -> None:
    make(tmp_path, image, label, "volume.nii.gz", "notes.txt")
    found = pairs(tmp_path, find_cases(tmp_path, labels="required", kind="image"))
    assert found == {image.rpartition(".")[0]: (image, label)}
    assert [item["case"] for item in find_cases(tmp_path)] == ["volume"]


def test_own_png_masks_are_no_labels(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "a_seg.png")
    (item,) = find_cases(tmp_path, labels="optional", output_dir=tmp_path, kind="image")
    assert item == {"case": "a", "form": "rgb_image", "image": str(tmp_path / "a.jpg")}
    assert RunFolder("out").mask("ward/a", FORMS["rgb_image"]) == Path("out/ward/a_seg.png")


def test_folder_of_another_kind_says_what_is_there(tmp_path: Path) -> None:
    make(tmp_path, "a.nii.gz")
    with pytest.raises(UsageError, match=r"found no image in it .*1 \.gz files; allowed: \*\.png, \*\.jpg"):
        find_cases(tmp_path, kind="image")
    with pytest.raises(UsageError, match="kind='video': allowed are 'volume', 'image'"):
        find_cases(tmp_path, kind="video")


def test_pictures_of_a_run_are_no_images(tmp_path: Path) -> None:
    """A second run over the folder that holds images, masks and report of the first."""
    make(tmp_path, "a.png", "a_seg.png", "report/cases.csv", "report/previews/a.png")
    assert [item["case"] for item in find_cases(tmp_path, output_dir=tmp_path, kind="image")] == ["a"]


def test_every_form_of_volumes_in_one_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.nii", "papers/b.npz", "MR/1/T2SPIR/Ground/1.png", "CT/broken/1.dcm")
    for folder in ("CT/series 1", "MR/1/T2SPIR/DICOM_anon"):
        write_dicom(tmp_path / folder, made_sample(2))
    found = {item["case"]: (item["form"], item.get("label")) for item in find_cases(tmp_path, labels="optional")}
    assert found == {
        "a": ("volume_file", None),
        "papers/b": ("array_file", str(tmp_path / "papers/b.npz")),  # unreadable: said when it is read
        "CT/broken/1": ("dicom", None),
        "CT/series 1": ("dicom", None),
        "MR/1/T2SPIR": ("dicom", str(tmp_path / "MR/1/T2SPIR/Ground")),
    }
    (item,) = find_cases(tmp_path / "CT/series 1")
    assert item | {"files": []} == {
        "case": "series 1",
        "form": "dicom",
        "image": str(tmp_path / "CT/series 1"),
        "files": [],
    }
    assert [Path(file).parent for file in item["files"]] == [tmp_path / "CT/series 1"] * 4


def test_a_data_set_says_how_its_layouts_are_read(tmp_path: Path) -> None:
    make(tmp_path, "train_npz/case0005_slice000.npz", "somebody.npz")
    by_case = {item["case"]: item for item in find_cases(tmp_path, data_set="synapse")}
    known = by_case["train_npz/case0005_slice000"]
    assert (known["patient"], known["label_map"], known["axcodes"]) == ("img0005", "synapse8_transunet", "LAS")
    assert set(by_case["somebody"]) == {"case", "form", "image"}


def test_names_that_cannot_be_written_fail_by_themselves(tmp_path: Path) -> None:
    make(tmp_path, "good.nii", "-x.nii", "d\u3000e.nii", f"{'l' * 240}.nii", "line\nbreak.nii")
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.nii"), "w"):
        pass
    items = {item["case"]: item.get("error") for item in find_cases(tmp_path)}
    for case in items:
        case.encode()  # whatever the file is called, its row can be written
    assert {case for case, error in items.items() if not error} == {"good", "-x", "d\u3000e"}
    assert "isn't UTF-8" in str(items["caf\\xe9"])
    assert "found a name of 240 bytes; allowed: 235" in str(items["l" * 240])
    assert "with control characters" in str(items["line\N{REPLACEMENT CHARACTER}break"])


def test_a_cine_beside_files_named_as_its_frames(tmp_path: Path) -> None:
    make(tmp_path, "q.nii", "q_frame01.nii", "p.nii")
    assert [(item["case"], item.get("cine")) for item in find_cases(tmp_path)] == [
        ("p", None), ("q", "q (cine)"), ("q_frame01", None),
    ]  # fmt: skip
