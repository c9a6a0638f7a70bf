# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser
from monai.transforms import Compose
from pranet_monai.apps.bundle_run import check_parts, check_run, check_training, finish_run, run_cases
from pranet_monai.apps.overrides import check_argv
from pranet_monai.errors import UsageError
from pranet_monai.inferers import MultiViewInferer, SliceVolumeInferer
from pranet_monai.reports import RunReport
from pranet_monai.transforms.save import AsLabelsd

from tests.reports.rows import add_case, add_failure


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """What a run needs, all right."""
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.int16), np.eye(4)), tmp_path / "x.nii.gz")
    weights = tmp_path / "bundle" / "models" / "model.pt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    return {"dataset_dir": tmp_path, "output_dir": tmp_path / "new" / "out", "weights": weights}


def test_right_use_passes_and_makes_the_folder(folders: dict[str, Path]) -> None:
    check_run(**folders)
    assert list(folders["output_dir"].iterdir()) == []


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("dataset_dir", "nowhere", "dataset_dir {0}/nowhere: found no such folder or file"),
        ("dataset_dir", "bundle", "dataset_dir {0}/bundle: found no volume in it"),
        ("output_dir", "x.nii.gz", "output_dir {0}/x.nii.gz: can't be written (File exists)"),
        ("output_dir", "x.nii.gz/out", "output_dir {0}/x.nii.gz/out: can't be written (Not a directory)"),
        (
            "weights",
            "bundle/models/best.pt",
            "best.pt: found no such weights file (beside it: model.pt); fix: train: pranet-monai train",
        ),
    ],
)
def test_wrong_use_exits_with_2_and_one_line(
    folders: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    argument: str,
    value: str,
    message: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        check_run(**{**folders, argument: tmp_path / value})
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ") and shown.count("\n") == 1
    assert message.format(tmp_path) in shown


@pytest.mark.parametrize("wrapped", [False, True])
def test_logits_are_no_masks(capsys: pytest.CaptureFixture[str], wrapped: bool) -> None:
    postprocessing = Compose([AsLabelsd("pred", 4)])
    for output, is_right in (("labels", True), ("probabilities", True), ("logits", False)):
        inferer = SliceVolumeInferer(output=output)
        with nullcontext() if is_right else pytest.raises(SystemExit):
            check_parts([], MultiViewInferer(inferer) if wrapped else inferer, postprocessing)
    assert "inferer#output 'logits': found nothing that makes masks of logits" in capsys.readouterr().err


def test_exit_passes_through_monais_config(folders: dict[str, Path]) -> None:
    """MONAI wraps exceptions of config expressions; the exit code must survive."""
    parser = ConfigParser({"initialize": ["$bundle_run.check_run('nowhere', '.', 'x')"]})
    parser["imports"] = ["$import pranet_monai.apps.bundle_run as bundle_run"]
    with pytest.raises(SystemExit) as ended:
        parser.get_parsed_content("initialize")
    assert ended.value.code == 2


def test_weights_that_do_not_fit_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    class Evaluator:
        def run(self) -> None:
            raise UsageError("model.pt: found weights of another network")

    with pytest.raises(SystemExit) as ended:
        run_cases(Evaluator())  # type: ignore[arg-type]
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: model.pt: found weights of another network\n"


def test_finish_says_where_the_report_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = RunReport(tmp_path, "acdc", previews=False)
    add_case(report, "a", np.zeros((4, 4, 4), np.uint8), np.eye(4))
    finish_run(report, {"amp": False})
    assert capsys.readouterr().out == f"1 ok, 0 failed, 0 skipped; report: {tmp_path / 'report' / 'index.html'}\n"
    assert json.loads((tmp_path / "report" / "run.json").read_text())["amp"] is False


def test_finish_exits_with_1_after_writing_when_a_case_failed(tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", previews=False)
    add_failure(report, "a", "a.nii: found nothing")
    with pytest.raises(SystemExit) as ended:
        finish_run(report, {})
    assert ended.value.code == 1
    assert (tmp_path / "report" / "index.html").is_file()


@pytest.fixture
def configs(tmp_path: Path) -> list[str]:
    """An inference config and an overlay."""
    contents: list[dict[str, Any]] = [
        {"dataset_dir": ".", "output_dir": ".", "resume": False, "inferer": {"sw_batch_size": 8}},
        {"cases#labels": "required", "+handlers": []},
    ]
    paths = [tmp_path / "inference.json", tmp_path / "evaluate.json"]
    for path, content in zip(paths, contents):
        path.write_text(json.dumps(content))
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    "options",
    [
        ["--dataset_dir", "x", "--resume", "true"],
        ["--dataset-dir=x"],
        ["--inferer#sw_batch_size", "4"],
        ["--inferer::sw_batch_size", "4"],
        ["--cases#labels", "none", "--handlers#0", "x"],
        ["--meta_file", "metadata.json", "--logging_file", "logging.conf"],
    ],
)
@pytest.mark.parametrize("form", ["apart", "equals"])
def test_known_overrides_pass(configs: list[str], options: list[str], form: str) -> None:
    both = str(configs)
    given = {"apart": ["--config_file", both], "equals": [f"--config_file={both}"]}
    check_argv(["run", *given[form], *options])


@pytest.mark.parametrize(
    ("option", "suggestion"),
    [
        ("--resum", "did you mean --resume?"),
        ("--datasetdir", "did you mean --dataset_dir"),
        ("--inferer.sw_batch_size", "did you mean --inferer"),
        ("--zzz", "did you mean --cases, --dataset_dir"),
    ],
)
def test_misspelt_overrides_are_refused(configs: list[str], option: str, suggestion: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_argv(["run", "--config_file", str(configs), option, "1"])
    assert str(caught.value).startswith(f"{option}: found no id") and suggestion in str(caught.value)


def test_other_commands_are_left_alone(monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path]) -> None:
    check_argv([])
    check_argv(["-q", "--maxfail=1"])
    check_argv(["run", "--unknown"])
    monkeypatch.setattr(sys, "argv", ["pytest", "--color=yes"])
    check_run(**folders)


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a training needs, all right, and its command line."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        for patient in ("a", "b"):
            nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.int16), np.eye(4)), tmp_path / kind / f"{patient}.nii.gz")
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"parts": {"train": ["a"], "val": ["b"]}}))
    config = tmp_path / "train.json"
    config.write_text(json.dumps({"dataset_dir": "", "learning_rate": 1, "finetune_from": None}))
    monkeypatch.setattr(sys, "argv", ["monai.bundle", "run", "--config_file", str(config), "--learning_rate", "0.1"])
    return {"dataset_dir": tmp_path, "split": str(split), "train_part": "train", "val_part": "val"}


