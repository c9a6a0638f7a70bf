# SPDX-License-Identifier: Apache-2.0
"""Turns the authors' checkpoint into this project's weights: recognised, strictly checked, and put into a bundle."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pranet_monai.apps.bundle_weights import bundle_network, put_into_bundle, save_weights
from pranet_monai.bundle_store import find_bundle
from pranet_monai.errors import UsageError
from pranet_monai.networks.checkpoints import LoadReport, load_official_checkpoint
from pranet_monai.networks.identify import CheckpointIdentity, identify_checkpoint
from torch import nn

__all__ = ["import_checkpoint", "run"]


def import_checkpoint(
    checkpoint: str | Path, bundle: str | Path | None = None, output: str | Path | None = None
) -> tuple[CheckpointIdentity, LoadReport, Path | None]:
    """Recognise a checkpoint with the original code's key names, load it strictly and save it under our names.

    Args:
        checkpoint: the authors' file.
        bundle: the bundle (name or folder) whose ``models/model.pt`` it becomes; it must fit its ``network_def``.
        output: file to write instead, for no bundle. With neither, nothing is written.

    Returns:
        What network it is, what was loaded, and the file written, if any.

    Raises:
        UsageError: the file is missing, is no checkpoint of a known network, or doesn't fit the bundle's network.
    """
    folder = None if bundle is None else find_bundle(bundle).folder
    network, identity, report = _load(checkpoint, folder)
    if folder:
        return identity, report, put_into_bundle(network.state_dict(), folder)
    if output:
        save_weights(network.state_dict(), Path(output))
    return identity, report, Path(output) if output else None


def run(args: argparse.Namespace) -> int:
    """Imports the checkpoint and says what it is, what was dropped and what was written."""
    identity, report, target = import_checkpoint(args.checkpoint, args.bundle, args.output)
    print(f"{args.checkpoint} is {_call(identity)}")
    print(report)
    print(f"written: {target}" if target else "nothing written; name a --bundle or an --output file")
    if args.output is not None:
        print(f"a bundle takes it with --network_def '{_definition(identity)}'")
    return 0


def _definition(identity: CheckpointIdentity) -> str:
    return json.dumps({"_target_": f"pranet_monai.networks.nets.{identity.network}", **identity.arguments})


def _call(identity: CheckpointIdentity) -> str:
    arguments = ", ".join(f"{name}={value!r}" for name, value in identity.arguments.items())
    return f"{identity.network}({arguments})"


def _load(checkpoint: str | Path, folder: Path | None) -> tuple[nn.Module, CheckpointIdentity, LoadReport]:
    """The bundle's network, or without a bundle the checkpoint's own, with the checkpoint's weights."""
    identity, wanted = None, ""
    try:
        identity = identify_checkpoint(checkpoint)
        if folder is None:
            network = identity.build()
        else:
            network, definition = bundle_network(folder)
            wanted = f"{folder} has network_def {json.dumps(definition)}"
        return network, identity, load_official_checkpoint(network, checkpoint)
    except (ValueError, FileNotFoundError) as error:
        if identity is None:
            raise UsageError(str(error)) from error
        raise UsageError(
            f"{checkpoint} is {_call(identity)}, but {wanted}; fix: name a bundle of that network, or import it to an "
            f"--output file and run the bundle with that file and --network_def '{_definition(identity)}'.\n{error}"
        ) from error
