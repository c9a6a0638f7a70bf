# SPDX-License-Identifier: Apache-2.0
"""Training through the bundles: weights that the bundle itself can run, on one device and on several."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from pranet_monai.__main__ import main
from pranet_monai.errors import reason_of

from .conftest import SMALLEST, copy_with_random_weights, params, training_options
from .test_run import rows_of, run_here

RECIPES = [SMALLEST.with_name(f"{name}_segmentation") for name in ("synapse_emcad_dsra", "polyp_pvt_pranet_v2")]


@pytest.fixture(params=params([SMALLEST, *RECIPES], lambda folder: folder != SMALLEST))
def runnable_bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one bundle of each recipe, with random weights."""
    return copy_with_random_weights(request.param, tmp_path)


def train(bundle: Path, data: Path, output: Path, **options: Any) -> None:
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / "train.json"),
        workflow_type="train",
        logging_file=False,
        bundle_root=str(bundle),
        output_dir=str(output),
        **{**training_options(data), "epochs": 1, "val_interval": 1, "batch_size": 2, "num_workers": 0, **options},
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()


def test_training_makes_weights_that_the_bundle_runs(
    runnable_bundle: Path, labelled_data: Path, tmp_path: Path
) -> None:
    shipped = (runnable_bundle / "models" / "model.pt").read_bytes()
    command = ["train", str(runnable_bundle), str(labelled_data), str(tmp_path / "runs")]
    command += ["--split", str(labelled_data / "split.json"), "--train-part", "train", "--val-part", "val"]
    command += ["--epochs", "1", "--batch-size", "2", "--set", "val_interval=1", "--set", "num_workers=0"]
    assert main([*command, "--set", "network_def#pretrained=False"]) == 0
    assert (runnable_bundle / "models" / "model.pt").read_bytes() == shipped
    trained = runnable_bundle / "models" / "model_trained.pt"
    weights, last = (torch.load(path, weights_only=True) for path in (trained, tmp_path / "runs" / "model_last.pt"))
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert all(torch.equal(last[name], value) for name, value in weights.items()), "one epoch: the best is the last"
    assert (
        run_here(runnable_bundle, labelled_data, tmp_path / "out", **{"checkpointloader#load_path": str(trained)}) == 0
    )


def test_averaged_weights_are_kept(labelled_volumes: Path, tmp_path: Path) -> None:
    bundle = copy_with_random_weights(SMALLEST, tmp_path / "copy")
    train(bundle, labelled_volumes, tmp_path / "runs", ema_momentum=0.3)
    state = torch.load(tmp_path / "runs" / "training_state.pt", weights_only=True)
    average = {name.removeprefix("module."): value for name, value in state["average"].items() if name != "n_averaged"}
    for path in (bundle / "models" / "model_trained.pt", tmp_path / "runs" / "model_last.pt"):
        kept = torch.load(path, weights_only=True)
        assert kept.keys() == average.keys() and all(torch.equal(kept[name], average[name]) for name in kept)
    weight = next(name for name, value in average.items() if value.ndim == 4)
    assert not torch.equal(average[weight], state["network"][weight])


def test_fine_tuning_on_all_patients(labelled_data: Path, tmp_path: Path) -> None:
    """Other weights to begin with, of more classes, and no validation: the last epoch counts."""
    bundle = copy_with_random_weights(SMALLEST, tmp_path / "copy")
    weights = torch.load(bundle / "models" / "model.pt", weights_only=True)
    heads = [name for name, value in weights.items() if name.startswith("head.") and value.ndim and len(value) == 4]
    assert heads
    more = {name: torch.cat([value, value]) if name in heads else value for name, value in weights.items()}
    torch.save(more, tmp_path / "other.pt")
    train(
        bundle, labelled_data, tmp_path / "runs", finetune_from=str(tmp_path / "other.pt"), val_part=[],
        learning_rate=1e-12,
    )  # fmt: skip
    last = torch.load(tmp_path / "runs" / "model_last.pt", weights_only=True)
    taken_over = [
        name for name in weights if name not in heads and not name.split(".")[-1].startswith(("running", "num_"))
    ]
    assert taken_over
    for name in taken_over:  # hardly trained, so it is still there
        torch.testing.assert_close(last[name], weights[name], atol=1e-6, rtol=0)
    trained = torch.load(bundle / "models" / "model_trained.pt", weights_only=True)
    assert all(torch.equal(trained[name], value) for name, value in last.items())


