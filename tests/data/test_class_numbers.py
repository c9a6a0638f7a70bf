# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from pranet_monai.data.class_numbers import ClassNumbersd
from pranet_monai.data.labels import get_label_map
from pranet_monai.errors import BadCaseError
from pranet_monai.transforms.label_table import label_table_extension
from pranet_monai.transforms.load import LoadVolumed


def test_raw_numbers_become_class_numbers_and_the_rest_stays() -> None:
    # BTCV: 11 pancreas → 5, 5 oesophagus → background, 6 liver stays
    label = MetaTensor(torch.tensor([[0.0, 5.0, 6.0, 11.0]]), affine=torch.diag(torch.tensor([2.0, 2.0, 3.0, 1.0])))
    image = torch.ones(1, 4)
    done = ClassNumbersd("label", "synapse8")({"image": image, "label": label})
    assert done["label"].tolist() == [[0.0, 0.0, 6.0, 5.0]]
    assert done["label"].dtype == label.dtype
    assert torch.equal(done["label"].affine, label.affine)
    assert done["image"] is image


def test_numbers_of_another_data_set_are_refused_by_file_name() -> None:
    label = MetaTensor(torch.tensor([[0.0, 4.0]]), meta={"filename_or_obj": "patient1_gt.nii.gz"})
    with pytest.raises(BadCaseError, match="patient1_gt.nii.gz: found label values outside of acdc: 4"):
        ClassNumbersd("label", "acdc")({"label": label})


def test_a_label_table_says_how_its_file_counts(tmp_path: Path) -> None:
    """As masks of this project do, corrected ones of MONAI Label included."""
    synapse = get_label_map("synapse8")
    image = nib.Nifti1Image(np.arange(9, dtype=np.uint8).reshape(3, 3, 1), np.eye(4))
    image.header.extensions.append(label_table_extension(synapse.labels))
    nib.save(image, tmp_path / "x.nii.gz")
    label = LoadVolumed("label")({"label": str(tmp_path / "x.nii.gz")})
    assert ClassNumbersd("label", "synapse8")(label)["label"].flatten().tolist() == list(range(9))
    with pytest.raises(BadCaseError, match="x.nii.gz: found the classes"):
        ClassNumbersd("label", "acdc")(label)
