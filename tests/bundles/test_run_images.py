# SPDX-License-Identifier: Apache-2.0
"""The polyp bundles as a user runs them: a folder with good and bad images."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pranet_monai.networks.nets import PraNetV1

from .conftest import BUNDLES, copy_with_random_weights, is_for_images, params, read_json
from .test_run import rows_of, run_here

POLYP_BUNDLES = params([folder for folder in BUNDLES if is_for_images(folder)], lambda folder: "pvt" in folder.name)
GOOD = {"a": (70, 90), "ward/b": (64, 33), "grey": (40, 50)}  # case → rows, columns
BAD = {"broken": "can't be read as an image", "deep": "type I;16"}


@pytest.fixture(scope="module", params=POLYP_BUNDLES)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_with_random_weights(request.param, tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def mixed_run(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, int]:
    """Dataset, output and exit code of a run over all kinds of images."""
    folder = tmp_path_factory.mktemp("mixed")
    data, rng = folder / "data", np.random.default_rng(0)
    (data / "ward").mkdir(parents=True)
    for case, (rows, columns) in GOOD.items():
        shape = (rows, columns) if case == "grey" else (rows, columns, 3)
        Image.fromarray(rng.integers(0, 255, shape).astype(np.uint8)).save(data / f"{case}.png")
    whole = (data / "a.png").read_bytes()
    (data / "broken.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(rng.integers(0, 4000, (20, 20)).astype(np.uint16)).save(data / "deep.tif")
    return data, folder / "out", run_here(bundle, data, folder / "out")


def test_every_image_has_its_mask_or_its_reason(mixed_run: tuple[Path, Path, int]) -> None:
    _, output, code = mixed_run
    rows = rows_of(output)
    assert code == 1
    assert rows.keys() == GOOD.keys() | BAD.keys()
    for case, (height, width) in GOOD.items():
        mask = Image.open(output / f"{case}_seg.png")
        assert (mask.mode, mask.size) == ("L", (width, height))
        pixels = np.asarray(mask)
        assert set(np.unique(pixels)) <= {0, 255}
        assert int(rows[case]["pixels_polyp"]) == np.count_nonzero(pixels)
        assert (output / "report" / "previews" / f"{case}.png").is_file()
    for case, reason in BAD.items():
        assert rows[case]["status"] == "failed"
        assert reason in rows[case]["reason"]
    assert not {"volume_ml_polyp", "hd95_mm"} & next(iter(rows.values())).keys(), "no millimetres in a image"


def test_resumed_run_keeps_whole_masks(bundle: Path, mixed_run: tuple[Path, Path, int]) -> None:
    data, output, _ = mixed_run
    before = (output / "a_seg.png").stat().st_mtime_ns
    half = (output / "grey_seg.png").read_bytes()
    (output / "grey_seg.png").write_bytes(half[: len(half) // 2])
    assert run_here(bundle, data, output, resume=True) == 1
    rows = rows_of(output)
    assert (output / "a_seg.png").stat().st_mtime_ns == before
    assert {case: rows[case]["status"] for case in GOOD} == {"a": "skipped", "ward/b": "skipped", "grey": "ok"}
    assert int(rows["a"]["pixels_polyp"]) == np.count_nonzero(np.asarray(Image.open(output / "a_seg.png")))


def test_labels_give_the_polyp_metrics(bundle: Path, labelled_images: Path, tmp_path: Path) -> None:
    assert run_here(bundle, labelled_images, tmp_path / "out", config="evaluate.json") == 0
    summary = read_json(tmp_path / "out" / "report" / "summary.json")
    assert summary["with_polyp"]["n"] == summary["cases"] == 4
    with (tmp_path / "out" / "report" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    for name in "abcd":
        mask = np.asarray(Image.open(tmp_path / "out" / "images" / f"{name}_seg.png")) > 0
        reference = np.asarray(Image.open(labelled_images / "masks" / f"{name}.png")) > 0
        row = rows[f"images/{name}"]
        assert float(row["dice"]) == pytest.approx(
            2 * (mask & reference).sum() / (mask.sum() + reference.sum()), abs=1e-6
        )
        assert int(row["reference_pixels"]) == reference.sum()
        assert 0 <= float(row["s_measure"]) <= 1
    page = (tmp_path / "out" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Weighted F" in page
    assert "HD95" not in re.sub(r"base64,[\w+/=]+", "", page)  # letters of an embedded picture may spell anything


def test_first_version_by_one_override(bundle: Path, labelled_images: Path, tmp_path: Path) -> None:
    backbone = read_json(bundle / "configs" / "inference.json")["network_def"]["backbone"]
    torch.save(PraNetV1(backbone=backbone).state_dict(), tmp_path / "v1.pt")
    network = {"_target_": "pranet_monai.networks.nets.PraNetV1", "backbone": backbone}
    weights = {"checkpointloader#load_path": str(tmp_path / "v1.pt")}
    assert run_here(bundle, labelled_images, tmp_path / "out", network_def=network, **weights) == 0
    assert len(list((tmp_path / "out" / "images").glob("*_seg.png"))) == 4


def test_missing_weights_name_the_official_checkpoint_if_there_is_one(
    bundle: Path, labelled_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = {"checkpointloader#load_path": str(tmp_path / "none.pt")}
    assert run_here(bundle, labelled_images, tmp_path / "out", **weights) == 2
    known = {"polyp_pranet_v2_segmentation": "RES-V2.pth", "polyp_pvt_pranet_v2_segmentation": "PVT-V2.pth"}
    message = capsys.readouterr().err
    if bundle.name in known:
        assert f"import-checkpoint {known[bundle.name]}" in message
    assert ("import-checkpoint" in message) == (bundle.name in known)


def test_folder_without_images_ends_with_two(
    bundle: Path, labelled_volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(bundle, labelled_volumes, tmp_path / "out") == 2
    assert "found no image" in capsys.readouterr().err