def test_monai_label_builds_the_trainer_without_a_data_folder(labelled_volumes: Path, tmp_path: Path) -> None:
    """It hands over lists of cases in place of ``dataset_dir``, and a number of epochs of its own."""
    bundle = copy_with_random_weights(SMALLEST, tmp_path / "copy")
    images = sorted((labelled_volumes / "images").iterdir())
    cases = [{"image": str(path), "label": str(labelled_volumes / "labels" / path.name)} for path in images]
    for validation in (cases[3:], []):
        config = ConfigParser()
        config.read_config(bundle / "configs" / "train.json")
        config.update({
            "bundle_root": str(bundle), "output_dir": str(tmp_path), "train#dataset#data": cases[:2],
            "validate#dataset#data": validation, "train#trainer#max_epochs": 3, "num_workers": 0,
        })  # fmt: skip
        trainer = config.get_parsed_content("train#trainer")
        assert trainer.state.max_epochs == 3


@pytest.mark.parametrize("steps", [1, 10, 11])
def test_every_number_of_steps_has_a_schedule(labelled_volumes: Path, tmp_path: Path, steps: int) -> None:
    config = ConfigParser()
    config.read_config(SMALLEST / "configs" / "train.json")
    config.update({"train#dataloader": [None] * steps, "epochs": 1, **training_options(labelled_volumes)})
    schedule = config.get_parsed_content("lr_scheduler")
    assert schedule.total_steps >= steps


def test_labels_beside_their_image_stop_the_training(labelled_volumes: Path, tmp_path: Path) -> None:
    bundle, data = copy_with_random_weights(SMALLEST, tmp_path / "copy"), tmp_path / "data"
    shutil.copytree(labelled_volumes, data)
    label = data / "labels" / "patient1_ED.nii.gz"
    nib.save(nib.Nifti1Image(np.asarray(nib.load(label).dataobj), np.diag([1.5, 1.5, 9.0, 1.0])), label)
    with pytest.raises(RuntimeError) as caught:  # MONAI wraps it
        train(bundle, data, tmp_path / "runs")
    assert "patient1_ED.nii.gz: found labels that lie up to" in reason_of(caught.value)


def test_a_network_sees_the_neighbours_by_two_options(labelled_volumes: Path, tmp_path: Path) -> None:
    bundle = copy_with_random_weights(SMALLEST, tmp_path / "copy")
    options = {"adjacent_slices": 1, "network_def#in_channels": 3}
    train(bundle, labelled_volumes, tmp_path / "runs", finetune_from=str(bundle / "models" / "model.pt"), **options)
    trained = {"checkpointloader#load_path": str(bundle / "models" / "model_trained.pt")}
    assert run_here(bundle, labelled_volumes, tmp_path / "out", **options, **trained) == 0


def test_patients_in_both_parts_stop_the_training(labelled_data: Path, tmp_path: Path) -> None:
    bundle = copy_with_random_weights(SMALLEST, tmp_path / "copy")
    with pytest.raises(RuntimeError) as caught:  # MONAI wraps it
        train(bundle, labelled_data, tmp_path / "runs", val_part="train")
    assert "2 of part 'train' are trained on as well: patient0, patient1" in reason_of(caught.value)


def torchrun(
    bundle: Path, configs: list[str], folder: Path, *options: str, processes: int = 2
) -> subprocess.CompletedProcess[str]:
    files = [str(bundle / "configs" / name) for name in configs]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    run = ["-m", "monai.bundle", "run", "--config_file", str(files), "--bundle_root", str(bundle), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*launcher, *run], cwd=folder, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
def test_training_on_two_processes(runnable_bundle: Path, labelled_data: Path, tmp_path: Path) -> None:
    options = [part for name, value in training_options(labelled_data).items() for part in (f"--{name}", str(value))]
    options += [
        "--epochs",
        "1",
        "--val_interval",
        "1",
        "--batch_size",
        "2",
        "--num_workers",
        "0",
        "--output_dir",
        "runs",
    ]
    done = torchrun(runnable_bundle, ["train.json", "multi_gpu_train.json"], tmp_path, *options)
    assert done.returncode == 0, done.stderr
    single = torch.load(runnable_bundle / "models" / "model.pt", weights_only=True)
    trained = torch.load(runnable_bundle / "models" / "model_trained.pt", weights_only=True)
    assert trained.keys() == single.keys(), "saved without the prefix of DistributedDataParallel"


