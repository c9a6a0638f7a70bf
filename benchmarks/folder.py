# SPDX-License-Identifier: Apache-2.0
"""A folder of labelled volumes, everything included, against a former commit of this project, in one run.

    git worktree add /tmp/before 37785ab
    python benchmarks/folder.py --data ACDC/imagesTr --labels ACDC/labelsTr --against /tmp/before

Each program does the folder's first cases, and the first of them alone: the difference is what the others cost, with
loading, network, masks, metrics, pictures, tables and page, but without start-up. The programs take turns; the least
wall time and processor time (of all processes) of the repeats count. Then the network alone does the same cases, loaded
before: how much of the folder's time isn't its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from pranet_monai.apps.overrides import parsed

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = Path("bundles/acdc_emcad_dsra_segmentation")
Clocks = np.ndarray
"""Seconds of wall time and of processor time."""


def first_cases(arguments: argparse.Namespace, number: int, folder: Path) -> Path:
    """A folder of links to the first images and their references."""
    for name, source in (("imagesTr", arguments.data), ("labelsTr", arguments.labels)):
        (folder / name).mkdir(parents=True)
        for path in sorted(source.glob("*.nii.gz"))[:number]:
            (folder / name / path.name).symlink_to(path.resolve())
    return folder


def run(checkout: Path, options: list[str], data: Path, output: Path) -> Clocks:
    """What one run of the bundle's command costs, start-up included."""
    bundle = checkout / BUNDLE
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", "run", "--config_file"]
    command += [str(bundle / "configs" / "inference.json"), "--bundle_root", str(bundle)]
    command += ["--dataset_dir", str(data), "--output_dir", str(output), "--quiet", "True", *options]
    before = processor_seconds()
    started = time.perf_counter()
    place = {"cwd": checkout, "env": {**os.environ, "PYTHONPATH": str(checkout)}}  # python -m looks in both
    done = subprocess.run(command, capture_output=True, text=True, check=False, **place)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{checkout}: {done.stderr[-2000:]}")
    return np.array([time.perf_counter() - started, processor_seconds() - before])


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def changes(options: list[str]) -> dict[str, Any]:
    """The ids and values of ``--id value`` and ``--id=value``, as the command reads them."""
    words = [word for option in options for word in option.split("=", 1)]
    return parsed(f"{name.lstrip('-')}={value}" for name, value in zip(words[::2], words[1::2], strict=True))


def network_alone(options: list[str], data: Path, repeats: int) -> float:
    """Least seconds that the network takes for the cases but the first."""
    config = ConfigParser()
    config.read_config(str(ROOT / BUNDLE / "configs" / "inference.json"))
    config.update({"bundle_root": str(ROOT / BUNDLE), "dataset_dir": str(data), **changes(options)})
    with tempfile.TemporaryDirectory() as output:
        config.update({"output_dir": output})
        config.get_parsed_content("checkpointloader")()
        runner = config.get_parsed_content("evaluator").runner
        images = [item["image"] for item in config.get_parsed_content("dataset")]
        runner.answer(images[0])
        return min(sum(runner.answer(image)["network_seconds"] for image in images[1:]) for _ in range(repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of images")
    parser.add_argument("--labels", type=Path, required=True, help="folder of their references, of the same names")
    parser.add_argument("--against", type=Path, help="checkout of the former commit")
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("options", nargs="*", help="of this checkout's run, after --, such as -- --workers 0")
    arguments = parser.parse_args()
    programs = {"this checkout": (ROOT, arguments.options)}
    if arguments.against:
        programs["former commit"] = (arguments.against.resolve(), [])
    costs: dict[str, list[Clocks]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        folder, single = (first_cases(arguments, n, work / f"data{n}") for n in (arguments.cases, 1))
        for turn in range(arguments.repeats):
            for name, (checkout, options) in programs.items():
                output = work / f"{turn}{name}"
                costs[name].append(
                    run(checkout, options, folder, output) - run(checkout, options, single, output / "1")
                )
        network = network_alone(arguments.options, folder, arguments.repeats)
    others = arguments.cases - 1
    print(f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
          f"load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, torch {torch.__version__}, "
          f"monai {version('monai')}")  # fmt: skip
    print(f"{others} cases after the first, options {arguments.options or 'as shipped'}")
    least = {name: np.min(measured, axis=0) / others for name, measured in costs.items()}
    for name, (wall, processor) in least.items():
        print(f"{name}: {wall:.3f} s a case, {processor:.3f} s of processors")
    share = least["this checkout"][0] * others / network
    print(f"network alone: {network / others:.3f} s a case; the folder takes {share:.2f} times as long")
    if "former commit" in least:
        wall, processor = least["former commit"] / least["this checkout"]
        print(f"wall time: {wall:.2f} times as fast; processor time: {processor:.2f} times less")


if __name__ == "__main__":
    main()
