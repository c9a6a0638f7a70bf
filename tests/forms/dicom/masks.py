# SPDX-License-Identifier: Apache-2.0
"""Masks drawn on a series, saved as a run saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import get_label_map
from pranet_monai.forms import FORMS
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import SaveMaskd

__all__ = ["ACDC", "DICOM", "drawn", "segmented"]

DICOM, ACDC = FORMS["dicom"], get_label_map("acdc")


def drawn(image: MetaTensor, classes: int = 4) -> MetaTensor:
    """A mask of an image: blocks of all classes, one slice without any."""
    mask = np.random.default_rng(5).integers(0, classes, tuple(image.shape)).astype(np.uint8)
    mask[..., 1] = 0
    return MetaTensor(torch.from_numpy(mask), meta=dict(image.meta))


def segmented(
    folder: Path, out: Path, output_format: str = "both", **options: Any
) -> tuple[dict[str, Any], MetaTensor]:
    """What a run leaves of the only case of a folder, with a drawn mask in place of the network's."""
    (item,) = find_cases(folder, output_dir=out)
    image = LoadCased("image", **options)(item)["image"]
    mask = drawn(image)
    SaveMaskd("pred", out, "acdc", output_format=output_format, algorithm=("a_bundle", "1.2.3"))(  # type: ignore[arg-type]
        {**item, "pred": mask, "image": image}
    )
    return item, mask