@pytest.mark.slow
def test_killed_training_goes_on_to_the_same_result(labelled_volumes: Path, tmp_path: Path) -> None:
    bundle = copy_with_random_weights(SMALLEST, tmp_path / "copy")
    options = {**training_options(labelled_volumes), "epochs": 6, "val_interval": 2, "batch_size": 2, "num_workers": 0,
               "ema_momentum": 0.3, "bundle_root": bundle,
               "config_file": bundle / "configs" / "train.json"}  # fmt: skip

    def command(folder: Path, **more: object) -> list[str]:
        every = {**options, "output_dir": folder, "ckpt_dir": folder, **more}
        arguments = [part for name, value in every.items() for part in (f"--{name}", str(value))]
        return [sys.executable, "-m", "monai.bundle", "run", *arguments]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True, timeout=300)
    state = tmp_path / "killed" / "training_state.pt"
    with subprocess.Popen(command(tmp_path / "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        while not state.is_file() or torch.load(state, weights_only=True)["epoch"] < 2:
            assert first.poll() is None, "it ended before it could be killed"
            time.sleep(0.02)
        first.kill()
    assert torch.load(state, weights_only=True)["epoch"] < 6
    subprocess.run(command(tmp_path / "killed", resume=True), check=True, capture_output=True, timeout=300)
    for file in ("model_trained.pt", "model_last.pt"):
        whole, resumed = (torch.load(tmp_path / run / file, weights_only=True) for run in ("whole", "killed"))
        assert all(torch.equal(resumed[name], value) for name, value in whole.items()), file
    assert (tmp_path / "whole" / "curve.csv").read_text() == (tmp_path / "killed" / "curve.csv").read_text()


@pytest.mark.slow
def test_two_processes_train_as_one(labelled_volumes: Path, tmp_path: Path) -> None:
    """Half the batch on each: the same weights after the same steps, if the network has no statistics of a batch."""
    bundle = copy_with_random_weights(SMALLEST, tmp_path / "copy")
    plain: dict[str, Any] = {
        "network_def": {
            "_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 4, "norm": "instance",
            "channels": [8, 16, 32], "strides": [2, 2],
        },
        "loss": {"_target_": "DiceCELoss", "to_onehot_y": True, "softmax": True},
        # Adam would blow rounding up where a gradient is zero, as that of a bias before a norm
        "optimizer": {"_target_": "torch.optim.SGD", "params": "$@network.parameters()", "lr": "@learning_rate"},
        "amp": False,
    }  # fmt: skip
    (bundle / "configs" / "plain.json").write_text(json.dumps(plain))
    results = []
    for processes, overlay in ((1, []), (2, ["multi_gpu_train.json"])):
        configs = ["train.json", "plain.json", *overlay]
        output = tmp_path / f"of_{processes}"
        options = {"dataset_dir": labelled_volumes, "split": labelled_volumes / "split.json", "train_part": "train",
                   "val_part": "val", "epochs": 5, "val_interval": 1, "batch_size": 2 // processes, "num_workers": 0,
                   "learning_rate": 0.1, "output_dir": output, "ckpt_dir": output}  # fmt: skip
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        done = torchrun(bundle, configs, tmp_path, *arguments, processes=processes)
        assert done.returncode == 0, done.stderr
        curve = [float(row["dice"]) for row in csv.DictReader((output / "curve.csv").open())]
        results.append((torch.load(output / "model_last.pt", weights_only=True), curve))
    (one, curve_of_one), (two, curve_of_two) = results
    torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-4)
    assert len(set(curve_of_one)) > 1, "it learns"
    assert curve_of_two == pytest.approx(curve_of_one, abs=1e-3)


@pytest.mark.slow
def test_evaluation_on_two_processes(runnable_bundle: Path, labelled_data: Path, tmp_path: Path) -> None:
    options = ["--dataset_dir", str(labelled_data), "--output_dir", "two"]
    configs = ["inference.json", "evaluate.json", "multi_gpu_evaluate.json"]
    done = torchrun(runnable_bundle, configs, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert run_here(runnable_bundle, labelled_data, tmp_path / "one") == 0
    two, one = rows_of(tmp_path / "two"), rows_of(tmp_path / "one")
    for row in (*two.values(), *one.values()):
        row.pop("seconds"), row.pop("network_seconds")
    assert two == one
    assert not list((tmp_path / "two" / "report").glob("part*"))
