# SPDX-License-Identifier: Apache-2.0
"""The bundles' labels in every runtime that is installed, through every door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from pranet_monai import Segmenter
from pranet_monai.__main__ import main
from pranet_monai.apps.export import export_bundle
from pranet_monai.bundle_store import Bundle
from pranet_monai.data.phantom import write_phantom
from pranet_monai.errors import NetworkError
from pranet_monai.runtimes import RUNTIMES
from pranet_monai.runtimes.table import fastest

from .conftest import BUNDLES, SMALLEST, read_json
from .test_run import run_here

WITH_WEIGHTS = [bundle for bundle in BUNDLES if Bundle(bundle).weights]
HERE = [name for name in ("onnx", "openvino") if not RUNTIMES[name].missing()]
ALLOWED_DIFFERENCE = 1e-5  # of voxels: two logits may tie
# of bf16 with fp32, per organ; docs/runtimes.md says why some bundles stay below 0.999
LEAST_DICE = {"acdc": 0.996, "chaos_mr": 0.996, "hippocampus": 0.996, "polyp": 0.99, "synapse": 0.97}

# data set of a bundle → real cases of it in the folder of test data, whose organs the bundle was trained on
REAL = {
    "acdc": "acdc/imagesVal/*_E?.nii.gz",
    "chaos_mr": "chaos_mr/imagesTr/*.nii.gz",
    "hippocampus": "hippocampus/imagesTr/*.nii.gz",
    "synapse": "ct/images/amos*.nii.gz",
    "polyp": "polyp/kvasir/images/*",
}
CASES = 4  # of each


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where exports go; one for all tests here, as it would be on a user's machine."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("platformdirs.user_cache_path", lambda name, **_: folder / name)
        yield folder / "pranet_monai" / "runtimes"


@pytest.fixture(scope="module")
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slices of the phantom, and their mask by PyTorch."""
    folder = tmp_path_factory.mktemp("hearts")
    volume = nib.load(write_phantom(folder / "drawn", 1, 0)[0])
    (folder / "in").mkdir()
    nib.save(nib.Nifti1Image(np.asarray(volume.dataobj)[:, :, 4:6], volume.affine), folder / "in" / "heart.nii.gz")
    assert main(["segment", str(folder / "in"), str(folder / "torch"), "--bundle", "acdc", "--quiet"]) == 0
    assert run_record(folder / "torch") == ("torch", "fp32")
    assert len(np.unique(mask(folder / "torch"))) == 4
    return folder


def mask(results: Path) -> np.ndarray:
    return np.asarray(nib.load(results / "heart_seg.nii.gz").dataobj)


def run_record(results: Path) -> tuple[str, str]:
    record = read_json(results / "report" / "run.json")
    return record["runtime"], record["precision"]


@pytest.mark.parametrize("runtime", [*HERE, "auto"])
def test_the_command_gives_the_mask_of_pytorch(runtime: str, hearts: Path, cache: Path, tmp_path: Path) -> None:
    before = sorted(path for path in SMALLEST.rglob("*"))
    options = ["--bundle", "acdc", "--quiet", "--runtime", runtime]
    assert main(["segment", str(hearts / "in"), str(tmp_path), *options]) == 0
    assert np.mean(mask(tmp_path) != mask(hearts / "torch")) <= ALLOWED_DIFFERENCE
    used = fastest("fp32", torch.device("cpu"))[0].name if runtime == "auto" else runtime
    assert run_record(tmp_path) == (used, "fp32")
    assert len(list(cache.glob("*.onnx"))) == 1, "exported once, for all runtimes that start from ONNX"
    assert sorted(path for path in SMALLEST.rglob("*")) == before, "nothing goes into the bundle"


def test_bf16_through_the_command(hearts: Path, cache: Path, tmp_path: Path) -> None:
    options = ["--bundle", "acdc", "--quiet", "--precision", "bf16"]
    assert main(["segment", str(hearts / "in"), str(tmp_path), *options]) == 0
    assert run_record(tmp_path) == ("torch", "bf16")
    for organ in (1, 2, 3):
        found, expected = mask(tmp_path) == organ, mask(hearts / "torch") == organ
        assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) >= 0.99  # of some 500 pixels


