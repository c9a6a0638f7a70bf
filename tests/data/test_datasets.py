# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.data import MetaTensor
from monai.transforms import Compose, Orientationd, ScaleIntensityRanged
from PIL import Image
from pranet_monai.data.cases import find_data_set
from pranet_monai.data.datasets import DATA_SETS, get_data_set
from pranet_monai.data.labels import get_label_map
from pranet_monai.data.slices import SliceDataset
from pranet_monai.data.splits import cases_of_split, load_split_parts
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.forms import FORMS
from pranet_monai.transforms.load import LoadCased

from tests.data.layouts import LAYOUTS, TO_TRANSUNET, Writer, btcv, papers_arrays, scaled_as_in_papers
from tests.data.samples import made_sample, real_sample


def read(item: dict, name: str) -> tuple[MetaTensor, np.ndarray]:
    """Image and class numbers of a case of a data set."""
    form = FORMS[item["form"]]
    image = form.read_image(item)
    return image, form.read_reference(item, image, get_label_map(item.get("label_map", get_data_set(name).label_map)))


@pytest.mark.parametrize("origin", ["made", "real"])
@pytest.mark.parametrize(("name", "kind", "classes", "write", "case", "patient"), LAYOUTS)
def test_volumes_come_back_from_each_layout(
    name: str, kind: str, classes: int, write: Writer, case: str, patient: str, origin: str, tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    if origin == "real":
        sample = real_sample(request.getfixturevalue("test_data"), kind, classes)
    else:
        sample = made_sample(classes)
    write(tmp_path, sample)
    found = find_data_set(name, tmp_path)
    (item,) = (item for item in found.cases if "label" in item)
    assert (item["case"], item["patient"]) == (case, patient)
    assert not found.unknown

    image, classes_read = read(item, name)
    expected = affine = None
    if name == "chaos_mr" and "DICOM" in item["image"]:  # slices come in the order of their normal, whatever the file's
        forward = np.linalg.det(sample.affine[:3, :3] * [[-1], [-1], [1]]) > 0
        affine = sample.affine @ flip_last(sample.image.shape, not forward)
        expected = [array if forward else array[:, :, ::-1] for array in (sample.image, sample.label)]
        np.testing.assert_allclose(np.asarray(image.affine), affine, atol=1e-4)
    else:
        expected = [sample.image, sample.label]
        np.testing.assert_array_equal(np.asarray(image.affine), nib.load(item["image"]).affine)
        np.testing.assert_allclose(np.asarray(image.affine), sample.affine, atol=1e-4)
    np.testing.assert_array_equal(image.numpy()[0], expected[0])
    np.testing.assert_array_equal(classes_read[0], expected[1])
    assert classes_read.dtype == np.uint8


def flip_last(shape: tuple[int, ...], flip: bool) -> np.ndarray:
    """Voxel index of an array with its last axis turned round → index of the array."""
    matrix = np.eye(4)
    if flip:
        matrix[2, 2], matrix[2, 3] = -1, shape[2] - 1
    return matrix


@pytest.mark.parametrize("origin", ["made", "real"])
@pytest.mark.parametrize("name", ["synapse", "acdc"])
def test_the_papers_arrays_come_back(name: str, origin: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    classes, kind = (9, "ct") if name == "synapse" else (4, "acdc")
    real = origin == "real"
    sample = real_sample(request.getfixturevalue("test_data"), kind, classes) if real else made_sample(classes)
    write, image = papers_arrays(name), scaled_as_in_papers(sample)
    write(tmp_path, sample)

    expected = image * np.float32(400) - np.float32(125) if name == "synapse" else image  # in HU, as in the original
    found = find_data_set(name, tmp_path)
    assert len(found.cases) == image.shape[2] + 1
    whole = next(item for item in found.cases if item["part"] in ("test_vol_h5", "test"))
    assert whole["patient"] == {"synapse": "img0001", "acdc": "case_002"}[name]
    volume_read, classes_read = read(whole, name)
    np.testing.assert_allclose(volume_read.numpy()[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(classes_read[0], sample.label)
    orientation = nib.aff2axcodes(np.asarray(volume_read.affine))
    assert "".join(orientation) == {"synapse": "LAS", "acdc": "RAS"}[name]
    by_name = {Path(item["case"]).name: item for item in found.cases}
    one = by_name["case0005_slice002" if name == "synapse" else "case_001_sliceED_2"]
    slice_read, classes_read = read(one, name)
    assert slice_read.shape == (1, *image.shape[:2], 1)
    np.testing.assert_allclose(slice_read.numpy()[0, :, :, 0], expected[:, :, 2], rtol=1e-6)
    np.testing.assert_array_equal(classes_read[0, :, :, 0], sample.label[:, :, 2])


@pytest.mark.parametrize(
    ("image", "mask", "part", "patient"),
    [
        ("TrainDataset/image/1.png", "TrainDataset/masks/1.png", "TrainDataset", "001"),
        ("TrainDataset/image/cju.png", "TrainDataset/masks/cju.png", "TrainDataset", None),
        ("TestDataset/CVC-300/images/149.png", "TestDataset/CVC-300/masks/149.png", "CVC-300", None),
        ("Kvasir-SEG/images/cju.jpg", "Kvasir-SEG/masks/cju.jpg", None, None),
    ],
)
def test_polyps(image: str, mask: str, part: str | None, patient: str | None, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    truth = np.zeros((6, 8), dtype=np.uint8)
    truth[2:4, 3:8] = 1
    for path, array in ((tmp_path / image, pixels), (tmp_path / mask, truth * 255)):
        path.parent.mkdir(parents=True)
        Image.fromarray(array).save(path, quality=95)
    found = find_data_set("polyp", tmp_path)
    (item,) = found.cases
    assert (item.get("part"), item.get("patient")) == (part, patient)
    colours, label = read(item, "polyp")
    np.testing.assert_array_equal(colours.numpy(), np.moveaxis(np.asarray(Image.open(tmp_path / image)), 2, 0))
    np.testing.assert_array_equal(label[0], truth)


def test_cases_of_arrays_are_dealt_out_by_the_split_of_the_patients(tmp_path: Path) -> None:
    for number in ("0005", "0006", "0001"):
        np.savez(tmp_path / f"case{number}_slice000.npz", image=np.zeros((4, 4)), label=np.zeros((4, 4)))
    cases = find_data_set("synapse", tmp_path).cases
    validation = [case for case in cases if case["patient"] == "img0006"]
    parts = load_split_parts("synapse_15_3_12")
    lone = tmp_path / "split.json"
    lone.write_text('{"parts": {"train": ["img0005"], "val": ["img0006"], "test": ["img0001"]}}')
    assert "img0006" in parts["val"]
    assert cases_of_split(cases, str(lone), "val") == validation


def test_training_on_arrays_sees_the_slices_of_the_original(tmp_path: Path) -> None:
    sample = made_sample(9)._replace(affine=np.diag([-0.7, 0.7, 3.0, 1.0]))  # left, front, head: as BTCV has it
    btcv(tmp_path / "original", sample)
    image = scaled_as_in_papers(sample)
    arrays = tmp_path / "arrays/train_npz"
    arrays.mkdir(parents=True)
    for k in range(image.shape[2]):
        label = TO_TRANSUNET[sample.label[:, :, k]]
        np.savez(arrays / f"case0005_slice{k:03d}.npz", image=image[:, :, k], label=label)
    window = ScaleIntensityRanged("image", a_min=-125, a_max=275, b_min=0, b_max=1, clip=True)
    slices = []
    for folder in (tmp_path / "original", arrays):  # the same transforms: the layout gives the intensities back
        found = find_data_set("synapse", folder)
        transforms = [
            LoadCased(("image", "label"), "synapse8"),
            Orientationd(("image", "label"), axcodes="LAS", labels=[["L", "R"], ["P", "A"], ["I", "S"]]),
            window,
        ]
        labelled = [case for case in found.cases if "label" in case]
        slices.append(SliceDataset(labelled, Compose(transforms), progress=False))
    assert len(slices[0]) == len(slices[1]) == image.shape[2]
    for original, array in zip(*slices, strict=True):
        np.testing.assert_allclose(original["image"].numpy(), array["image"].numpy(), atol=1e-6)
        np.testing.assert_array_equal(original["label"].numpy(), array["label"].numpy())


def test_a_label_of_another_grid_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "case0005_slice000.npz", image=np.zeros((4, 5)), label=np.zeros((4, 4)))
    found = find_data_set("synapse", tmp_path)
    with pytest.raises(BadCaseError, match=r"shape \(4, 4, 1\) and 1 frame\(s\); allowed: \(4, 5, 1\)"):
        read(found.cases[0], "synapse")


def test_a_folder_without_the_data_set_says_how_it_should_look(tmp_path: Path) -> None:
    (tmp_path / "x.nii.gz").touch()
    with pytest.raises(UsageError, match=r"nothing of KiTS23.*case_00000/imaging.nii.gz.*github.com/neheller/kits23"):
        find_data_set("kits23", tmp_path)
    with pytest.raises(UsageError, match="found no such folder"):
        find_data_set("kits23", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="'kits' is unknown; known: acdc, synapse, kits23"):
        get_data_set("kits")


@pytest.mark.parametrize("record", DATA_SETS.values(), ids=lambda record: record.name)
def test_records_name_what_is_there(record: object) -> None:
    data_set = get_data_set(record.name)  # type: ignore[attr-defined]
    for layout in data_set.layouts:
        get_label_map(layout.hints.get("label_map", data_set.label_map))
    for split in data_set.splits:
        load_split_parts(split)
    assert data_set.source and data_set.licence
