# SPDX-License-Identifier: Apache-2.0
"""A bundle as an object gives the voxels of the command, from files and from memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureChannelFirst, LoadImage
from PIL import Image
from pranet_monai import Segmenter
from pranet_monai.__main__ import main
from pranet_monai.data.phantom import write_phantom
from pranet_monai.engines.case_runner import CaseRunner
from pranet_monai.errors import BadCaseError, UsageError

from tests.bundles.conftest import write_labelled_images
from tests.bundles.test_run import OBLIQUE


@pytest.fixture(scope="module")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom, two slices of it lying obliquely, and one slice; and their masks by the command in ``results``."""
    folder = tmp_path_factory.mktemp("hearts")
    volume = nib.load(write_phantom(folder / "drawn", 1, 0)[0])
    middle = np.asarray(volume.dataobj)[:, :, 4:6].astype(np.float32)
    (folder / "in").mkdir()
    nib.save(nib.Nifti1Image(middle, OBLIQUE), folder / "in" / "oblique.nii.gz")
    nib.save(nib.Nifti1Image(middle[..., 0], OBLIQUE), folder / "in" / "slice.nii.gz")
    nib.save(nib.Nifti1Image(middle[:, :, None], OBLIQUE), folder / "in" / "cine.nii.gz")
    assert main(["segment", str(folder / "in"), str(folder / "results"), "--bundle", "acdc", "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter("acdc")


CASES = ("oblique", "slice", "cine")


@pytest.mark.parametrize("case", CASES)
def test_file_gives_the_commands_mask(segmenter: Segmenter, hearts: Path, case: str, tmp_path: Path) -> None:
    expected = hearts / "results" / f"{case}_seg.nii.gz"
    found = segmenter(hearts / "in" / f"{case}.nii.gz")
    np.testing.assert_array_equal(found.mask, np.asarray(nib.load(expected).dataobj))
    assert found.mask.dtype == np.uint8 and len(np.unique(found.mask)) > 1
    np.testing.assert_allclose(found.affine, OBLIQUE, atol=1e-5)
    assert found.save(tmp_path / "new" / expected.name).read_bytes() == expected.read_bytes()


def as_array(path: Path) -> tuple[object, object]:
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def as_big_endian(path: Path) -> tuple[object, object]:
    """As nibabel gives the array of such a file."""
    array, affine = as_array(path)
    return np.asarray(array).astype(">f8"), affine


def as_tensor(path: Path) -> tuple[object, object]:
    image = nib.load(path)
    return torch.as_tensor(np.asarray(image.dataobj)), torch.as_tensor(image.affine)


def as_meta_tensor(path: Path) -> tuple[object, object]:
    """As MONAI loads it: channel first; a cine's frames become the channels."""
    image = LoadImage()(path)
    return (image.movedim(-1, 0) if image.ndim == 4 else image), None


def channel_first(path: Path) -> tuple[object, object]:
    return Compose([LoadImage(), EnsureChannelFirst(channel_dim="no_channel")])(path), None


@pytest.mark.parametrize(
    ("case", "give"),
    [
        *((case, give) for case in CASES for give in (as_array, as_tensor)),
        *((case, as_meta_tensor) for case in ("oblique", "cine")),
        ("oblique", channel_first),
        ("oblique", as_big_endian),
    ],
)
def test_memory_gives_the_files_mask(
    segmenter: Segmenter, hearts: Path, case: str, give: Callable[[Path], tuple[object, object]], tmp_path: Path
) -> None:
    path = hearts / "in" / f"{case}.nii.gz"
    expected = nib.load(hearts / "results" / f"{case}_seg.nii.gz")
    found = segmenter(*give(path))  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.mask, np.asarray(expected.dataobj))
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-5)
    saved = nib.load(found.save(tmp_path / "mask.nii.gz"))
    np.testing.assert_array_equal(np.asarray(saved.dataobj), np.asarray(expected.dataobj))
    np.testing.assert_allclose(saved.affine, expected.affine, atol=1e-5)


def test_tensor_is_monais(segmenter: Segmenter, hearts: Path) -> None:
    found = segmenter(hearts / "in" / "oblique.nii.gz").tensor
    assert isinstance(found, MetaTensor) and found.dtype == torch.uint8
    assert found.shape == (1, *nib.load(hearts / "in" / "oblique.nii.gz").shape)
    np.testing.assert_allclose(found.affine, OBLIQUE, atol=1e-5)


def test_labels_have_names(segmenter: Segmenter, hearts: Path) -> None:
    names = {1: "right_ventricle", 2: "myocardium", 3: "left_ventricle"}
    assert segmenter.labels == segmenter(hearts / "in" / "slice.nii.gz").labels == names


