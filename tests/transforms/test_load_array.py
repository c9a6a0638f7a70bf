# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from monai.transforms import Orientationd

from pranet_monai.errors import BadCaseError
from pranet_monai.transforms.load import LoadVolumed
from pranet_monai.transforms.load_array import LoadArrayd

VOLUME = np.arange(24, dtype=np.float32).reshape(2, 3, 4)  # (D, H, W)


def save(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_it_gives_what_the_volume_itself_would_give(tmp_path: Path) -> None:
    """The paper's file order is L, A, S: turned to RAS, array and original are one."""
    affine = np.diag([-1.0, 1, 1, 1])
    nib.save(nib.Nifti1Image(VOLUME.transpose(1, 2, 0), affine), tmp_path / "x.nii.gz")
    path = save(tmp_path / "x.npz", image=VOLUME)
    original = LoadVolumed("image")({"image": str(tmp_path / "x.nii.gz")})
    array = LoadArrayd("image", axcodes="LAS")({"image": path})
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
    loaded = [LoadArrayd(("image", "label"))({"image": path, "label": path}) for path in paths]
    for key in ("image", "label"):
        np.testing.assert_array_equal(loaded[0][key].numpy(), loaded[1][key].numpy())
    np.testing.assert_array_equal(loaded[0]["image"].numpy()[0, :, :, 1], VOLUME[1])


def test_without_h5py_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.h5").touch()
    monkeypatch.setattr("pranet_monai.transforms.load_array.optional_import", lambda name: (None, False))
    with pytest.raises(BadCaseError, match="pip install h5py"):
        LoadArrayd("image")({"image": str(tmp_path / "x.h5")})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"label": VOLUME}, r"found arrays label; allowed: one called image or img"),
        ({"image": VOLUME[None]}, r"shape \(1, 2, 3, 4\); allowed: numbers, \(H, W\) or"),
        ({"image": VOLUME[:, :0]}, r"shape \(2, 0, 4\)"),
        ({"image": np.full((3, 3), np.nan)}, "9 NaN"),
        ({"image": np.array([["a"]])}, "type <U1"),
        ({"image": np.array([None])}, "can't be read"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(BadCaseError, match=message):
        LoadArrayd("image")({"image": save(tmp_path / "x.npz", **arrays)})


@pytest.mark.parametrize("name", ["x.npz", "x.h5"])
def test_half_a_file_and_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadCaseError, match="found no such file"):
        LoadArrayd("image")({"image": str(tmp_path / name)})
    whole = Path(save(tmp_path / "whole.npz", image=VOLUME)).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadCaseError, match="bytes that can't be read"):
        LoadArrayd("image")({"image": str(tmp_path / name)})
