# SPDX-License-Identifier: Apache-2.0
"""What the README says is true: its examples run, its commands, options and files exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pranet_monai.__main__ import COMMANDS, main

from .bundles.conftest import BUNDLES, ROOT, read_json

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(marker: str) -> str:
    """The fenced block after ``<!-- marker -->``."""
    match = re.search(rf"<!-- {re.escape(marker)} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert match, f"README.md has no block marked {marker!r}"
    return match[1]


@pytest.mark.parametrize("name", re.findall(r"<!-- example: (\w+) -->", README))
def test_example_runs(name: str) -> None:
    names: dict = {}
    exec(compile(block(f"example: {name}"), f"README.md ({name})", "exec"), names)
    if name == "plug":
        assert names["loss"].ndim == 0
        names["loss"].backward()
    if name == "network":
        assert names["logits"].shape == (1, 4, 224, 224)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert not [target for target in targets if not (ROOT / target).exists()]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_named_files_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w/])(?:bundles|pranet_monai|tests|benchmarks)/[\w./-]*\w", text)
    ours = [name for name in named if not re.search(r"bundles/my_|/my_|/model_trained", name)]
    assert not [name for name in ours if not (ROOT / name).exists()]


def test_commands_exist() -> None:
    named = set(re.findall(r"pranet-monai ([a-z-]+)", README))
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_of_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: pranet-monai {command}" in capsys.readouterr().out


def test_options_are_in_the_config() -> None:
    of_inference, of_training = README.split("## For scientists")
    for section, name in ((of_inference, "inference.json"), (of_training, "train.json")):
        rows = re.findall(r"^\|( `--.*?) \|", section, re.MULTILINE)
        options = [option for row in rows for option in re.findall(r"`--([\w#]+)", row)]
        assert len(options) >= 5
        for bundle in BUNDLES:
            assert {option.split("#")[0] for option in options} <= set(read_json(bundle / "configs" / name))


def test_every_bundle_is_in_the_table() -> None:
    for bundle in BUNDLES:
        assert f"| [`{bundle.name}`](bundles/{bundle.name}/docs/README.md) |" in README


@pytest.mark.slow
def test_main_command(tmp_path: Path) -> None:
    """The first command without its set-up, into a folder of the test's own."""
    words = block("command: run").replace("\\\n", " ").split("&&\n")
    commands = [shlex.split(part) for part in words if "pip install" not in part]
    assert len(commands) == 2
    for parts in commands:
        parts = [str(tmp_path / part) if part in ("sample", "results") else part for part in parts]
        parts[:1] = {"python": [sys.executable], "pranet-monai": [sys.executable, "-m", "pranet_monai"]}[parts[0]]
        done = subprocess.run(parts, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "report" / "index.html").is_file()
    images = [path for path in (tmp_path / "sample").rglob("*.nii.gz") if "labels" not in path.parent.name]
    assert len(list((tmp_path / "results").rglob("*_seg.nii.gz"))) == len(images) > 0
