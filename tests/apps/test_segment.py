# SPDX-License-Identifier: Apache-2.0
"""How the options of ``segment`` and ``train`` reach the config; tests/bundles runs both for good."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser
from pranet_monai.__main__ import main
from pranet_monai.apps import segment, train, workflow
from pranet_monai.apps.overrides import parsed

Called = list[tuple[list[str], str, dict[str, Any], str | None]]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Called:
    """What MONAI's workflow would be made of, in place of running it."""
    calls: Called = []

    class Workflow:
        def __init__(
            self, config_file: list[str], workflow_type: str, tracking: str | None, logging_file: bool, **options: Any
        ) -> None:
            calls.append(([Path(file).name for file in config_file], workflow_type, options, tracking))

        def initialize(self) -> None: ...

        run = finalize = initialize

    monkeypatch.setattr(workflow, "ConfigWorkflow", Workflow)
    return calls


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (["--resume", "--quiet"], {"resume": True, "quiet": True}),
        (["--runtime", "auto", "--precision", "bf16"], {"runtime": "auto", "precision": "bf16"}),
        (["--runtime", "@home/acdc.onnx"], {"runtime": "./@home/acdc.onnx"}),
        (["--save-probabilities"], {"save_probabilities": True}),
        (["--tta"], {"inferer#tta": [[0], [1], [0, 1]]}),
        (["--labels", "none"], {"cases#labels": "none"}),
        (["--labels", "references"], {"cases#label_dir": "references"}),
        (["--device", "cpu"], {"device": "cpu"}),
        (
            ["--set", "inferer#overlap=0.5", "--set", "cases#labels=none"],
            {"inferer#overlap": 0.5, "cases#labels": "none"},
        ),
        (["--tta", "--set", "inferer#tta=[[1]]"], {"inferer#tta": [[1]]}),
        (["--set", "inferer::padding=-1.5"], {"inferer#padding": -1.5}),
        (["--set", "pixdim=[1.25,1.25]"], {"pixdim": [1.25, 1.25]}),
    ],
)
def test_options_of_segment(called: Called, options: list[str], expected: dict[str, Any]) -> None:
    assert main(["segment", "in", "out", "--bundle", "acdc", *options]) == 0
    ((files, kind, config, _),) = called
    assert (files, kind) == (["inference.json"], "inference")
    assert Path(config.pop("bundle_root")).name == "acdc_emcad_dsra_segmentation"
    assert config == {"dataset_dir": "in", "output_dir": "out", **expected}


def test_evaluate_lies_over_inference(called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["segment", "in", "out", "--bundle", "acdc", "--evaluate"]) == 0
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["segment", "in", "out", "--bundle", "acdc", "--evaluate"]) == 0
    files = [files for files, *_ in called]
    assert files == [
        ["inference.json", "evaluate.json"],
        ["inference.json", "evaluate.json", "multi_gpu_evaluate.json"],
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (["--split", "mine.json", "--train-part", "a", "b", "--val-part"],
         {"split": "mine.json", "train_part": ["a", "b"], "val_part": []}),
        (["--epochs", "3", "--batch-size", "2", "--learning-rate", "0.1", "--seed", "0"],
         {"epochs": 3, "batch_size": 2, "learning_rate": 0.1, "seed": 0}),
        (["--finetune-from", "w.pt", "--ckpt-dir", "trial", "--resume"],
         {"finetune_from": "w.pt", "ckpt_dir": "trial", "resume": True}),
        (["--epochs", "3", "--set", "epochs=4", "--set", "train#trainer#clip_norm=1"],
         {"epochs": 4, "train#trainer#clip_norm": 1}),
    ],
)  # fmt: skip
def test_options_of_train(called: Called, options: list[str], expected: dict[str, Any]) -> None:
    assert main(["train", "acdc", "data", "runs", *options]) == 0
    ((files, kind, config, tracking),) = called
    assert (files, kind, tracking) == (["train.json"], "training", None)
    config.pop("bundle_root")
    assert config == {"dataset_dir": "data", "output_dir": "runs", **expected}


