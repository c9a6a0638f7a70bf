# SPDX-License-Identifier: Apache-2.0
"""Weights into a bundle: written whole, with the hash that the bundle checks when it loads them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml
from monai.bundle import ConfigParser
from pranet_monai.apps.model_card import large_files
from pranet_monai.bundle_store import CALIBRATION, SCORES, WEIGHTS, find_bundle
from pranet_monai.engines.weights import load_weights
from pranet_monai.storage.atomic import atomic_write
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.storage.tables import write_atomically
from torch import Tensor, nn

__all__ = ["bundle_network", "mean_weights", "new_weights", "put_into_bundle", "run", "save_weights"]

_TOLD = (*SCORES, CALIBRATION)
"""What a bundle tells of its weights."""


def run(args: argparse.Namespace) -> int:
    """Checks the weights against the bundle's network, and puts them in."""
    folder = find_bundle(args.bundle).folder
    state = mean_weights(bundle_network(folder)[0], args.weights)
    target = put_into_bundle(to_half_precision(state) if args.half else state, folder)
    print(f"written: {target} ({target.stat().st_size / 1e6:.1f} MB) and its hash in {folder / 'large_files.yml'}")
    return 0


def bundle_network(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """A bundle's network with random weights, and its definition in the config."""
    config = ConfigParser()
    config.read_config(folder / "configs" / "inference.json")
    return config.get_parsed_content("network_def"), config["network_def"]


def mean_weights(network: nn.Module, files: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of several trainings' weights (Wortsman et al., "Model soups", ICML 2022); counts are the last file's.

    Args:
        network: that all of them are of.
        files: at least one.

    Raises:
        UsageError: one of them isn't weights of this network.
    """
    states = []
    for file in files:
        load_weights(network, file)
        states.append({name: value.clone() for name, value in network.state_dict().items()})
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if last.is_floating_point() else last
        for name, last in states[-1].items()
    }


def to_half_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in 16 bit, but for what batch norms have counted: variances can exceed what 16 bit hold."""
    return {
        name: value.half() if value.is_floating_point() and "running_" not in name else value
        for name, value in state.items()
    }


def put_into_bundle(state: Mapping[str, Tensor], folder: Path) -> Path:
    """Write a state dict as the weights of a bundle, and say what :func:`new_weights` has removed."""
    told = [path for path in _TOLD if (folder / path).is_file()]
    with new_weights(folder) as partial:
        torch.save(dict(state), partial)
    if gone := [path.as_posix() for path in told if not (folder / path).is_file()]:
        print(f"removed, as they were of other weights: {', '.join(gone)}")
    return folder / WEIGHTS


@contextmanager
def new_weights(folder: Path) -> Iterator[Path]:
    """A file to write a bundle's weights to; it becomes ``models/model.pt``, with its hash in ``large_files.yml``.

    A bundle refuses weights of another hash. What was found of other weights, scores and calibration, is removed.
    """
    target = folder / WEIGHTS
    with atomic_write(target) as partial:
        yield partial
        if not target.is_file() or file_sha256(target) != file_sha256(partial):
            for path in _TOLD:
                (folder / path).unlink(missing_ok=True)
    write_atomically(folder / "large_files.yml", yaml.safe_dump(large_files(folder), sort_keys=False))


def save_weights(state: Mapping[str, Tensor], target: Path) -> None:
    """Write a state dict under another name and rename it, so that the file is whole at any moment."""
    with atomic_write(target) as partial:
        torch.save(dict(state), partial)
