# SPDX-License-Identifier: Apache-2.0
"""The rules by hand: what follows from sizes, spacings, intensities and names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pranet_monai.data.datasets import DATA_SETS
from pranet_monai.data.labels import stated_label_map
from pranet_monai.planning.case_facts import CaseFacts
from pranet_monai.planning.description import Description
from pranet_monai.planning.plan import Entry, Machine, as_yaml, plan_facts
from pranet_monai.planning.sides import sided_axes
from pranet_monai.planning.slicing import choose_slicing
from pranet_monai.planning.survey import Survey

CPU = Machine(has_gpu=False, has_pretrained=True)


def case(**changes: Any) -> CaseFacts:
    """A CT of the belly, 300 x 220 mm of it labelled."""
    usual: dict[str, Any] = {
        "item": {"case": "a"}, "digest": "a", "size": (512, 512, 90), "spacing": (0.8, 0.8, 5.0), "stack_axis": 2,
        "tilt": 0.0, "numbers": {1: 10, 2: 10}, "reach": (300.0, 220.0, 200.0), "low": -1024.0, "high": 2000.0,
        "organ_values": np.linspace(-40, 160, 201),
    }  # fmt: skip
    return CaseFacts(**{**usual, **changes})


def planned(
    cases: list[CaseFacts], said: Description | None = None, machine: Machine = CPU, **more: Any
) -> dict[str, Any]:
    found = Survey(Path("data"), more.pop("kind", "volume"), more.pop("data_set", None), cases)
    return {name: entry.value for name, entry in plan_facts(found, said or Description(), machine).items()}


def test_belly_on_ct() -> None:
    facts = planned([case()] * 3, Description(names={1: "left_kidney", 2: "right_kidney"}))
    assert facts["classes"] == {1: "left_kidney", 2: "right_kidney"}
    assert (facts["modality"], facts["image_format"]) == ("CT", "hounsfield")
    window = facts["intensity"][0]
    # 0.5 % and 99.5 % of -40 … 160 are -39 and 159, a quarter more -88.5 and 208.5, in steps of 25
    assert (window["a_min"], window["a_max"]) == (-100.0, 225.0)
    assert (facts["axis"], facts["adjacent_slices"]) == ("axial", 1)
    assert facts["pixdim"] == [1.9, 1.9]  # 300 mm on 160 pixels
    assert facts["crop_size"] == facts["roi_size"] == [160, 128]  # 157.9 and 115.8 pixels
    assert facts["shift"] == 26  # 409.6 mm are 215.6 pixels, 87.6 more than the crop's columns: 0.3 of them
    assert (facts["turn_prob"], facts["mirror_probs"]) == (0, [0, 0])
    assert facts["batch_size"] == 8 and "configs" not in facts


def test_a_window_ends_where_the_images_do() -> None:
    window = planned([case(low=-125.0, high=275.0, organ_values=np.linspace(-125, 275, 99))] * 2)["intensity"][0]
    assert (window["a_min"], window["a_max"]) == (-125.0, 275.0)


def test_a_hippocampus_on_mr() -> None:
    """Cubes of 1 mm, cropped: what the hand-made bundle has as well."""
    small = case(size=(35, 51, 36), spacing=(1.0, 1.0, 1.0), stack_axis=None, reach=(24.0, 41.0, 26.0), low=0.0,
                 high=900.0)  # fmt: skip
    facts = planned([small] * 3, data_set=DATA_SETS["hippocampus"])
    assert (facts["label_map"], facts["data_set"]) == ("hippocampus", "hippocampus") and "classes" not in facts
    assert facts["intensity"] == "${intensity_mr}" and facts["image_format"] == "magnitude"
    assert (facts["axis"], facts["adjacent_slices"], facts["pixdim"]) == ("axial", 2, [0.5, 0.5])
    assert facts["crop_size"] == [64, 96] and facts["mirror_probs"] == [0.5, 0] and facts["batch_size"] == 20


def test_what_the_files_say_goes_before_what_names_suggest() -> None:
    said = Description(names={1: "head", 2: "tail"}, modalities=("T1",), title="x")
    facts = planned([case(low=-2000.0)] * 2, said, data_set=DATA_SETS["hippocampus"])
    assert facts["classes"] == {1: "head", 2: "tail"} and "label_map" not in facts
    assert facts["modality"] == "T1" and facts["intensity"] == "${intensity_mr}"


def test_classes_without_names_may_be_left_and_right() -> None:
    two, one = planned([case()] * 2), planned([case(numbers={4: 1})] * 2)
    assert two["classes"] == {1: "class_1", 2: "class_2"} and two["mirror_probs"] == [0, 0]
    assert one["classes"] == {4: "foreground"} and one["mirror_probs"] == [0.5, 0]


def test_an_ignored_number_is_no_class() -> None:
    said = Description(names={1: "liver"}, ignored=(2, 9))
    facts = planned([case()] * 2, said)
    assert facts["classes"] == {1: "liver", 2: "background", 9: "background"} and facts["mirror_probs"] == [0.5, 0]
    label_map = stated_label_map("a", facts["classes"])
    assert label_map.labels == {0: "background", 1: "liver"} and label_map.raw_values == {0: 0, 1: 1, 2: 0, 9: 0}
    assert planned([case()] * 2, Description(ignored=(1,)))["classes"] == {2: "foreground", 1: "background"}


def test_regions() -> None:
    said = Description(names={1: "class_1", 2: "core"}, regions={"whole": (1, 2), "core": (2,), "none": (7,)})
    facts = planned([case()] * 2, said)
    assert facts["regions"] == {"whole": ["class_1", "core"], "core": ["core"]}


def test_stacks_are_sliced_as_they_were_acquired() -> None:
    coronal = case(size=(200, 20, 180), spacing=(1.0, 6.0, 1.0), stack_axis=1, reach=(100.0, 60.0, 90.0))
    slicing = choose_slicing([coronal] * 4, 160)
    assert (slicing.axis, slicing.planes, slicing.gap, slicing.native) == ("coronal", ((0, 2),), 6.0, 1.0)
    assert slicing.pixdim == 1.0 and slicing.crop_size == (128, 128)
    mixed = choose_slicing([coronal, case(), coronal, case()], 160)
    assert mixed.axis == "through_plane"
    assert choose_slicing([case(tilt=30.0)] * 3, 160).axis == "through_plane"
    some_cubes = [case(), case(), case(spacing=(1.7, 1.7, 2.5), stack_axis=None)]
    assert choose_slicing(some_cubes, 160).axis == "axial", "cubes lie no other way"


def test_cubes_are_sliced_in_three_planes_where_there_is_a_gpu() -> None:
    """Rows are R, R and A of the planes, columns A, S and S: 60 and 40 mm hold all, 96 and 72 mm are 0.6 of a slice."""
    cube = case(size=(200, 150, 120), spacing=(0.8, 0.8, 0.8), stack_axis=None, reach=(60.0, 40.0, 30.0))
    facts = planned([cube] * 3, machine=Machine(has_gpu=True, has_pretrained=True))
    assert facts["axis"] == ["axial", "coronal", "sagittal"] and facts["adjacent_slices"] == 2
    assert facts["crop_size"] == [128, 96] and facts["mirror_probs"] == [0, 0]  # 120 and 90 pixels of 0.8 mm
    assert planned([cube] * 3)["axis"] == "axial"


@pytest.mark.parametrize(
    ("names", "has_gpu", "why"),
    [
        ({1: "liver"}, False, "left and right look alike, front and back don't"),
        ({1: "liver"}, True, "left and right are rows of one plane, front and back of another"),
        ({1: "left_kidney", 2: "right_kidney"}, True, "left and right are classes"),
        ({}, False, "not stated whether left and right are classes"),
    ],
)
def test_why_slices_are_mirrored_or_not(names: dict[int, str], has_gpu: bool, why: str) -> None:
    cube = case(size=(200, 150, 120), spacing=(0.8, 0.8, 0.8), stack_axis=None)
    cubes = [cube._replace(numbers=dict.fromkeys(names or (1, 2), 10))] * 3
    machine = Machine(has_gpu=has_gpu, has_pretrained=True)
    entry = plan_facts(Survey(Path("data"), "volume", None, cubes), Description(names=names), machine)["mirror_probs"]
    assert entry.why == f"along the slice's two axes: {why}"


def test_a_small_organ_in_a_large_image_is_shown_with_its_surroundings() -> None:
    """A pancreas' cyst, 30 x 25 mm around the middle of 400 mm: 78 pixels of 0.4 mm; 600 would be 0.6 of a slice."""
    facts = planned([case(reach=(30.0, 25.0, 20.0))] * 3)
    assert facts["pixdim"] == [0.4, 0.4] and facts["crop_size"] == [256, 256]
    assert facts["shift"] == round(0.3 * (409.6 / 0.4 - 256))


