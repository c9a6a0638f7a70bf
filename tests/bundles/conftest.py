# SPDX-License-Identifier: Apache-2.0
"""The project's bundles, and small labelled volumes and images to try them on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from monai.bundle import ConfigParser
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = sorted(path.parent for path in (ROOT / "bundles").glob("*/bundle.yaml"))


def network_of(bundle: Path) -> str:
    return read_json(bundle / "configs" / "inference.json")["network_def"]["_target_"].rpartition(".")[2]


def is_for_images(bundle: Path) -> bool:
    return read_json(bundle / "configs" / "inference.json")["cases"]["kind"] == "image"


def params(bundles: list[Path], is_slow: Callable[[Path], bool]) -> list[ParameterSet]:
    """Bundles as parameters of a test, some of them marked slow."""
    marks = {True: [pytest.mark.slow], False: []}
    return [pytest.param(folder, id=folder.name, marks=marks[is_slow(folder)]) for folder in bundles]


def read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


# MIST and MERIT have hundreds of millions of parameters
BUNDLES_TO_BUILD = params(BUNDLES, lambda folder: network_of(folder) in ("MIST", "MERIT"))
# what bundles share is tried on the smallest of them
SMALLEST = ROOT / "bundles" / "acdc_emcad_dsra_segmentation"
BUNDLES_TO_RUN = params([folder for folder in BUNDLES if not is_for_images(folder)], lambda folder: folder != SMALLEST)


@pytest.fixture(params=BUNDLES, ids=lambda folder: folder.name)
def bundle(request: pytest.FixtureRequest) -> Path:
    """Each bundle of the project, where it lies: for reading only."""
    return request.param


def copy_with_random_weights(bundle: Path, target: Path) -> Path:
    """A bundle that can be run and trained into; its weights are random, so these tests need none."""
    left_out = shutil.ignore_patterns("models", "large_files.yml", "eval", "runs")
    copy = shutil.copytree(bundle, target / bundle.name, ignore=left_out)
    parser = ConfigParser(read_json(copy / "configs" / "inference.json"))
    torch.manual_seed(0)
    network = parser.get_parsed_content("network_def")
    (copy / "models").mkdir()
    torch.save(network.state_dict(), copy / "models" / "model.pt")
    return copy


def write_labelled_volumes(folder: Path, shape: tuple[int, int, int] = (72, 64, 3), classes: int = 3) -> None:
    """Four patients with coarse hearts, 1.5 mm pixels, in the LAS orientation, and ``split.json`` to train on them."""
    rng = np.random.default_rng(0)
    affine = np.diag([-1.5, 1.5, 9.0, 1.0])
    affine[:3, 3] = [40.0, -30.0, 12.0]
    patients = [f"patient{number}" for number in range(4)]
    for patient in patients:
        label = np.zeros(shape, np.uint8)
        label[20:50, 20:50], label[26:44, 26:44], label[8:19, 22:46] = 2, classes, 1
        image = (label * 90 + rng.normal(100, 15, shape)).astype(np.int16)
        for kind, array in (("images", image), ("labels", label)):
            path = folder / kind / f"{patient}_ED.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, affine), path)
    (folder / "split.json").write_text(json.dumps({"parts": {"train": patients[:2], "val": patients[2:]}}))


@pytest.fixture(scope="session")
def labelled_volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    write_labelled_volumes(folder)
    return folder


def training_options(data: Path) -> dict[str, object]:
    """What a training on one of the folders above needs: its own split, and nothing to download."""
    split = {"split": str(data / "split.json"), "train_part": "train", "val_part": "val"}
    return {"dataset_dir": str(data), **split, "network_def#pretrained": False}


def write_labelled_images(folder: Path) -> None:
    """Four images of different sizes with a bright disc and its mask, and ``split.json`` to train on them."""
    rng = np.random.default_rng(0)
    sizes = {"a": (90, 120), "b": (64, 64), "c": (100, 70), "d": (80, 81)}
    for sub in ("images", "masks"):
        (folder / sub).mkdir(parents=True)
    for name, (height, width) in sizes.items():
        rows, columns = np.ogrid[:height, :width]
        disc = (rows - height / 2) ** 2 + (columns - width / 3) ** 2 < (min(height, width) / 4) ** 2
        colours = rng.integers(0, 120, (height, width, 3)) + disc[..., None] * np.array([120, 60, 30])
        Image.fromarray(colours.astype(np.uint8)).save(folder / "images" / f"{name}.jpg", quality=95)
        Image.fromarray(disc.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")
    (folder / "split.json").write_text(json.dumps({"parts": {"train": ["a", "b"], "val": ["c", "d"]}}))


@pytest.fixture(scope="session")
def labelled_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_labelled_images(folder)
    return folder


@pytest.fixture
def labelled_data(runnable_bundle: Path, labelled_volumes: Path, labelled_images: Path, tmp_path: Path) -> Path:
    """A labelled folder of the kind that the bundle is for."""
    if is_for_images(runnable_bundle):
        return labelled_images
    if read_json(runnable_bundle / "configs" / "inference.json")["network_def"]["out_channels"] > 3:
        return labelled_volumes
    write_labelled_volumes(tmp_path / "two_classes", classes=2)
    return tmp_path / "two_classes"


@pytest.fixture(params=BUNDLES_TO_BUILD)
def runnable_bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of each bundle, with random weights."""
    return copy_with_random_weights(request.param, tmp_path)
