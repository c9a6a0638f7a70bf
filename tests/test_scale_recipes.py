# SPDX-License-Identifier: Apache-2.0
"""The recipes for many machines: files that parse, and commands with options that exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pranet_monai.__main__ import _parser

from .bundles.conftest import ROOT

RECIPES = ROOT / "examples" / "scale"
GUIDE = ROOT / "docs" / "scale.md"
FILES = [GUIDE, *sorted(RECIPES.iterdir())]


def commands(path: Path) -> list[list[str]]:
    """Every ``pranet-monai …`` in a file, as a shell would split it."""
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    text = re.sub(r"--quiet --resume\n\s+", "--quiet --resume ", text)  # yaml folds the command of the Kubernetes job
    text = re.sub(r"\$\(\(.*?\)\)/\$SHARDS", "3/8", text)
    found = re.findall(
        r"pranet[-_]monai ((?:segment|merge) [^\n`|,]*?)(?=[`\n|,]|\" *$|\"\n| in any|$)", text, re.MULTILINE
    )
    return [shlex.split(command.rstrip('"'), comments=True) for command in found if "/" in command or " " in command]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_are_understood(path: Path) -> None:
    found = commands(path)
    assert found, "a recipe has a command"
    for words in found:
        args = _parser().parse_args([re.sub(r"^\$\w+$", "somewhere", word) for word in words])
        assert args.command in ("segment", "merge")


def test_the_job_of_kubernetes_is_one() -> None:
    job = yaml.safe_load((RECIPES / "kubernetes.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed"
    (container,) = spec["template"]["spec"]["containers"]
    assert {"name": "SHARDS", "value": str(spec["completions"])} in container["env"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}


def test_the_cluster_of_ray_has_what_its_launcher_wants() -> None:
    cluster = yaml.safe_load((RECIPES / "ray_cluster.yaml").read_text())
    assert {"cluster_name", "provider", "auth", "head_start_ray_commands", "worker_start_ray_commands"} <= set(cluster)
    assert len(cluster["provider"]["worker_ips"]) == cluster["max_workers"]


def test_the_shell_of_kubernetes_counts_from_one(tmp_path: Path) -> None:
    job = yaml.safe_load((RECIPES / "kubernetes.yaml").read_text())
    (script,) = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert run_with_fake_command(tmp_path, ["bash", "-c", script], JOB_COMPLETION_INDEX="0", SHARDS="100").endswith(
        "--shard 1/100"
    )


def test_the_job_of_slurm_asks_for_its_shard(tmp_path: Path) -> None:
    script = ["bash", str(RECIPES / "slurm.sh"), "my volumes", "out", "acdc"]
    assert run_with_fake_command(tmp_path, script) == (
        "segment my volumes out --bundle acdc --shard slurm --resume --quiet"
    )


def run_with_fake_command(folder: Path, command: list[str], **environment: str) -> str:
    """What a script gives to ``pranet-monai``, which here says so."""
    fake = folder / "pranet-monai"
    fake.write_text(f"#!{sys.executable}\nimport sys\nprint(' '.join(sys.argv[1:]))\n")
    fake.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(command, env={**environment, "PATH": path}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#:]+)\)", GUIDE.read_text(encoding="utf-8")))
def test_links_lead_somewhere(name: str) -> None:
    assert (GUIDE.parent / name).exists()
