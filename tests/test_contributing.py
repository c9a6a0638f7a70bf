# SPDX-License-Identifier: Apache-2.0
"""The recipes of CONTRIBUTING.md, followed to the letter on a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .bundles.conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BUNDLE = "bundles/my_data_emcad_segmentation"

CHECK_NETWORKS = """
import torch
from monai.networks.nets import FlexibleUNet
from pranet_monai.networks.nets import EMCADNet

with torch.device("meta"):  # shapes only
    assert EMCADNet(out_channels=2, backbone="convnext_tiny").eval()(torch.empty(1, 1, 64, 64)).shape == (1, 2, 64, 64)
    assert FlexibleUNet(3, 2, "convnext_tiny")(torch.empty(1, 3, 64, 64)).shape == (1, 2, 64, 64)
{recipe}
stages = net.train()(torch.rand(2, 1, 64, 64))
assert [tuple(m.shape) for m in stages.foreground + stages.background] == [(2, 4, 64, 64)] * 8
torch.jit.script(net.eval())
"""


def recipe(name: str) -> str:
    """The fenced block after ``<!-- recipe: name -->``."""
    match = re.search(rf"^( *)<!-- recipe: {name} -->\n *```\w+\n(.*?)^ *```$", TEXT, re.DOTALL | re.MULTILINE)
    assert match, f"CONTRIBUTING.md has no block marked recipe: {name}"
    return textwrap.dedent(match[2])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which every recipe was followed."""
    root = tmp_path_factory.mktemp("project")
    package = root / "pranet_monai"
    shutil.copytree(ROOT / "pranet_monai", package, ignore=shutil.ignore_patterns("__pycache__"))
    append(package / "networks" / "backbones" / "registry.py", recipe("backbone"))
    (package / "networks" / "decoders" / "fpn.py").write_text(recipe("decoder"), encoding="utf-8")
    labels = package / "data" / "labels.py"
    before, head, after = labels.read_text(encoding="utf-8").partition("    for record in (\n")
    labels.write_text(before + head + f"        {recipe('labels').strip()},\n" + after, encoding="utf-8")

    shutil.copy(ROOT / "LICENSE", root)
    pattern = ROOT / "bundles" / "acdc_emcad_dsra_segmentation"
    for name in ("bundle.yaml", "docs/README.md", "docs/data_license.txt"):
        (root / BUNDLE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pattern / name, root / BUNDLE / name)
    facts = (root / BUNDLE / "bundle.yaml").read_text(encoding="utf-8")
    for line in recipe("bundle").splitlines():
        facts, count = re.subn(rf"^{line.split(':')[0]}:.*$", line, facts, flags=re.MULTILINE)
        assert count == 1, f"the pattern has no line to change into {line!r}"
    (root / BUNDLE / "bundle.yaml").write_text(facts, encoding="utf-8")
    return root


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" + text)


def python(project: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(project)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_new_backbone_and_new_decoder_make_a_network(project: Path) -> None:
    python(project, "-c", CHECK_NETWORKS.format(recipe=recipe("network")))


def test_new_data_set_and_new_bundle_are_built(project: Path) -> None:
    python(project, "-m", "pranet_monai", "build-bundles")
    config = json.loads((project / BUNDLE / "configs" / "train.json").read_text(encoding="utf-8"))
    assert config["network_def"]["out_channels"] == 3
    assert config["label_map"]["name"] == "my_data"
    assert "random_8_2" in json.dumps(config)
    metadata = json.loads((project / BUNDLE / "configs" / "metadata.json").read_text(encoding="utf-8"))
    channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert channels == {"0": "background", "1": "liver", "2": "spleen"}
