# SPDX-License-Identifier: Apache-2.0
"""A bundle as a model of MONAI Label: the same voxels as ``pranet-monai segment`` gives."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.transform.writer import write_itk
from monailabel.utils.others.generic import device_list, name_to_device
from pranet_monai.apps.segmenter import Segmentation, Segmenter
from pranet_monai.bundle_store import Bundle
from pranet_monai.bundle_store.served import weights_files, weights_line
from pranet_monai.errors import UsageError
from pranet_monai.label.options import changes, shown

__all__ = ["BundleSegmentation"]

_log = logging.getLogger(__name__)


class BundleSegmentation(InferTask):
    """Segments a case of the server's studies when a client asks for it.

    Args:
        bundle: that is served.
    """

    def __init__(self, bundle: Bundle) -> None:
        outputs = bundle.metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        labels = {name.lower(): int(number) for number, name in outputs.items() if name.lower() != "background"}
        super().__init__(InferType.SEGMENTATION, labels, 3, bundle.metadata.get("description", ""))
        self.bundle = bundle
        self._inference: dict[str, Any] = json.loads(bundle.config("inference").read_text(encoding="utf-8"))
        self._loaded: tuple[Any, Segmenter] | None = None
        self._one_at_a_time = Lock()
        _log.info("%s: segments with %s", bundle.name, weights_line(bundle, weights_files(bundle)[0]))

    def is_valid(self) -> bool:
        """An app serves only what it has checked."""
        return True

    def config(self) -> dict[str, Any]:
        """The options that clients show; the first of a list is what counts where a client says nothing."""
        return {"device": device_list(), **shown(self._inference), "model_filename": weights_files(self.bundle)}

    def info(self) -> dict[str, Any]:
        """What clients are told, with the weights that count at this moment."""
        now = weights_line(self.bundle, weights_files(self.bundle)[0])
        return {
            **super().info(),
            "description": f"{self.description}; {now}",
            "version": self.bundle.metadata["version"],
        }

    def __call__(self, request: Mapping[str, Any], callbacks: Any = None) -> tuple[str, dict[str, Any]]:
        """Segments one case.

        Args:
            request: ``image``, the file; ``result_extension``; and the options that were chosen.
            callbacks: as MONAI Label's own models take them; there are no steps to call back from.

        Returns:
            A file with the mask, and what a client may show beside it.
        """
        begin = time.time()
        with self._one_at_a_time:
            segmenter, weights = self._segmenter(request)
            result = segmenter(request["image"])
        target = _write(result, request.get("result_extension") or ".nii.gz")
        said = {
            "label_names": self.labels,
            "weights": weights_line(self.bundle, weights),
            "latencies": {"total": round(time.time() - begin, 2)},
            "centroids": {},
        }
        if result.judgements:  # one for each frame
            said["expected_dice"] = [dict(judgement.expected_dice) for judgement in result.judgements]
            said["review"] = any(judgement.review for judgement in result.judgements)
        return target, said

    def _segmenter(self, request: Mapping[str, Any]) -> tuple[Segmenter, str]:
        """The bundle as it was asked for, kept for the next request, and the name of its weights."""
        offered = weights_files(self.bundle)
        name = _first(request.get("model_filename")) or offered[0]
        if name not in offered:
            raise UsageError(f"model_filename {name}: found no such weights; allowed: {', '.join(offered)}")
        path = self.bundle.folder / "models" / name
        device = name_to_device(_first(request.get("device")))
        overrides = {**changes(self._inference, request), "checkpointloader#load_path": str(path)}
        key = (device, overrides, path.stat().st_mtime_ns)
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None  # two networks at once would need twice the memory
            self._loaded = key, Segmenter(self.bundle.folder, device, overrides=overrides)
        return self._loaded[1], name


def _first(choice: Any) -> Any:
    """What was chosen by a client that sends back the list that it was offered."""
    return choice[0] if isinstance(choice, list) and choice else choice


def _write(result: Segmentation, ending: str) -> str:
    """The mask in a file of its own, which the server sends and removes."""
    handle, target = tempfile.mkstemp(suffix=ending)
    os.close(handle)
    try:
        return _written(result, target, ending)
    except BaseException:
        Path(target).unlink(missing_ok=True)
        raise


def _written(result: Segmentation, target: str, ending: str) -> str:
    if ending in (".nii", ".nii.gz"):
        return str(result.save(target))
    mask = result.mask
    if mask.ndim > 3:
        raise UsageError(f"result_extension {ending}: found a cine of {mask.shape[3]} frames; allowed for it: .nii.gz")
    write_itk(mask.reshape(mask.shape + (1,) * (3 - mask.ndim)), target, result.affine, None, True)
    return target
