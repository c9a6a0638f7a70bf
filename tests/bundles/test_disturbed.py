# SPDX-License-Identifier: Apache-2.0
"""Workers, shards and the driver killed at random: in the end the rows and voxels of an undisturbed run."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from .conftest import SMALLEST, copy_with_random_weights
from .test_run import image_like

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
COUNT = 12


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_with_random_weights(SMALLEST, tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good cases with and without references, a cine, and a bad one."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(COUNT):
        image = image_like((48, 40, 4), seed=number)
        nib.save(image, folder / f"case{number:02d}.nii.gz")
        if number % 2:
            reference = (np.asarray(image.dataobj) > 700).astype(np.uint8)
            nib.save(nib.Nifti1Image(reference, image.affine), folder / f"case{number:02d}_gt.nii.gz")
    nib.save(image_like((40, 36, 3, 2)), folder / "cine.nii.gz")
    (folder / "words.nii").write_text("this is no volume")
    return folder


def command(bundle: Path, data: Path, out: Path, *options: str) -> list[str]:
    segment = [sys.executable, "-m", "pranet_monai", "segment", str(data), str(out), "--bundle", str(bundle), "--quiet"]
    return [*segment, *options]


def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rows(out: Path, table: str) -> list[dict[str, str]]:
    """Of a table, by name, without what depends on the run and not on the case."""
    with (out / "report" / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        found = [{key: value for key, value in row.items() if "seconds" not in key} for row in csv.DictReader(file)]
    for row in found:
        row["status"] = {"skipped": "ok"}.get(row["status"], row["status"])
        row["reason"] = row.get("reason", "").replace("kept from an earlier run", "")
    return sorted(found, key=lambda row: (row["case"], row.get("organ", "")))


def masks(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*_seg.nii.gz")}


@pytest.fixture(scope="module")
def undisturbed(bundle: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    assert start(command(bundle, data, out)).wait() == 1, "a case fails"
    assert len(masks(out)) == COUNT + 1
    return out


def assert_same(out: Path, undisturbed: Path) -> None:
    for table in ("cases", "metrics"):
        assert rows(out, table) == rows(undisturbed, table)
    assert masks(out) == masks(undisturbed)
    pictures = {path.name for path in (undisturbed / "report" / "previews").rglob("*.png")}
    assert {path.name for path in (out / "report" / "previews").rglob("*.png")} == pictures
    left = [path.name for path in out.rglob(".*") if path.name != ".cases.json"]
    assert left == [], "no half file and no lock is left"


def kill_after(process: subprocess.Popen[bytes], out: Path, count: int) -> None:
    """Kills a run as soon as so many masks are there."""
    deadline = time.monotonic() + 300
    while len(masks(out)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("seed", [0, 1])
def test_shards_killed_at_random(bundle: Path, data: Path, undisturbed: Path, tmp_path: Path, seed: int) -> None:
    chance, waiting = random.Random(seed), ["1/3", "2/3", "3/3"]
    for text in waiting:
        process = start(command(bundle, data, tmp_path, "--shard", text, "--resume"))
        if chance.random() < 0.7:
            kill_after(process, tmp_path, len(masks(tmp_path)) + chance.randint(1, 3))
        process.wait()
    subprocess.run([sys.executable, "-m", "pranet_monai", "merge", str(tmp_path)], check=False, capture_output=True)
    for text in chance.sample(waiting, 3):
        start(command(bundle, data, tmp_path, "--shard", text, "--resume")).wait()
    for _ in range(2):
        merge = [sys.executable, "-m", "pranet_monai", "merge", str(tmp_path), "--input", str(data)]
        assert subprocess.run(merge, check=False, capture_output=True).returncode == 1, "a case fails"
        assert_same(tmp_path, undisturbed)


def workers_of(driver: int) -> list[int]:
    """Processes with a network of their own: Ray's actors among what the run has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            name, status = path.read_bytes(), (path.parent / "environ").read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::_Actor") and f"DISTURBED_BY={driver}".encode() in status:
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("seed", [0])
def test_ray_workers_and_driver_killed_at_random(
    bundle: Path, data: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    pytest.importorskip("ray", reason="Ray has no wheel for this Python")
    monkeypatch.setenv("DISTURBED_BY", str(os.getpid()))
    chance, kills = random.Random(seed), 0
    driver = start(command(bundle, data, tmp_path, "--engine", "ray", "--workers", "2"))
    kill_after(driver, tmp_path, chance.randint(2, 4))
    assert 0 < len(masks(tmp_path)) < COUNT + 1, "the driver must be killed half-way for this test to say something"
    time.sleep(3)  # Ray ends what the driver has started
    driver = start(command(bundle, data, tmp_path, "--engine", "ray", "--workers", "2", "--resume"))
    while driver.poll() is None:
        done = len(masks(tmp_path))
        while len(masks(tmp_path)) == done and driver.poll() is None:
            time.sleep(0.02)
        for worker in workers_of(os.getpid()):
            if kills < 3 and chance.random() < 0.6:
                os.kill(worker, signal.SIGKILL)
                kills += 1
    assert driver.returncode == 1, "a case fails, of itself"
    assert kills > 0
    assert_same(tmp_path, undisturbed)
