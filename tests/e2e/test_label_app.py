# SPDX-License-Identifier: Apache-2.0
"""MONAI Label's own server on an app that ``label-app`` has made, driven by its own client, which 3D Slicer uses.

Wants an environment with the extra ``[label]``, which the variable ``PRANET_MONAI_LABEL_VENV`` names.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import itk
import nibabel as nib
import numpy as np
import pytest
from pranet_monai.data.phantom import write_phantom

from tests.bundles.conftest import ROOT, SMALLEST, read_json
from tests.e2e.ports import free_port

pytestmark = pytest.mark.e2e

VARIABLE = "PRANET_MONAI_LABEL_VENV"
NAME = SMALLEST.name
# with a folder of its own: the server removes what it sent from the usual one
CLIENT = "import json, sys; from monailabel.client import MONAILabelClient; client = MONAILabelClient(*sys.argv[1:]); "


class Label:
    """MONAI Label's environment, and one app with its studies.

    Attributes:
        app: the app's folder.
        studies: the folder of volumes.
        said: what ``label-app`` said.
    """

    def __init__(self, venv: Path, folder: Path) -> None:
        self._variables = {**os.environ, "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        self._variables |= {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
        self._server: subprocess.Popen | None = None
        self._port = free_port()
        self._log, self._received = folder / "server.log", folder / "received"
        self._received.mkdir()
        self.studies, self.app = folder / "studies", folder / "an app"
        write_phantom(folder / "sample", 1)
        self.studies.mkdir()
        for path in (folder / "sample" / "imagesTr").iterdir():
            path.rename(self.studies / path.name)
        self.said = self.run("-m", "pranet_monai", "label-app", str(self.app), "--bundle", str(SMALLEST))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def cases(self) -> list[str]:
        return sorted(path.name.removesuffix(".nii.gz") for path in self.studies.glob("*.nii.gz"))

    def run(self, *arguments: str) -> str:
        """What Python in that environment prints."""
        command = ["python", *arguments]
        done = subprocess.run(command, env=self._variables, cwd="/", capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, code: str) -> Any:
        """The value of an expression of MONAI Label's ``client``."""
        return json.loads(self.client(f"print(json.dumps({code}))").splitlines()[-1])

    def client(self, code: str) -> str:
        """What code with MONAI Label's ``client`` prints."""
        return self.run("-c", f"{CLIENT}\n{code}", self.url, str(self._received))

    def segment(self, case: str, **params: Any) -> tuple[Path, dict[str, Any]]:
        path, said = self.ask(f"client.infer({NAME!r}, {case!r}, {params!r})")
        return Path(path), said

    def mask(self, case: str, **params: Any) -> np.ndarray:
        path, _ = self.segment(case, **params)
        return np.asarray(nib.load(path).dataobj)

    def start(self, options: str = "") -> None:
        """Pastes what ``label-app`` printed, with the studies and a free port filled in."""
        (command,) = re.findall(r"^python .*\n.*$", self.said, re.MULTILINE)
        pasted = f"exec {command} --port {self._port} {options}".replace("STUDIES", shlex.quote(str(self.studies)))
        with self._log.open("w") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", pasted], env=self._variables, cwd="/", stdout=log, stderr=subprocess.STDOUT
            )

    def start_and_wait(self, options: str = "") -> dict[str, Any]:
        self.start(options)
        assert self._server is not None
        for _ in range(300):
            assert self._server.poll() is None, self.log()
            try:
                with urllib.request.urlopen(f"{self.url}/info/", timeout=60) as answer:
                    return json.load(answer)
            except OSError:
                time.sleep(1)
        pytest.fail(f"no answer: {self.log()}")

    def ended(self) -> int:
        assert self._server is not None
        return self._server.wait(timeout=300)

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self.ended()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def train(self) -> tuple[str, list[str]]:
        """The state that a training of one epoch ends with, and the last lines of what it printed."""
        self.ask(f"client.train_start({NAME!r}, {{'max_epochs': 1, 'val_split': 0.5, 'device': 'cpu'}})")
        for _ in range(600):
            time.sleep(1)
            with urllib.request.urlopen(f"{self.url}/train/?check_if_running=false", timeout=60) as answer:
                state = json.load(answer)
            if state["status"] not in ("SUBMITTED", "RUNNING"):
                return state["status"], state["details"]
        pytest.fail("the training doesn't end")


