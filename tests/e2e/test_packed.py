# SPDX-License-Identifier: Apache-2.0
"""A packed bundle where this package isn't: by the instructions that ``pack`` prints, and by the model zoo's rules."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pranet_monai.__main__ import main
from pranet_monai.data.phantom import write_phantom

from tests.bundles.conftest import SMALLEST

pytestmark = pytest.mark.e2e

QUIET = ("-m", "pip", "--quiet", "--disable-pip-version-check")
TORCH = ("torch", "torchvision")  # gigabytes: lent by this environment


def clean() -> dict[str, str]:
    """The variables of this process without those that lead to this checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PRANET_MONAI"))}


def call(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, env=clean(), cwd=cwd, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def new_environment(folder: Path) -> Path:
    """Python of a new environment with nothing in it."""
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


def lend(python: Path, names: tuple[str, ...], but: set[str]) -> None:
    """Links distributions of this environment, and what they need, into another."""
    site = Path(call(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    waiting, seen = [canonicalize_name(name) for name in names], set(but)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        distribution = metadata.distribution(name)
        needed = [Requirement(line) for line in distribution.requires or []]
        waiting += [canonicalize_name(r.name) for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
        for top in {path.parts[0] for path in distribution.files or [] if path.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))


def printed_commands(target: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What ``pack`` prints to paste where this package isn't."""
    capsys.readouterr()
    assert main(["pack", str(SMALLEST), "--output-dir", str(target)]) == 0
    said = capsys.readouterr().out
    return [line for line in said.splitlines() if line.startswith(("python ", "pip "))]


def test_the_printed_instructions_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_phantom(tmp_path / "sample", 1)
    assert main(["segment", str(tmp_path / "sample"), str(tmp_path / "here"), "--bundle", str(SMALLEST)]) == 0
    unzip, install, run = printed_commands(tmp_path / "dist", capsys)

    packages = install.split()[2:]
    names = {canonicalize_name(Requirement(package).name) for package in packages}
    python = new_environment(tmp_path / "venv")
    lend(python, TORCH, but=names - set(TORCH))
    wanted = [package for package in packages if Requirement(package).name not in TORCH]
    call(sys.executable, *QUIET, f"--python={python}", "install", *wanted)

    pasted = f"{unzip}\n{run}".replace("VOLUMES", str(tmp_path / "sample")).replace("RESULTS", str(tmp_path / "there"))
    call("bash", "-euc", f"PATH={python.parent}:$PATH\n{pasted}", cwd=tmp_path / "dist")
    expected = sorted((tmp_path / "here").rglob("*_seg.nii.gz"))
    assert expected
    for path in expected:
        again = nib.load(tmp_path / "there" / path.relative_to(tmp_path / "here"))
        assert np.array_equal(np.asarray(again.dataobj), np.asarray(nib.load(path).dataobj))
