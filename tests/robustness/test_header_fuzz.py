# SPDX-License-Identifier: Apache-2.0
"""Headers of NIfTI files with numbers and bytes changed at random: read rightly, or refused in words; never worse."""

from __future__ import annotations

import gzip
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import Compose, Invertd
from pranet_monai.data.labels import get_label_map
from pranet_monai.engines.case_dataset import CaseDataset
from pranet_monai.engines.case_runner import CaseRunner
from pranet_monai.forms.label_table import label_table_extension
from pranet_monai.reports import RunReport
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.orientation import OrientVolumed
from pranet_monai.transforms.save import SaveMaskd

from .heart import image

MINUTES_VARIABLE = "PRANET_MONAI_FUZZ_MINUTES"
HEADER_BYTES = {nib.Nifti1Image: 348, nib.Nifti2Image: 540}
ODD = (0, 1, 2, -1, 3, 7, 8, 127, 255, 256, 32767, -32768, 2**31 - 1, -(2**31))
ODD_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-20, 1e20, 3.4e38, float("nan"), float("inf"), float("-inf"), 352, 353)
SLOWEST_SECONDS = 60.0


def mutated(seed: int) -> tuple[str, bytes]:
    """Name and content of a file; the same for the same seed."""
    chance = random.Random(seed)
    kind = chance.choice([nib.Nifti1Image, nib.Nifti1Image, nib.Nifti2Image])
    whole = image(np.arange(12 * 10 * 3, dtype=np.int16).reshape(12, 10, 3) % 50)
    whole = kind(whole.dataobj, whole.affine, kind.header_class.from_header(whole.header))
    if chance.random() < 0.3:
        whole.header.extensions.append(label_table_extension({1: "a"}))
    content = bytearray(whole.to_bytes())
    for _ in range(chance.randint(1, 4)):
        chance.choice([_change_field, _change_bytes])(content, kind, chance)
    if chance.random() < 0.1:
        del content[chance.randint(0, len(content)) :]
    packed = chance.random() < 0.5
    return ("x.nii.gz", gzip.compress(bytes(content), 1)) if packed else ("x.nii", bytes(content))


def _change_field(content: bytearray, kind: type, chance: random.Random) -> None:
    dtype = kind.header_class.template_dtype
    name = chance.choice(dtype.names)
    field, offset = dtype.fields[name][:2]
    base, at = (
        field.base,
        offset + field.base.itemsize * chance.randrange(max(1, field.itemsize // field.base.itemsize)),
    )
    with np.errstate(all="ignore"):
        odd = chance.choice(ODD_FLOATS if base.kind == "f" else ODD)
        value = np.array(odd if base.kind in "iuf" else 0).astype(base) if base.kind in "iuf" else None
    content[at : at + base.itemsize] = chance.randbytes(base.itemsize) if value is None else value.tobytes()


def _change_bytes(content: bytearray, kind: type, chance: random.Random) -> None:
    at = chance.randrange(min(len(content), HEADER_BYTES[kind] + 80))
    content[at] = chance.randrange(256)


class Chain:
    """What a bundle does with a case, with a threshold in place of the network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.preprocessing = Compose([LoadCased("image"), OrientVolumed("image", "RAS")])
        self.report = RunReport(folder / "out", "acdc", previews=False)
        save = SaveMaskd("pred", folder / "out", get_label_map("acdc"))
        back = Invertd("pred", transform=self.preprocessing, orig_keys="image")
        network = torch.nn.Identity()
        post = Compose([self._threshold, back, save])
        self.runner = CaseRunner(network, self.report.measurer, postprocessing=post)

    @staticmethod
    def _threshold(data: Mapping[str, Any]) -> dict[str, Any]:
        return {**data, "pred": (data["pred"] > 25).to(torch.uint8)}

    def check(self, seed: int) -> str:
        """Does one file; returns what became of it."""
        name, content = mutated(seed)
        path = self.folder / name
        path.write_bytes(content)
        began = time.monotonic()
        result = self.runner.run(CaseDataset([{"case": "x", "image": str(path)}], self.preprocessing)[0])
        assert time.monotonic() - began < SLOWEST_SECONDS, f"seed {seed}"
        mask = self.folder / "out" / "x_seg.nii.gz"
        if result.status == "failed":
            assert result.reason.startswith(f"{path}: found "), f"seed {seed}: {result.reason}"
            assert not mask.exists(), f"seed {seed}"
            return "failed"
        made, source = nib.load(mask), nib.load(path)
        assert made.shape == source.shape, f"seed {seed}"
        assert np.array_equal(made.affine, source.affine, equal_nan=True), f"seed {seed}"
        for row in result.rows:
            for organ in row.organs:
                assert np.isfinite(organ["volume_ml"]) and organ["volume_ml"] >= 0, f"seed {seed}: {organ}"
        mask.unlink()
        path.unlink()
        return "remarked" if result.remarks else "ok"


@pytest.mark.filterwarnings("ignore")
def test_some_headers(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    found = [chain.check(seed) for seed in range(400)]
    assert {"ok", "failed", "remarked"} == set(found)


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore")
def test_headers_for_a_while(tmp_path: Path) -> None:
    """A minute; for an hour set PRANET_MONAI_FUZZ_MINUTES=60. A failure names its seed."""
    until = time.monotonic() + 60 * float(os.environ.get(MINUTES_VARIABLE, "1"))
    chain, seed = Chain(tmp_path), random.SystemRandom().randrange(10**6, 10**12)
    first = seed
    while time.monotonic() < until:
        chain.check(seed)
        seed += 1
    print(f"{seed - first} headers, seeds from {first}")
