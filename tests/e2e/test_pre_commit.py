# SPDX-License-Identifier: Apache-2.0
"""The hooks of pre-commit, run on a clone: they pass on what is committed, and refuse a bad commit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ..bundles.conftest import ROOT

pytestmark = pytest.mark.e2e
BAD = 'import os\n\nname: int = "text" \n'


def call(folder: Path, *command: str, skip: str = "") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "SKIP": skip, "PRE_COMMIT_HOME": str(folder.parent / "cache")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone") / "project"
    made = call(ROOT, "git", "clone", "--quiet", "--shared", str(ROOT), str(folder))
    if made.returncode:
        pytest.skip(f"no checkout to clone: {made.stderr}")
    return folder


def test_nothing_is_fetched() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {hook["language"] for repository in config["repos"] for hook in repository["hooks"]} == {"system"}


def test_hooks_pass_on_what_is_committed(clone: Path) -> None:
    done = call(clone, "pre-commit", "run", "--all-files", "--show-diff-on-failure")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(no files to check)" not in done.stdout


def test_a_bad_commit_is_refused(clone: Path) -> None:
    (clone / "pranet_monai" / "bad.py").write_text(BAD, encoding="utf-8")
    assert call(clone, "pre-commit", "install").returncode == 0
    call(clone, "git", "add", "pranet_monai/bad.py")
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    done = call(clone, "git", *author, "commit", "-m", "bad", skip="build-bundles")
    assert done.returncode != 0
    failed = [line.partition("..")[0] for line in (done.stdout + done.stderr).splitlines() if line.endswith("Failed")]
    assert failed == ["no space at the end of a line", "ruff check", "mypy"]