@pytest.mark.parametrize("file_format", ["torchscript", *HERE])
def test_one_option_serves_from_an_exported_file(file_format: str, hearts: Path, cache: Path, tmp_path: Path) -> None:
    file = export_bundle("acdc", file_format, tmp_path / f"net{ending_of(file_format)}")
    assert run_here(SMALLEST, hearts / "in", tmp_path / "out", runtime=str(file)) == 0
    assert np.mean(mask(tmp_path / "out") != mask(hearts / "torch")) <= ALLOWED_DIFFERENCE


def ending_of(file_format: str) -> str:
    return next(str(runtime.ending) for runtime in RUNTIMES.values() if runtime.file_format == file_format)


def test_a_file_of_another_bundle_ends_the_run_in_one_line(
    hearts: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = export_bundle("hippocampus", "torchscript", tmp_path / "other.ts")
    options = ["--bundle", "acdc", "--quiet", "--runtime", str(file)]
    assert main(["segment", str(hearts / "in"), str(tmp_path / "out"), *options]) == 2
    printed = capsys.readouterr().err.strip()
    assert printed.startswith(f"error: --runtime {file}") and "\n" not in printed
    assert not list((tmp_path / "out").glob("*.nii.gz"))


@pytest.mark.skipif("openvino" not in HERE, reason="OpenVINO isn't installed")
def test_as_monai_label_runs_a_bundle(hearts: Path, cache: Path) -> None:
    """Label loads ``network_def`` by itself and takes preprocessing, inferer and postprocessing from the config."""
    parser = ConfigParser()
    parser.read_config(SMALLEST / "configs" / "inference.json")
    parser.update({"bundle_root": str(SMALLEST), "runtime": "openvino", "device": "cpu"})
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(SMALLEST / "models" / "model.pt", weights_only=True))
    item = parser.get_parsed_content("preprocessing")({"image": str(hearts / "in" / "heart.nii.gz")})
    inferer = parser.get_parsed_content("inferer")
    with torch.no_grad():
        labels = inferer(item["image"][None], network.eval())
    expected = Segmenter("acdc")(hearts / "in" / "heart.nii.gz")
    assert inferer.executor.used == "openvino"
    assert sorted(torch.bincount(labels.flatten()).tolist()) == sorted(np.bincount(expected.mask.flatten()).tolist())


def masks(bundle: Path, cases: list[Path], **options: Any) -> list[np.ndarray]:
    segmenter = Segmenter(bundle, device="cpu", **options)
    return [segmenter(case).mask for case in cases]


@pytest.mark.slow
@pytest.mark.parametrize("bundle", WITH_WEIGHTS, ids=lambda bundle: bundle.name)
def test_labels_on_real_cases(bundle: Path, cache: Path, test_data: Path) -> None:
    """fp32 runtimes give PyTorch's labels, bf16 nearly so."""
    data_set = read_json(bundle / "configs" / "inference.json")["label_map"]["name"].rstrip("0123456789")
    cases = sorted(test_data.glob(REAL[data_set]))[:CASES]
    assert cases, f"no {REAL[data_set]} in the test data"
    expected = masks(bundle, cases)
    voxels = sum(mask.size for mask in expected)
    for runtime in HERE:
        differing = sum(int((a != b).sum()) for a, b in zip(masks(bundle, cases, runtime=runtime), expected))
        print(f"{bundle.name} {runtime} fp32: {differing} of {voxels} voxels differ")
        assert differing <= ALLOWED_DIFFERENCE * voxels
    for runtime in ("torch", *{"openvino"}.intersection(HERE)):
        try:
            found = masks(bundle, cases, runtime=runtime, precision="bf16")
        except NetworkError as error:
            pytest.skip(str(error))
        dice = {
            organ: dice_of(found, expected, organ)
            for organ in np.unique(np.concatenate(list(map(np.unique, expected))))
        }
        print(f"{bundle.name} {runtime} bf16: " + ", ".join(f"{organ}: {value:.5f}" for organ, value in dice.items()))
        assert min(dice.values()) >= LEAST_DICE.get(data_set, 0.999)


def dice_of(found: list[np.ndarray], expected: list[np.ndarray], organ: int) -> float:
    """Over all cases together."""
    both = sum(int(((a == organ) & (b == organ)).sum()) for a, b in zip(found, expected))
    return 2 * both / sum(int((a == organ).sum() + (b == organ).sum()) for a, b in zip(found, expected))