def test_a_right_training_passes(training: dict[str, Any]) -> None:
    check_training(**training)
    check_training(**{**training, "val_part": []})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dataset_dir": "nowhere"}, "dataset_dir nowhere: found no such folder"),
        ({"val_part": "train"}, "are trained on as well: a; allowed: no common patient"),
        ({"val_part": "test"}, "has no part 'test'; it has: train, val"),
        ({"split": "random_8_2", "train_part": "fold0"}, "has no part 'fold0'; it has: train, val"),
        ({"finetune_from": "mine.pt"}, "finetune_from mine.pt: found no such file"),
    ],
)
def test_a_wrong_training_exits_with_2_and_one_line(
    training: dict[str, Any], capsys: pytest.CaptureFixture[str], changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        check_training(**{**training, **changed})
    shown = capsys.readouterr().err
    assert ended.value.code == 2 and shown.startswith("error: ") and shown.count("\n") == 1 and message in shown


def test_a_misspelt_option_of_a_training_is_refused(
    training: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    sys.argv += ["--finetune", "model.pt"]
    with pytest.raises(SystemExit) as ended:
        check_training(**training)
    assert ended.value.code == 2 and "did you mean --finetune_from" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["monailabel", "start_server"], []])
def test_a_training_of_another_program_is_left_alone(
    training: dict[str, Any], monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    check_training(**{**training, "dataset_dir": "nowhere"})


def test_volumes_may_come_without_a_folder(training: dict[str, Any]) -> None:
    (Path(sys.argv[3])).write_text(json.dumps({"learning_rate": 1, "train": {}}))
    sys.argv += ["--train#dataset#data", "cases.json"]
    check_training(**{**training, "dataset_dir": "nowhere"})
