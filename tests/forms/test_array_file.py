# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import tracemalloc
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from monai.transforms import Orientationd
from pranet_monai.data.cases import find_cases
from pranet_monai.errors import BadCaseError
from pranet_monai.transforms.load import LoadCased

VOLUME = np.arange(24, dtype=np.float32).reshape(2, 3, 4)  # (D, H, W)


def save(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_it_gives_what_the_volume_itself_would_give(tmp_path: Path) -> None:
    """The paper's file order is L, A, S: turned to RAS, array and original are one."""
    affine = np.diag([-1.0, 1, 1, 1])
    nib.save(nib.Nifti1Image(VOLUME.transpose(1, 2, 0), affine), tmp_path / "x.nii.gz")
    path = save(tmp_path / "x.npz", image=VOLUME)
    original = LoadCased("image")({"image": str(tmp_path / "x.nii.gz")})
    array = LoadCased("image")({"image": path, "axcodes": "LAS"})
    assert array["image"].dtype == original["image"].dtype
    assert set(array["image"].meta) <= set(original["image"].meta)
    turned = [
        Orientationd("image", axcodes="RAS", labels=[["L", "R"], ["P", "A"], ["I", "S"]])(d)["image"]
        for d in (original, array)
    ]
    np.testing.assert_array_equal(turned[0].numpy(), turned[1].numpy())


def test_h5_reads_like_npz(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "case0001.npy.h5", "w") as file:
        file.update({"image": VOLUME, "label": VOLUME > 3})
    paths = [str(tmp_path / "case0001.npy.h5"), save(tmp_path / "x.npz", img=VOLUME, label=VOLUME > 3)]
    loaded = [LoadCased(("image", "label"), "acdc")({"image": path, "label": path}) for path in paths]
    for key in ("image", "label"):
        np.testing.assert_array_equal(loaded[0][key].numpy(), loaded[1][key].numpy())
    np.testing.assert_array_equal(loaded[0]["image"].numpy()[0, :, :, 1], VOLUME[1])


def test_without_h5py_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.h5").touch()
    monkeypatch.setattr("pranet_monai.forms.array_file.optional_import", lambda name: (None, False))
    with pytest.raises(BadCaseError, match="pip install h5py"):
        LoadCased("image")({"image": str(tmp_path / "x.h5")})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"label": VOLUME}, r"found arrays label; allowed: one called image or img"),
        ({"image": VOLUME[None]}, r"shape \(1, 2, 3, 4\); allowed: numbers, \(H, W\) or"),
        ({"image": VOLUME[:, :0]}, r"shape \(2, 0, 4\)"),
        ({"image": np.full((3, 3), np.nan)}, "9 NaN"),
        ({"image": np.array([["a"]])}, "type <U1"),
        ({"image": np.zeros((2, 2), np.complex64)}, "type complex64"),
        ({"image": np.array([None])}, r"type object and shape \(1,\)"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(BadCaseError, match=message):
        LoadCased("image")({"image": save(tmp_path / "x.npz", **arrays)})


@pytest.mark.parametrize("name", ["x.npz", "x.h5"])
def test_a_type_is_refused_before_it_is_unpacked(tmp_path: Path, name: str) -> None:
    """A text of 10 million letters: few bytes on disk, 40 MB in memory."""
    dtype = np.dtype("<U10000000") if name == "x.npz" else np.dtype("S40000000")
    if name == "x.npz":
        np.savez_compressed(tmp_path / name, image=np.zeros((1, 1), dtype))
    else:
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("image", (1, 1), dtype, chunks=(1, 1), compression="gzip")
    tracemalloc.start()
    try:
        with pytest.raises(BadCaseError, match=f"{name}: found an array of type .*0000000 and shape"):
            LoadCased("image")({"image": str(tmp_path / name)})
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["x.npz", "x.h5"])
def test_half_a_file_and_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadCaseError, match="found no such file"):
        LoadCased("image")({"image": str(tmp_path / name)})
    whole = Path(save(tmp_path / "whole.npz", image=VOLUME)).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadCaseError, match="bytes that can't be read"):
        LoadCased("image")({"image": str(tmp_path / name)})


def test_intensities_come_back_where_the_layout_says_how(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npz", image=np.array([[0.0, 0.5, 1.0]]))
    image = LoadCased("image")({"image": path, "intensity": (400.0, -125.0)})["image"]
    assert image.flatten().tolist() == [-125.0, 75.0, 275.0]
    assert image.meta["filename_or_obj"] == path


def test_arrays_without_an_image_are_no_cases(tmp_path: Path) -> None:
    """nnU-Net leaves its probabilities beside its masks."""
    save(tmp_path / "probabilities.npz", softmax=VOLUME)
    save(tmp_path / "image_alone.npz", image=VOLUME)
    save(tmp_path / "both.npz", img=VOLUME, label=VOLUME)
    found = find_cases(tmp_path, labels="optional")
    assert [(item["case"], "label" in item) for item in found] == [("both", True), ("image_alone", False)]
    assert all(item["form"] == "array_file" for item in found)
