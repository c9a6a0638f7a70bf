# SPDX-License-Identifier: Apache-2.0
"""Training through the bundles: weights that the bundle itself can run, on one device and on several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigWorkflow

from .conftest import SMALLEST, copy_with_random_weights, params, training_options
from .test_run import rows_of, run_here

RECIPES = [SMALLEST.with_name(f"{name}_segmentation") for name in ("synapse_emcad_dsra", "polyp_pvt_pranet_v2")]


@pytest.fixture(params=params([SMALLEST, *RECIPES], lambda folder: folder != SMALLEST))
def runnable_bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one bundle of each recipe, with random weights."""
    return copy_with_random_weights(request.param, tmp_path)


def test_training_makes_weights_that_the_bundle_runs(
    runnable_bundle: Path, labelled_data: Path, tmp_path: Path
) -> None:
    shipped = (runnable_bundle / "models" / "model.pt").read_bytes()
    workflow = ConfigWorkflow(
        config_file=str(runnable_bundle / "configs" / "train.json"),
        workflow_type="train",
        logging_file=False,
        bundle_root=str(runnable_bundle),
        output_dir=str(tmp_path / "runs"),
        **training_options(labelled_data),
        epochs=1,
        val_interval=1,
        batch_size=2,
        num_workers=0,
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    assert (runnable_bundle / "models" / "model.pt").read_bytes() == shipped
    trained = runnable_bundle / "models" / "model_trained.pt"
    weights = torch.load(trained, weights_only=True)
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert (
        run_here(runnable_bundle, labelled_data, tmp_path / "out", **{"checkpointloader#load_path": str(trained)}) == 0
    )


def torchrun(bundle: Path, configs: list[str], folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    files = [str(bundle / "configs" / name) for name in configs]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
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
def test_evaluation_on_two_processes(runnable_bundle: Path, labelled_data: Path, tmp_path: Path) -> None:
    options = ["--dataset_dir", str(labelled_data), "--output_dir", "two"]
    configs = ["inference.json", "evaluate.json", "multi_gpu_evaluate.json"]
    done = torchrun(runnable_bundle, configs, tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert run_here(runnable_bundle, labelled_data, tmp_path / "one") == 0
    two, one = rows_of(tmp_path / "two"), rows_of(tmp_path / "one")
    for row in (*two.values(), *one.values()):
        row.pop("seconds")
    assert two == one
    assert not list((tmp_path / "two" / "report").glob("part*"))
