# SPDX-License-Identifier: Apache-2.0
"""The facts that let others repeat a run: versions, hardware, weights, command line. Paths are left as they are."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from pranet_monai import __version__
from pranet_monai.storage.hashing import file_sha256

__all__ = ["environment", "weights_record"]

LIBRARIES = ("torch", "monai", "timm", "pytorch-ignite", "numpy", "scipy", "nibabel", "matplotlib")


def environment() -> dict[str, Any]:
    """Describe the software and the machine: ``command``, ``versions`` (null where missing) and ``hardware``."""
    # where Python and the script lie on this machine is of no use elsewhere
    words = [Path(word).name if word in (sys.executable, sys.argv[0]) else word for word in sys.orig_argv[1:]]
    command = shlex.join([Path(sys.orig_argv[0]).name, *words])
    return {"command": command, "versions": _versions(), "hardware": _hardware()}


def weights_record(path: str | Path) -> dict[str, str]:
    """Identify a weights file by its name and SHA-256."""
    return {"file": Path(path).name, "sha256": file_sha256(path)}


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"pranet_monai": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[library] = None
    return versions


def _hardware() -> dict[str, Any]:
    hardware: dict[str, Any] = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "threads": None,
        "gpus": [],
    }
    torch = sys.modules.get("torch")  # a command that needed no torch isn't slowed down by asking it
    if torch is not None:
        hardware["threads"] = torch.get_num_threads()
        hardware["gpus"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return hardware


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux leaves platform.processor() empty
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
