# SPDX-License-Identifier: Apache-2.0
"""Runs of the real command in this process, on a network that needs no time."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import torch
from pranet_monai.__main__ import main

from .heart import PIXEL_MM

NETWORKS = {"acdc": {"in_channels": 1, "out_channels": 4}, "polyp": {"in_channels": 3, "out_channels": 1}}


def segment(
    source: str | Path, output: str | Path, weights: Path, bundle: str = "acdc", *options: str
) -> tuple[int, str]:
    """``pranet-monai segment`` by a bundle's own config; returns the exit code and what was said."""
    if not weights.is_file():
        torch.save({}, weights)
    network = {"_target_": "tests.robustness.heart.Bright", **NETWORKS[bundle]}
    said = io.StringIO()
    overrides = [f"network_def={json.dumps(network)}", f"checkpointloader#load_path={weights}"]
    if bundle == "acdc":
        overrides.append(f"pixdim={[PIXEL_MM, PIXEL_MM]}")
    words = ["segment", str(source), str(output), "--bundle", bundle, "--quiet", *options]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = main([*words, *(word for override in overrides for word in ("--set", override))])
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
    return code, said.getvalue()
