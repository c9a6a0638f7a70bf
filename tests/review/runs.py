# SPDX-License-Identifier: Apache-2.0
"""Finished runs without a network: the masks are drawn at random, all else is as a run leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from pranet_monai.data.cases import find_cases
from pranet_monai.forms import KindName, form_of
from pranet_monai.forms.grid import original_affine
from pranet_monai.forms.run_folder import OutputFormat
from pranet_monai.reports import CaseResult, RunReport
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import QUALITY_MAP, SaveMaskd, SaveQualityMapd

Masks = dict[str, np.ndarray]


def finished_run(
    images: Path,
    output: Path,
    kind: KindName = "volume",
    label_map: str = "acdc",
    output_format: OutputFormat = "both",
    seed: int = 0,
    resume: bool = False,
) -> tuple[Masks, Masks]:
    """Segments every case at random.

    Returns:
        Case → classes (frames, H, W, D) or (1, H, W), and case → how sure the network was, 0 to 1.
    """
    items = find_cases(images, "optional", output_dir=output, kind=kind)
    report = RunReport(output, label_map, kind=kind, dataset_dir=images, items=items, resume=resume)
    rng, masks, maps = np.random.default_rng(seed), {}, {}
    for item in items:
        image = LoadCased("image")(item)["image"]
        shape = (1, *image.shape[1:]) if kind == "image" else tuple(image.shape)
        masks[item["case"]] = rng.integers(0, len(report.label_map.labels), shape).astype(np.uint8)
        maps[item["case"]] = rng.integers(0, 11, shape) / 10
        mask, sure = (
            MetaTensor(torch.from_numpy(array[item["case"]]), meta=dict(image.meta)) for array in (masks, maps)
        )
        data = {**item, "pred": mask, QUALITY_MAP: sure, "image": image}
        SaveMaskd("pred", output, label_map, output_format=output_format)(data)
        SaveQualityMapd(QUALITY_MAP, output)(data)
        report.add(_measured(report, item, image, mask))
    report.finish()
    return masks, maps


def _measured(report: RunReport, item: dict[str, Any], image: MetaTensor, mask: MetaTensor) -> CaseResult:
    form = form_of(item)
    affine = original_affine(image) if form.kind == "volume" else None
    pictures, classes = form.as_in_file(image), mask.numpy(force=True)
    reference = form.read_reference(item, mask, report.label_map) if "label" in item else None
    rows = [
        report.measurer.measure(name, classes[at], affine, pictures[at], None if reference is None else reference[at])
        for at, name in enumerate(report.paths.row_names(item, mask))
    ]
    return CaseResult(item["case"], "ok", rows=rows)
