# SPDX-License-Identifier: Apache-2.0
"""Series with references as DICOM segmentations and as mask files: planned, trained on, run and judged as NIfTI is."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
import yaml
from pranet_monai.__main__ import main
from pranet_monai.apps import training_speed
from pranet_monai.bundle_store import find_bundle
from pranet_monai.data.cases import cases_to_train
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.forms import FORMS
from pranet_monai.forms.base import DicomPaths
from pranet_monai.forms.provenance import Algorithm, Provenance
from pranet_monai.planning.survey import survey
from pranet_monai.transforms.load import LoadCased

from tests.data.dicom_series import grid, header, write_series

from .conftest import SMALLEST, copy_with_random_weights, read_json
from .test_new_bundle import QUICK
from .test_run import command, rows_of, run_here
from .test_train import train

ACDC = get_label_map("acdc")
AFFINE = grid((1.5, 1.5, 9.0))
SHAPE = (72, 64, 3)
SMALL_UNET = {
    "_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 4, "channels": [8, 16], "strides": [2],
}  # fmt: skip
QUICKLY: Mapping[str, Any] = {
    "network_def": SMALL_UNET, "loss": {"_target_": "DiceCELoss", "to_onehot_y": True, "softmax": True}, "epochs": 4,
    "learning_rate": 0.02, "crop_size": [48, 48], "amp": False, "train_part": "train", "val_part": "val",
}  # fmt: skip


def patient(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Image in HU and classes of a coarse heart in air, in another place for each patient."""
    classes = np.zeros(SHAPE, np.uint8)
    classes[20:50, 20:50], classes[26:44, 26:44], classes[8:19, 22:46] = 2, 3, 1
    classes = np.roll(classes, number, axis=1)
    noise = np.random.default_rng(number).normal(0, 15, SHAPE)
    hu = np.where(classes > 0, 60.0 * classes, -990.0) + noise
    return hu.clip(-1000).astype(np.int16), classes


def write_segmentation(path: Path, series: Path, classes: np.ndarray, label_map: LabelMap = ACDC) -> None:
    """Such as an expert's workstation leaves it: segments in words, numbered from 1."""
    dicom, item = FORMS["dicom"], {"case": series.name, "form": "dicom", "image": str(series)}
    mask = dicom.read_image(item)
    mask.set_array(torch.from_numpy(classes[None]))
    made = (label_map, Provenance("", ""), Algorithm("expert", "1"))
    path.parent.mkdir(parents=True, exist_ok=True)
    dicom.write_dicom(item, [DicomPaths(path, path.with_suffix(".sr"))], mask, *made)
    path.with_suffix(".sr").unlink()
    dataset = pydicom.dcmread(path)
    for segment in dataset.SegmentSequence:
        segment.SegmentLabel = str(segment.SegmentLabel).replace("_", " ").title()
    dataset.save_as(path)


def write_mask(path: Path, classes: np.ndarray) -> None:
    """As dcm2niix leaves it: the axes turned to another order of the rows."""
    nib.save(nib.as_closest_canonical(nib.Nifti1Image(classes, AFFINE)), path)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients: two with a DICOM segmentation in a folder of its own, two with a mask file beside their folder."""
    folder = tmp_path_factory.mktemp("hospital")
    for number in range(4):
        image, classes = patient(number)
        write_series(folder / f"patient{number}", image, AFFINE, header(), suffix="")
        if number % 2:
            write_mask(folder / f"patient{number}_gt.nii.gz", classes)
        else:
            write_segmentation(folder / f"drawn/{number}.dcm", folder / f"patient{number}", classes)
    write_split(folder)
    return folder


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same patients as NIfTI files."""
    folder = tmp_path_factory.mktemp("nifti")
    for number in range(4):
        for ending, array in zip(("", "_gt"), patient(number), strict=True):
            nib.save(nib.Nifti1Image(array, AFFINE), folder / f"patient{number}{ending}.nii.gz")
    write_split(folder)
    return folder


