# SPDX-License-Identifier: Apache-2.0
"""Packed bundles pass the style checks of MONAI's model zoo, with the settings of its repository."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from pranet_monai.apps.pack import pack_bundle

from tests.bundles.conftest import SMALLEST

pytestmark = pytest.mark.e2e

TOOLS = ("black", "isort", "flake8", "flake8-bugbear", "flake8-comprehensions", "flake8-executable", "pep8-naming")
# github.com/Project-MONAI/model-zoo: setup.cfg, pyproject.toml and the commands of runtests.sh
SETTINGS = {
    "setup.cfg": """
[flake8]
select = B,C,E,F,N,P,T4,W,B9
max_line_length = 120
ignore = E203,E501,E741,W503,W504,C408,N812,B023,B905,B028,B907,C419
per_file_ignores = __init__.py: F401, __main__.py: F401
exclude = *.pyi,.git,.eggs,monai/_version.py,versioneer.py,venv,.venv,_version.py

[isort]
known_first_party = models
profile = black
line_length = 120
skip = .git, .eggs, venv, .venv, versioneer.py, _version.py, conf.py
skip_glob = *.pyi
""",
    "pyproject.toml": """
[tool.black]
line-length = 120
target-version = ['py37', 'py38', 'py39']
include = '\\.pyi?$'
""",
}
CHECKS = {
    "isort": ("--check", "."),
    "black": ("--skip-magic-trailing-comma", "--check", "."),
    "flake8": (".", "--count", "--statistics"),
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment with the zoo's tools."""
    folder = tmp_path_factory.mktemp("tools")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", f"--python={python}", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "install", *TOOLS], check=True, timeout=600)
    return python


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the zoo's repository, with a packed bundle in ``models/``; all bundles hold the same code."""
    folder = tmp_path_factory.mktemp("zoo")
    for name, text in SETTINGS.items():
        (folder / name).write_text(text)
    with zipfile.ZipFile(pack_bundle(SMALLEST, folder)) as archive:
        archive.extractall(folder / "models")
    return folder


@pytest.mark.parametrize(("tool", "arguments"), CHECKS.items(), ids=str)
def test_code_passes(tool: str, arguments: Sequence[str], python: Path, zoo: Path) -> None:
    done = subprocess.run([python, "-m", tool, *arguments], cwd=zoo, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
