# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from pranet_monai.data.labels import LABEL_MAPS, LabelMap, get_label_map
from pranet_monai.errors import BadCaseError, UsageError


@pytest.mark.parametrize("record", LABEL_MAPS.values(), ids=lambda record: record.name)
def test_records_are_complete(record: LabelMap) -> None:
    assert record.labels[0] == "background"
    assert all(name == name.lower() and " " not in name for name in record.labels.values())
    assert len(set(record.labels.values())) == len(record.labels) == record.out_channels
    assert len(set(record.colors.values())) == len(record.labels), "two classes can't be told apart"
    assert all(0 <= part <= 255 for color in record.colors.values() for part in color)
    assert all(0 not in classes for classes in record.organs.values())


def test_acdc_order_is_the_data_sets() -> None:
    acdc = get_label_map("acdc")
    assert dict(acdc.labels) == {0: "background", 1: "right_ventricle", 2: "myocardium", 3: "left_ventricle"}
    assert dict(acdc.organs) == {"right_ventricle": (1,), "myocardium": (2,), "left_ventricle": (3,)}


def test_a_label_map_passes_through_and_unknown_names_list_the_known() -> None:
    assert get_label_map(LABEL_MAPS["acdc"]) is LABEL_MAPS["acdc"]
    with pytest.raises(ValueError, match="'adcd' is unknown; known: acdc, chaos_mr"):
        get_label_map("adcd")


def test_label_files_may_hold_class_numbers() -> None:
    classes = get_label_map("synapse8", numbers="classes")
    assert classes.from_raw(np.arange(9), "mine").tolist() == list(range(9))
    with pytest.raises(BadCaseError, match="11 \\(1 voxels\\)"):
        classes.from_raw(np.array([11]), "mine")
    with pytest.raises(UsageError, match="numbers='row'"):
        get_label_map("synapse8", numbers="row")  # type: ignore[arg-type]
    assert [name for name, record in LABEL_MAPS.items() if any(raw != i for raw, i in record.raw_values.items())] == [
        "chaos_mr_png", "hippocampus_whole", "synapse8", "synapse8_transunet",
    ]  # fmt: skip


def test_btcv_numbers_become_synapse8() -> None:
    raw = np.arange(14, dtype=np.int16).reshape(2, 7)
    # spleen, kidneys and gallbladder stay; 5, 9, 10, 12, 13 vanish; pancreas 11 becomes 5
    expected = [[0, 1, 2, 3, 4, 0, 6], [7, 8, 0, 0, 5, 0, 0]]
    mapped = get_label_map("synapse8").from_raw(raw, "label0001.nii.gz")
    assert mapped.dtype == np.uint8
    assert mapped.tolist() == expected


def test_transunet_order_means_the_same_organs() -> None:
    transunet = ["background", "aorta", "gallbladder", "left_kidney", "right_kidney", "liver", "pancreas", "spleen"]
    transunet.append("stomach")
    record = get_label_map("synapse8_transunet")
    mapped = record.from_raw(np.arange(9), "case0001.npy.h5")
    assert [record.labels[i] for i in mapped.tolist()] == transunet
    assert record.labels == get_label_map("synapse8").labels


def test_kits_regions_are_nested() -> None:
    assert dict(get_label_map("kits23").organs) == {"kidney_and_masses": (1, 2, 3), "masses": (2, 3), "tumour": (2,)}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(4, "4 (2 voxels)"), (-1, "-1 (2 voxels)"), (0.5, "0.5 (2 voxels)"), (np.nan, "nan (2 voxels)")],
)
@pytest.mark.parametrize("method", ["validate", "from_raw"])
def test_strange_values_are_refused_with_counts(method: str, value: float, shown: str) -> None:
    array = np.zeros((4, 4, 2), dtype=np.float32)
    array[0, 0] = value
    with pytest.raises(BadCaseError) as caught:
        getattr(get_label_map("acdc"), method)(array, "patient001_gt.nii.gz")
    text = str(caught.value)
    assert text.startswith("patient001_gt.nii.gz: ")
    assert shown in text
    assert "3 = left_ventricle" in text


def test_many_strange_values_stay_readable() -> None:
    with pytest.raises(BadCaseError, match="and 88 more values"):
        get_label_map("acdc").validate(np.arange(100), "image_given_as_label.nii")


def test_a_map_with_a_gap_or_without_colours_is_refused() -> None:
    with pytest.raises(ValueError, match="must count 0, 1, 2"):
        LabelMap("gap", {0: "background", 2: "liver"}, {0: (0, 0, 0), 2: (1, 1, 1)})
    with pytest.raises(ValueError, match="colors must be given"):
        LabelMap("grey", {0: "background", 1: "liver"}, {0: (0, 0, 0)})
    with pytest.raises(ValueError, match="regions and raw_values"):
        LabelMap("far", {0: "background", 1: "liver"}, {0: (0, 0, 0), 1: (1, 1, 1)}, regions={"liver": (1, 2)})