def test_stacks_that_follow_an_organ_may_be_turned() -> None:
    facts = planned([case(tilt=30.0)] * 2, Description(names={1: "wall", 2: "cavity"}))
    assert facts["axis"] == "through_plane" and "turn_prob" not in facts and "mirror_probs" not in facts
    sided = planned([case(tilt=30.0)] * 2, Description(names={1: "left_wall", 2: "right_wall"}))
    assert (sided["turn_prob"], sided["mirror_probs"]) == (0, [0, 0])


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (["left_kidney", "right_kidney"], {0}),
        (["left_kidney", "right_lung"], set()),
        (["anterior", "posterior"], {1}),
        (["inferior_vena_cava", "aorta"], set()),
        (["lh_cortex", "rh_cortex", "upper_lobe", "lower_lobe"], {0, 2}),
        (["liver", "spleen"], set()),
        (["class_1"], set()),
        (["class_1", "class_7"], {0}),
    ],
)  # fmt: skip
def test_sides(names: list[str], axes: set[int]) -> None:
    assert sided_axes(names) == axes


def test_rgb_images_and_what_a_machine_lacks() -> None:
    facts = planned([case(numbers={1: 5})] * 2, machine=Machine(has_gpu=True, has_pretrained=False), kind="image")
    assert facts["classes"] == {1: "foreground"} and facts["image_size"] == [352, 352]
    assert facts["configs"] == {"train": {"network_def": {"pretrained": False}}}


def test_the_text_is_yaml_with_reasons() -> None:
    facts = {
        "pixdim": Entry([1.5, 1.5], "mm"), "classes": Entry({1: "a", 2: "b"}, "why " * 40), "name": Entry("x: y"),
        "configs": Entry({"train": {"network_def": {"pretrained": False}}}, "none here"),
        "intensity": Entry([{"a": 1}]),
    }  # fmt: skip
    text = as_yaml(facts, "First.\nSecond.")
    assert yaml.safe_load(text) == {name: entry.value for name, entry in facts.items()}
    assert text.startswith("# First.\n# Second.\npixdim: [1.5, 1.5]         # mm\n# classes: why why")
    assert "# configs: none here\nconfigs:\n  train:\n" in text
