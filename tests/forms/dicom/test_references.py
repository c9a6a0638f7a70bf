# SPDX-License-Identifier: Apache-2.0
"""What a bundle calls the segments of an expert's segmentation, and which class of its own each is."""

from __future__ import annotations

import pytest
from pranet_monai.data.labels import get_label_map, stated_label_map
from pranet_monai.forms.dicom.segments import class_of_segment, segment_name
from pydicom.dataset import Dataset

LIVER, KIDNEY, LEFT, NEOPLASM = "10200004", "64033007", "7771000", "108369006"


def segment(label: str, code: str = "", side: str = "") -> Dataset:
    dataset, kind, modifier = Dataset(), Dataset(), Dataset()
    dataset.SegmentNumber, dataset.SegmentLabel, kind.CodeValue, modifier.CodeValue = 3, label, code, side
    kind.SegmentedPropertyTypeModifierCodeSequence = [modifier] if side else []
    dataset.SegmentedPropertyTypeCodeSequence = [kind] if code else []
    return dataset


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (segment("Left Kidney", KIDNEY), "left_kidney"),
        (segment("lung-lobe (upper)"), "lung_lobe_upper"),
        (segment("Leber", LIVER), "leber"),
        (segment("Segment_1", LIVER), "liver"),
        (segment("3", KIDNEY, LEFT), "left_kidney"),
        (segment("\u809d\u81d3", LIVER), "liver"),
        (segment("Segment_1", NEOPLASM), "tumour"),
        (segment("Segment 1"), "segment_1"),
        (segment(""), "segment_3"),
    ],
)
def test_a_segment_is_called_as_it_is_labelled_or_coded(found: Dataset, name: str) -> None:
    assert segment_name(found) == name
    assert class_of_segment(found, stated_label_map("own", {1: "bone", 2: name})) == 2


def test_a_class_is_known_by_its_code_where_the_label_is_another_language() -> None:
    synapse = get_label_map("synapse8")
    assert synapse.labels[class_of_segment(segment("Leber", LIVER), synapse)] == "liver"
    assert synapse.labels[class_of_segment(segment("Niere links", KIDNEY, LEFT), synapse)] == "left_kidney"
    assert class_of_segment(segment("Niere", KIDNEY), synapse) == 0, "of which side isn't said"
