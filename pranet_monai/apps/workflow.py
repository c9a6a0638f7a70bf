# SPDX-License-Identifier: Apache-2.0
"""A bundle's own configs run by MONAI, as ``python -m monai.bundle run`` does: the same code, the same voxels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from monai.bundle import ConfigParser, ConfigWorkflow
from pranet_monai.apps.bundle_run import check_device
from pranet_monai.apps.endings import own_command
from pranet_monai.apps.overrides import check_ids
from pranet_monai.bundle_store import Bundle
from pranet_monai.errors import unwrapped
from pranet_monai.quiet import quiet

__all__ = [
    "MIRRORED",
    "SETUP_LOGGERS",
    "as_path",
    "device_of",
    "is_distributed",
    "mirrored",
    "run_workflow",
    "runtime_options",
    "slice_inferer_id",
]

MIRRORED = [[0], [1], [0, 1]]  # the inferer's tta for every mirroring of a slice
SETUP_LOGGERS = ("monai.bundle.workflows", "timm.models._builder")
"""They report how MONAI and timm set themselves up, which does not help a user who wants masks."""


def run_workflow(
    bundle: Bundle,
    configs: Sequence[str],
    workflow_type: Literal["inference", "training"],
    options: Mapping[str, Any],
    overrides: Mapping[str, Any],
    tracking: str | None = None,
) -> int:
    """Runs configs of a bundle, of which later ones lie over earlier ones.

    Args:
        bundle: whose.
        configs: their names, such as "inference".
        workflow_type: what MONAI calls it.
        options: id → value, known to be in the config.
        overrides: ``id#part`` → value, as a user has given them; they go before `options`.
        tracking: as in ``monai.bundle run``.

    Returns:
        The exit code that ``monai.bundle run`` would end with: 0, 1 when cases failed, 2 after wrong use that it named.

    Raises:
        UsageError: an override isn't in the config, or a component can't be made of what it is given.
    """
    files = [str(bundle.config(name)) for name in configs]
    check_ids({id: id for id in overrides}, files)
    try:
        with own_command(), quiet(*SETUP_LOGGERS), unwrapped():
            workflow = ConfigWorkflow(
                config_file=files,
                workflow_type=workflow_type,
                logging_file=False,
                tracking=tracking,
                **{"bundle_root": str(bundle.folder), **options, **overrides},
            )
            workflow.initialize()
            workflow.run()
            workflow.finalize()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def mirrored(bundle: Bundle) -> dict[str, Any]:
    """The option that averages over mirrored passes."""
    config = ConfigParser.load_config_file(str(bundle.config("inference")))
    return {f"{slice_inferer_id(config)}#tta": MIRRORED}


def slice_inferer_id(config: Mapping[str, Any]) -> str:
    """Where an ``inference.json`` has the inferer over slices: a MultiViewInferer holds one for all its views."""
    return "inferer#inferer" if "inferer" in config["inferer"] else "inferer"


def device_of(name: str | None) -> dict[str, str]:
    """The option that names a device; none leaves the bundle its choice.

    Raises:
        UsageError: there is no such device.
    """
    if name is None:
        return {}
    check_device(name, "--device")
    return {"device": name}


def runtime_options(runtime: str | Path | None, precision: str | None) -> dict[str, str]:
    """The options that say what runs the network; none leaves the bundle its choice."""
    given = {"runtime": None if runtime is None else as_path(runtime), "precision": precision}
    return {name: value for name, value in given.items() if value is not None}


def as_path(path: str | Path) -> str:
    """A path that a config takes for text, even where it begins like an expression of MONAI's."""
    text = str(path)
    return f"./{text}" if text[:1] in ("$", "@", "%") else text


def is_distributed() -> bool:
    """Whether torchrun has started this process with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1