def test_options_are_those_of_the_command(hearts: Path, tmp_path: Path) -> None:
    path = hearts / "in" / "oblique.nii.gz"
    options = ["--tta", "--device", "cpu", "--set", "pixdim=[2.0,2.0]", "--quiet"]
    assert main(["segment", str(path), str(tmp_path), "--bundle", "acdc", *options]) == 0
    found = Segmenter("acdc", device="cpu", tta=True, overrides={"pixdim": [2.0, 2.0]})(path)
    expected = np.asarray(nib.load(tmp_path / "oblique_seg.nii.gz").dataobj)
    np.testing.assert_array_equal(found.mask, expected)
    assert not np.array_equal(expected, np.asarray(nib.load(hearts / "results" / "oblique_seg.nii.gz").dataobj))


def test_images(tmp_path: Path) -> None:
    write_labelled_images(tmp_path / "data")
    path, output = tmp_path / "data" / "images" / "a.jpg", tmp_path / "out"
    assert main(["segment", str(path), str(output), "--bundle", "polyp", "--quiet"]) == 0
    expected = np.asarray(Image.open(output / "a_seg.png"))
    segmenter = Segmenter("polyp")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    in_memory = MetaTensor(torch.as_tensor(np.moveaxis(pixels, 2, 0)))
    for source in (path, pixels, in_memory):
        found = segmenter(source)
        np.testing.assert_array_equal(found.mask * 255, expected)
        assert found.affine is None and found.labels == {1: "polyp"}
        assert np.array_equal(np.asarray(Image.open(found.save(tmp_path / "mask.png"))), expected)
    with pytest.raises(UsageError, match=r"allowed for this mask: \.png"):
        found.save(tmp_path / "mask.nii.gz")


def test_weights_are_loaded_once(hearts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, kept = [], []
    from pranet_monai.engines import weights

    load = weights.load_weights
    monkeypatch.setattr(weights, "load_weights", lambda *args: (loaded.append(args), load(*args)))
    segment = CaseRunner.segment
    monkeypatch.setattr(CaseRunner, "segment", lambda self, item: (kept.append(self.network), segment(self, item))[1])
    segmenter = Segmenter("acdc")
    for _ in range(2):
        segmenter(hearts / "in" / "slice.nii.gz")
    assert len(loaded) == 1 and kept[0] is kept[1]


def test_nothing_is_written_unless_asked(hearts: Path, segmenter: Segmenter) -> None:
    before = sorted(hearts.rglob("*"))
    segmenter(hearts / "in" / "slice.nii.gz")
    assert sorted(hearts.rglob("*")) == before


AFFINE = np.eye(4)


@pytest.mark.parametrize(
    ("source", "affine", "message"),
    [
        (np.zeros((4, 4, 4)), None, "found no affine; fix: give affine"),
        (np.zeros((4, 4, 4)), np.zeros((4, 4)), "an affine that gives voxels no place in space"),
        (np.zeros((4, 4, 4)), np.eye(3)[:2], "an affine that gives voxels no place in space"),
        (np.full((4, 4, 4), np.nan), AFFINE, "64 NaN"),
        (np.ones((4, 4, 4), np.complex64), AFFINE, "found numbers of type complex64; allowed: real ones"),
        (torch.ones(4, 4, 4, dtype=torch.complex64), AFFINE, "found numbers of type torch.complex64"),
        (np.ones((4, 4, 4), "U1"), AFFINE, "found numbers of type <U1"),
        (np.zeros((4, 0, 4)), AFFINE, r"found shape \(4, 0, 4\); allowed"),
        (np.zeros(4), AFFINE, r"found shape \(4,\); allowed"),
        (np.zeros((1, 1, 4, 4, 4)), AFFINE, r"found shape \(1, 1, 4, 4, 4\); allowed"),
    ],
)
def test_bad_arrays_are_named(segmenter: Segmenter, source: np.ndarray, affine: np.ndarray, message: str) -> None:
    with pytest.raises(BadCaseError, match=message):
        segmenter(source, affine)


def test_bad_files_are_named(segmenter: Segmenter, hearts: Path, tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_text("no volume")
    with pytest.raises(BadCaseError, match="can't be read as a volume"):
        segmenter(tmp_path / "a.nii")
    with pytest.raises(UsageError, match="found no such folder or file"):
        segmenter(tmp_path / "nowhere.nii")
    with pytest.raises(UsageError, match="found 3 cases; allowed: one"):
        segmenter(hearts / "in")
    with pytest.raises(UsageError, match=r"allowed for this mask: \.nii\.gz, \.nii"):
        segmenter(hearts / "in" / "slice.nii.gz").save(tmp_path / "mask.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bundle": "hart"}, "found no bundle of this name"),
        ({"bundle": "acdc_mist"}, "found no such weights file"),
        ({"bundle": "acdc", "device": "nothing"}, "found no such device"),
        ({"bundle": "acdc", "overrides": {"inferer#rio_size": 1}}, "takes no 'rio_size'"),
        ({"bundle": "acdc", "overrides": {"inferer#tta": [[7]]}}, "must list mirrorings"),
    ],
)
def test_wrong_use_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Segmenter(**arguments)


def test_the_package_stays_light() -> None:
    code = "import sys, pranet_monai as p; print('torch' in sys.modules, p.Segmenter.__name__, 'torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "Segmenter", "True"]