@pytest.fixture(scope="module")
def label(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Label]:
    venv = os.environ.get(VARIABLE)
    if not venv:
        pytest.skip(f"set {VARIABLE} to an environment with the extra [label] to run MONAI Label")
    label = Label(Path(venv), tmp_path_factory.mktemp("label"))
    label.start_and_wait()
    yield label
    label.stop()


@pytest.fixture(scope="module")
def expected(label: Label, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command line makes of the studies, as it is by default and without mirrored passes."""
    folder = tmp_path_factory.mktemp("expected")
    for name, options in (("plain", []), ("unmirrored", ["--set", "inferer#tta=[]"])):
        command = ["segment", str(label.studies), str(folder / name), "--bundle", str(SMALLEST), "--quiet", *options]
        label.run("-m", "pranet_monai", *command)
    return folder


def voxels(folder: Path, case: str) -> np.ndarray:
    (path,) = folder.rglob(f"{case}_seg.nii.gz")
    return np.asarray(nib.load(path).dataobj)


def test_what_clients_are_told(label: Label) -> None:
    model = label.ask("client.info()")["models"][NAME]
    metadata = read_json(SMALLEST / "configs" / "metadata.json")
    classes = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert model["labels"] == {name.lower(): int(number) for number, name in classes.items() if int(number) > 0}
    assert model["config"]["mirrored_passes"] is True and model["config"]["overlap"][0] == 0.25
    assert model["config"]["model_filename"] == ["model.pt"]
    assert model["description"].endswith(f"the bundle's own weights, version {metadata['version']}")


def test_pages_of_other_origins_get_nothing(label: Label) -> None:
    request = urllib.request.Request(f"{label.url}/info/", headers={"Origin": "http://example.org"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers.get("access-control-allow-origin") is None


def test_masks_are_those_of_the_command_line(label: Label, expected: Path) -> None:
    with (expected / "plain" / "report" / "cases.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    for case in label.cases:
        path, said = label.segment(case, result_extension=".nii.gz")
        mask, image = nib.load(path), nib.load(label.studies / f"{case}.nii.gz")
        assert np.array_equal(mask.affine, image.affine) and mask.get_data_dtype() == np.uint8
        assert np.array_equal(np.asarray(mask.dataobj), voxels(expected / "plain", case))
        assert len(np.unique(mask.dataobj)) == 4, "the phantom has all classes"
        assert said["weights"].startswith("the bundle's own weights")
        (row,) = (row for row in rows if row["case"].endswith(case))
        (quality,) = said["expected_dice"]
        assert quality == {organ: pytest.approx(float(row[f"expected_dice_{organ}"]), abs=1e-3) for organ in quality}
        assert str(said["review"]).lower() == row["review"].lower()


def test_slicers_own_format(label: Label, expected: Path) -> None:
    """Slicer asks for .nrrd; another library reads the same voxels at the same place."""
    case = label.cases[0]
    path, _ = label.segment(case, result_extension=".nrrd", result_dtype="uint8", result_compress=False)
    mask, image = itk.imread(str(path)), itk.imread(str(label.studies / f"{case}.nii.gz"))
    assert np.array_equal(np.asarray(mask).T, voxels(expected / "plain", case))
    for attribute in ("GetOrigin", "GetSpacing", "GetDirection"):
        ours, theirs = (np.asarray(getattr(volume, attribute)()) for volume in (mask, image))
        assert np.allclose(ours, theirs, atol=1e-4)


def test_single_passes_are_those_of_the_command_line(label: Label, expected: Path) -> None:
    case = label.cases[0]
    unmirrored = label.mask(case, mirrored_passes=False)
    assert np.array_equal(unmirrored, voxels(expected / "unmirrored", case))
    assert not np.array_equal(unmirrored, voxels(expected / "plain", case))


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"model_filename": "other.pt"}, "model_filename other.pt: found no such weights; allowed: model.pt"),
        ({"overlap": 2}, "overlap"),
        ({"device": "quantum"}, "quantum"),
    ],
)
def test_wrong_use_reaches_the_client_as_a_message(label: Label, params: dict[str, Any], sentence: str) -> None:
    code = f"client.infer({NAME!r}, {label.cases[0]!r}, {params!r})"
    caught = label.client(f"try: {code}\nexcept Exception as error: print(error.msg)")
    assert "Status: 400" in caught and sentence in caught and "Traceback" not in caught


def test_the_most_doubtful_case_is_the_next_one(label: Label, expected: Path) -> None:
    """Where scoring is asked for, the server scores its studies by itself; the client then gets them in that order."""
    with (expected / "plain" / "report" / "cases.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    worst = {
        Path(row["case"]).name: min(float(row[name]) for name in row if name.startswith("expected_dice_"))
        for row in rows
    }
    label.stop()
    info = label.start_and_wait("--conf skip_scoring false")
    assert list(info["scoring"]) == ["expected_dice"] and "expected_dice" in info["strategies"]
    most_doubtful = min(worst, key=lambda case: worst[case])
    for _ in range(300):  # the server is still scoring
        chosen = label.ask("client.next_sample('expected_dice', {})")
        if chosen["id"] == most_doubtful:
            break
        time.sleep(1)
    assert chosen["id"] == most_doubtful
    assert chosen["score"] == pytest.approx(min(worst.values()), abs=1e-3)
    label.stop()
    assert "expected_dice" not in label.start_and_wait()["strategies"]


def test_training_on_nothing_says_so_in_one_line(label: Label) -> None:
    status, lines = label.train()
    assert status == "ERROR"
    assert lines[-1].startswith("error: nothing has been submitted to train on; fix: ")
    assert not [line for line in lines if "Traceback" in line or line.startswith("  File ")]


def test_a_training_counts_from_then_on_and_after_a_restart(label: Label, expected: Path) -> None:
    for case in label.cases:
        (mask,) = (expected / "plain").rglob(f"{case}_seg.nii.gz")
        label.ask(f"client.save_label({case!r}, {str(mask)!r}, '', {{'label_info': []}})")
    status, lines = label.train()
    assert status == "DONE", lines
    assert (label.app / "model" / NAME / "models" / "model_trained.pt").is_file()
    assert not (SMALLEST / "models" / "model_trained.pt").exists(), "the bundle itself is left alone"

    at_once, _ = label.segment(label.cases[0])
    label.stop()
    info = label.start_and_wait()
    assert info["models"][NAME]["config"]["model_filename"] == ["model_trained.pt", "model.pt"]
    assert info["trainers"][NAME]["config"]["model_filename"] == ["model_trained.pt", "model.pt"]
    assert "weights trained here, " in info["models"][NAME]["description"]
    assert f"{NAME}: segments with weights trained here, " in label.log()

    path, said = label.segment(label.cases[0])
    assert said["weights"].startswith("weights trained here, ")
    assert np.array_equal(np.asarray(nib.load(path).dataobj), np.asarray(nib.load(at_once).dataobj))
    shipped = label.mask(label.cases[0], model_filename="model.pt")
    assert np.array_equal(shipped, voxels(expected / "plain", label.cases[0]))


def test_an_app_with_a_bundle_for_images_refuses_to_start(label: Label) -> None:
    """``label-app`` makes none; somebody may have copied one there."""
    label.stop()
    config = label.app / "model" / NAME / "configs" / "inference.json"
    whole = config.read_text(encoding="utf-8")
    config.write_text(whole.replace('"kind": "volume"', '"kind": "image"'), encoding="utf-8")
    try:
        label.start()
        assert label.ended() != 0
    finally:
        config.write_text(whole, encoding="utf-8")
    assert "found one for RGB images; allowed in a MONAI Label app: bundles for volumes" in label.log()
