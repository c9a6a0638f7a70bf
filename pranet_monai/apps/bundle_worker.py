# SPDX-License-Identifier: Apache-2.0
"""A bundle in a process that does single cases for a run whose results another process collects."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from monai.bundle import ConfigParser
from pranet_monai.bundle_store import Bundle
from pranet_monai.engines.case_dataset import CaseDataset
from pranet_monai.errors import UsageError, unwrapped
from pranet_monai.reports.case_result import CaseResult

__all__ = ["BundleWorker", "RayCluster", "on_ray"]


class BundleWorker:
    """Loads a bundle's network once and processes the cases that it is called with; another process writes the tables.

    Args:
        files: the configs, of which later ones lie over earlier ones.
        settings: JSON of what the run changes in them, ``id#part`` → value, so that it isn't read as config before.
        folder: that relative paths start from.

    Raises:
        UsageError: as a run on one machine.
    """

    def __init__(self, files: Sequence[str], settings: str, folder: str) -> None:
        if Path(folder).is_dir():
            os.chdir(folder)
        parser = ConfigParser()
        parser.read_config(list(files))
        report = {"report#_target_": "pranet_monai.reports.case_result.WorkersReport"}
        parser.update({**json.loads(settings), **report, "dataset#data": []})
        with unwrapped():
            self._dataset: CaseDataset = parser.get_parsed_content("dataset")
            self._runner = parser.get_parsed_content("evaluator").runner
            parser.get_parsed_content("checkpointloader")()

    def __call__(self, case: Mapping[str, Any]) -> CaseResult:
        """Does a case of ``find_cases``."""
        self._dataset.data = [case]
        return self._runner.run(self._dataset[0])


class RayCluster(NamedTuple):
    """Where a run has its cases done.

    Attributes:
        workers: how many; None for one per GPU, without GPUs one per two CPUs.
        address: of the cluster; None makes one on this machine, which ends with the run.
    """

    workers: int | None = None
    address: str | None = None


def on_ray(bundle: Bundle, configs: Sequence[str], settings: Mapping[str, Any], cluster: RayCluster) -> dict[str, Any]:
    """What lets a bundle's run have its cases done on a Ray cluster.

    Args:
        bundle: whose.
        configs: names of its configs.
        settings: what the run changes in them.
        cluster: the cluster.

    Returns:
        Further changes, ``id`` → value.

    Raises:
        UsageError: Ray isn't installed.
    """
    if find_spec("ray") is None:
        raise UsageError("--engine ray: found no ray; fix: pip install 'pranet-monai[ray]'")
    build = {
        "_target_": "pranet_monai.apps.bundle_worker.BundleWorker",
        "_mode_": "callable",
        "files": [str(bundle.config(name)) for name in configs],
        "settings": json.dumps({"bundle_root": str(bundle.folder), **settings}),
        "folder": os.getcwd(),
    }
    schedule = {
        "_target_": "pranet_monai.engines.ray_schedule.RaySchedule",
        "cases": "$@dataset.data",
        "build": build,
        "workers": cluster.workers,
        "address": cluster.address or "local",
        "gpus": settings.get("device") != "cpu",
    }
    return {"dataloader": schedule}