def test_train_on_several_devices_and_with_a_record(called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["train", "acdc", "data", "runs", "--tracking", "mlflow"]) == 0
    assert called[0][0] == ["train.json", "multi_gpu_train.json"] and called[0][3] == "mlflow"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bundle", "acdcc"], "did you mean acdc"),
        (["--bundle", "acdc", "--set", "resum=True"], "--set resum: found no id 'resum' in the config; did you mean"),
        (["--bundle", "acdc", "--set", "inferer#rio_size=3"], "takes no 'rio_size'; did you mean roi_size"),
        (["--bundle", "acdc", "--set", "resume"], "found no id and value; allowed: --set id=value"),
        (["--bundle", "acdc", "--device", "gpu"], "--device gpu: found no such device"),
        (["--bundle", "acdc", "--evaluate", "--labels", "none"], "nothing to compare with"),
        (["--bundle", "acdc", "--set", "inferer#tta=[[5]]"], "must list mirrorings"),
        (["--bundle", "acdc", "--labels", "nowhere"], "label_dir nowhere: found no such folder"),
        (["--bundle", "acdc", "--labels", ""], "argument --labels: found an empty path; allowed: a file or folder"),
        (["--bundle", ""], "found no bundle of this name"),
        ([], "found no --bundle, and an image doesn't say what to look for"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    (tmp_path / "a.nii.gz").touch()
    assert code_of(["segment", str(tmp_path), str(tmp_path / "out"), *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and message in said
    assert not list((tmp_path).glob("out/*"))


@pytest.mark.parametrize("command", [["segment", "", "out"], ["segment", "in", " "], ["train", "acdc", "in", ""]])
def test_an_empty_folder_is_not_the_current_one(
    capsys: pytest.CaptureFixture[str], called: Called, command: list[str]
) -> None:
    assert code_of([*command, "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and "found an empty path" in said and not called


def code_of(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)


def test_without_a_bundle_those_with_weights_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", "in", "out"]) == 2
    said = capsys.readouterr().err
    assert "acdc: right_ventricle, myocardium, left_ventricle" in said and "acdc_mist" not in said


def test_wrong_training_is_one_line_and_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "acdc", str(tmp_path / "nowhere"), str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and "nowhere: found no such folder" in said


def test_a_failed_case_is_1(monkeypatch: pytest.MonkeyPatch, called: Called) -> None:
    def finalize(self: object) -> None:
        raise SystemExit(1)

    monkeypatch.setattr(workflow.ConfigWorkflow, "finalize", finalize)
    assert segment.segment("in", "out", "acdc") == 1


def test_an_error_of_the_program_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch, called: Called) -> None:
    def run(self: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(workflow.ConfigWorkflow, "run", run)
    with pytest.raises(RuntimeError, match="a bug"):
        train.train("acdc", "data", "runs")


@pytest.mark.parametrize("name", ["$HOME", "@volumes", "%folder", "plain", "/a b/c"])
def test_paths_stay_text_in_a_config(name: str) -> None:
    parser = ConfigParser({"dataset_dir": workflow.as_path(name), "seen": "@dataset_dir"})
    assert os.path.normpath(parser.get_parsed_content("seen")) == name


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=2),
    )
)
def test_values_are_read_as_python_writes_them(value: Any) -> None:
    assert parsed([f"inferer#roi_size={value!r}"]) == {"inferer#roi_size": value}


def test_ctrl_c_is_130(tmp_path: Path) -> None:
    """The run is interrupted while it works; what is finished stays."""
    code = (
        "import sys, pranet_monai.engines.case_evaluator as e\n"
        "from pranet_monai.__main__ import main\n"
        "def stop(*_): raise KeyboardInterrupt\n"
        "e.CaseEvaluator._iteration = stop\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    nib.save(nib.Nifti1Image(np.zeros((40, 36, 2), np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    command = [sys.executable, "-c", code, "segment", str(tmp_path), str(tmp_path / "out"), "--bundle", "acdc"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130, done.stderr
    assert (
        "stopped: finished cases are kept; to continue, run the same command with --resume" in done.stderr
        and "Traceback" not in done.stderr
    )