def write_split(folder: Path) -> None:
    names = [f"patient{number}" for number in range(4)]
    (folder / "split.json").write_text(json.dumps({"parts": {"train": names[:3], "val": names[3:]}}))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the test's own as the current one and as the user's; a short look at the machine's speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(training_speed, "_SECONDS", 0.5)


def curve(folder: Path) -> dict[str, list[float]]:
    with (folder / "curve.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in ("loss", "dice") if name in rows[0]}


# --- training


def test_training_on_series_is_that_on_nifti(series: Path, volumes: Path, tmp_path: Path) -> None:
    """The same loss step by step, falling; the weights are the bundle's to run."""
    curves = {}
    for data in (series, volumes):
        bundle = copy_with_random_weights(SMALLEST, tmp_path / data.name)
        train(bundle, data, tmp_path / data.name, **{**QUICKLY, "split": str(data / "split.json")})
        curves[data] = curve(tmp_path / data.name)
    assert curves[series]["loss"] == pytest.approx(curves[volumes]["loss"], rel=1e-3)
    assert curves[series]["dice"] == pytest.approx(curves[volumes]["dice"], abs=0.01)
    assert curves[series]["loss"][-1] < 0.8 * curves[series]["loss"][0]
    bundle = tmp_path / series.name / SMALLEST.name
    trained = {"network_def": SMALL_UNET, "checkpointloader#load_path": str(bundle / "models/model_trained.pt")}
    assert run_here(bundle, series, tmp_path / "out", **trained) == 0
    assert {row["status"] for row in rows_of(tmp_path / "out").values()} == {"ok"}


@pytest.mark.slow
def test_training_on_a_real_series(test_data: Path, tmp_path: Path) -> None:
    """A CT of AMOS with its mask as a file, then as a segmentation: the same reference; a network learns from it."""
    data, label_map = tmp_path / "data", get_label_map("amos15")
    shutil.copytree(test_data / "ct/dicom/amos_0013", data / "amos_0013")
    shutil.copyfile(test_data / "ct/labels/amos_0013_amos15.nii.gz", data / "amos_0013_gt.nii.gz")
    (data / "split.json").write_text(json.dumps({"parts": {"train": ["amos_0013"]}}))
    (item,) = cases_to_train(data, "volume")
    by_file = LoadCased(("image", "label"), label_map)(item)["label"]
    bundle = copy_with_random_weights(SMALLEST.with_name("synapse_emcad_dsra_segmentation"), tmp_path)
    network = {**SMALL_UNET, "out_channels": 16}
    options = {**QUICKLY, "network_def": network, "label_map#name": "amos15", "split": str(data / "split.json")}
    train(bundle, data, tmp_path / "runs", **{**options, "val_part": [], "batch_size": 4, "crop_size": [128, 128]})
    losses = curve(tmp_path / "runs")["loss"]
    assert losses[-1] < 0.9 * losses[0]
    trained = {"network_def": network, "checkpointloader#load_path": str(bundle / "models/model_trained.pt")}
    assert run_here(bundle, data, tmp_path / "out", **trained, **{"label_map#name": "amos15"}) == 0
    assert len(list((tmp_path / "out").rglob("*_seg.dcm"))) == 1

    (data / "amos_0013_gt.nii.gz").unlink()
    write_segmentation(data / "drawn.dcm", data / "amos_0013", by_file.numpy()[0].astype(np.uint8), label_map)
    (item,) = cases_to_train(data, "volume")
    by_object = LoadCased(("image", "label"), label_map)(item)["label"]
    assert item["label"].endswith(".dcm") and np.array_equal(by_object.numpy(), by_file.numpy())


# --- running and judging


def voxels(mask: Path) -> np.ndarray:
    return np.asarray(nib.load(mask).dataobj)


def without_seconds(rows: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {case: {k: v for k, v in row.items() if not k.endswith("seconds")} for case, row in rows.items()}


def segments(path: Path) -> tuple[np.ndarray, list[str]]:
    """Pixels of a segmentation, and which instance each picture is of."""
    dataset = pydicom.dcmread(path)
    groups = dataset.PerFrameFunctionalGroupsSequence
    sources = [one.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID for one in groups]
    return dataset.pixel_array, sources


def check_same(one: Path, two: Path) -> None:
    """Two runs left the same masks, in NIfTI and in DICOM, and the same rows."""
    assert without_seconds(rows_of(one)) == without_seconds(rows_of(two))
    masks = sorted(path.relative_to(one) for path in one.rglob("*_seg.*"))
    assert masks == sorted(path.relative_to(two) for path in two.rglob("*_seg.*"))
    assert {path.name.rpartition(".")[2] for path in masks} == {"gz", "dcm"}
    for mask in masks:
        if mask.name.endswith(".dcm"):
            (pixels, sources), (others, named) = segments(one / mask), segments(two / mask)
            assert np.array_equal(pixels, others) and sources == named
        else:
            assert np.array_equal(voxels(one / mask), voxels(two / mask))


def judged(folder: Path) -> list[dict[str, str]]:
    with (folder / "report" / "metrics.csv").open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_monai_bundle_is_segment(series: Path, tmp_path: Path) -> None:
    """One engine, two doors: by ConfigWorkflow and by the command."""
    bundle = copy_with_random_weights(SMALLEST, tmp_path)
    assert run_here(bundle, series, tmp_path / "monai") == 0
    assert main(["segment", str(series), str(tmp_path / "ours"), "--bundle", str(bundle), "--quiet"]) == 0
    check_same(tmp_path / "monai", tmp_path / "ours")
    assert all(segments(path)[0].any() for path in (tmp_path / "monai").rglob("*_seg.dcm"))
    assert len(judged(tmp_path / "monai")) == 12 and judged(tmp_path / "monai") == judged(tmp_path / "ours")


@pytest.mark.slow
def test_monai_bundle_on_the_command_line(series: Path, tmp_path: Path) -> None:
    """Training, then inference and evaluation with what was trained, each as MONAI's documents write it."""
    bundle = copy_with_random_weights(SMALLEST, tmp_path)
    options = {"network_def#pretrained": False, "split": series / "split.json", "epochs": 1, "val_interval": 1,
               "batch_size": 2, "num_workers": 0, "dataset_dir": series}  # fmt: skip
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    subprocess.run(command(bundle, *given, config="train.json"), check=True, capture_output=True, timeout=300)
    weights = bundle / "models/model_trained.pt"
    out = tmp_path / "monai"
    run = ["--dataset_dir", str(series), "--output_dir", str(out), "--checkpointloader#load_path", str(weights)]
    files = str([str(bundle / "configs" / f"{name}.json") for name in ("inference", "evaluate")])
    subprocess.run([*command(bundle, *run), "--config_file", files], check=True, capture_output=True, timeout=300)
    ours = ["segment", str(series), str(tmp_path / "ours"), "--bundle", str(bundle)]
    ours += ["--set", f"checkpointloader#load_path={weights}"]
    assert main([*ours, "--quiet"]) == 0
    check_same(out, tmp_path / "ours")
    label = ["--predictions", str(out), "--labels", str(series), "--label-map", "acdc", "--quiet", "--no-previews"]
    assert main(["evaluate", *label, "--output", str(tmp_path / "judged")]) == 0
    measures = ("dice", "hd95_mm")
    for one, two in zip(judged(out), judged(tmp_path / "judged"), strict=True):
        assert [one[name] for name in measures] == [two[name] for name in measures]


# --- a bundle of one's own


def plan(data: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    assert main(["new-bundle", "mine", "--data", str(data), "--hours", "0.01", "--quiet"]) == 0
    facts: dict[str, Any] = yaml.safe_load((find_bundle("mine").folder / "bundle.yaml").read_text())
    return facts, capsys.readouterr().out


@pytest.fixture
def drawn(series: Path, tmp_path: Path) -> Path:
    """The patients, each with a segmentation in the folder of the study."""
    folder = tmp_path / "drawn"
    for number in range(4):
        shutil.copytree(series / f"patient{number}", folder / f"case_{number}" / "CT")
        write_segmentation(
            folder / f"case_{number}" / "SEG" / "1.dcm", folder / f"case_{number}" / "CT", patient(number)[1]
        )
    return folder


def test_plan_train_segment(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts, said = plan(drawn, capsys)
    assert "4 labelled volumes of 4 patients" in said
    assert facts["classes"] == {1: "right_ventricle", 2: "myocardium", 3: "left_ventricle"}
    assert facts["modality"] == "CT" and facts["image_format"] == "hounsfield"
    folder = find_bundle("mine").folder
    parts = read_json(folder / "split.json")["parts"]
    assert sorted(name for names in parts.values() for name in names) == [f"case_{number}" for number in range(4)]
    assert main(["train", "mine", *QUICK]) == 0
    scores = read_json(folder / "docs" / "validation" / "summary.json")
    assert scores["cases"] == 1 and list(scores["organs"]) == list(facts["classes"].values())
    assert main(["segment", str(drawn), "masks", "--bundle", "mine", "--quiet"]) == 0
    assert {row["status"] for row in rows_of(tmp_path / "masks").values()} == {"ok"}
    assert len(list((tmp_path / "masks").rglob("*_seg.dcm"))) == 4


def test_dataset_json_numbers_what_segmentations_name(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that they can be of one bundle with mask files."""
    data = shutil.copytree(series, tmp_path / "data")
    unnamed = survey(data, quiet=True)
    assert len(unnamed.cases) == 2
    assert "patient1_gt.nii.gz: found a label that numbers its classes, beside others that" in unnamed.problems[0]
    labels = {"background": 0, "myocardium": 2, "right ventricle": 1, "left ventricle": 3}
    (data / "dataset.json").write_text(json.dumps({"labels": labels}))
    facts, said = plan(data, capsys)
    assert "4 labelled volumes of 4 patients" in said
    assert facts["classes"] == {1: "right_ventricle", 2: "myocardium", 3: "left_ventricle"}


@pytest.mark.slow
def test_cross_validation(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan(drawn, capsys)
    assert main(["train", "mine", str(drawn), str(tmp_path / "cv"), "--folds", "2", *QUICK]) == 0
    summary = read_json(tmp_path / "cv" / "summary.json")
    assert summary["cases"] == 4


# --- what can't be trained on


def told(data: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """The one line that a training ends with."""
    options = ["--split", str(data / "split.json"), "--set", "network_def#pretrained=False", *more]
    assert main(["train", str(SMALLEST), str(data), "runs", "--epochs", "1", *options]) == 2
    return capsys.readouterr().err


def test_wrong_references_are_one_sentence(series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = shutil.copytree(series, tmp_path / "data")
    (data / "drawn/0.dcm").unlink()
    found = told(data, capsys)
    assert f"{data}/patient0: found no reference of this series; allowed: a DICOM segmentation that names it" in found
    strange = pydicom.dcmread(series / "drawn/2.dcm")
    strange.ReferencedSeriesSequence[0].SeriesInstanceUID = pydicom.uid.generate_uid()
    strange.save_as(data / "drawn/0.dcm")
    assert f"{data}/drawn/0.dcm is of a series that isn't here" in told(data, capsys)


def test_unknown_segments(series: Path, tmp_path: Path) -> None:
    """Of none known: a failed row; of some: they are background, with a remark."""
    data = shutil.copytree(series, tmp_path / "data")
    for number, names in ((0, ["Femur", "Tibia", "Fibula"]), (2, ["Femur", "Myocardium", "Left ventricle"])):
        dataset = pydicom.dcmread(data / f"drawn/{number}.dcm")
        for segment, name in zip(dataset.SegmentSequence, names, strict=True):
            segment.SegmentLabel = name
            if name == "Femur" or number == 0:
                segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"
        dataset.save_as(data / f"drawn/{number}.dcm")
    bundle = copy_with_random_weights(SMALLEST, tmp_path)
    assert run_here(bundle, data, tmp_path / "out", **{"cases#series_names": "folder"}) == 1
    rows = rows_of(tmp_path / "out")
    sentence = "drawn/0.dcm: found the segments femur, tibia, fibula; allowed: some of right_ventricle, myocardium"
    assert sentence in rows["patient0"]["reason"]
    assert "reference: femur: no class of acdc, counted as background" in rows["patient2"]["remark"]
