# SPDX-License-Identifier: Apache-2.0
"""What ``dataset.json`` says of a folder, in the two common formats: the Decathlon's and nnU-Net's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pranet_monai.data.labels import class_name

__all__ = ["BACKGROUND", "Description", "read_description", "unnamed"]

FILE = "dataset.json"
BACKGROUND = "background"
_NOT_LEARNED = (
    "ignore",
    "unlabeled",
    "unlabelled",
)  # nnU-Net leaves such voxels out of the loss; here they are background


@dataclass(frozen=True)
class Description:
    """What is said of the data.

    Attributes:
        title: of the data set; empty where nothing is said.
        source: where it is from.
        licence: its terms.
        names: number in the label files → class; empty where nothing is said.
        regions: what is to be measured: name → numbers whose union it is.
        ignored: numbers in the label files that are to be background.
        modalities: of the images of a case.
        remarks: what couldn't be understood.
    """

    title: str = ""
    source: str = ""
    licence: str = ""
    names: Mapping[int, str] = field(default_factory=dict)
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignored: tuple[int, ...] = ()
    modalities: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def read_description(folder: Path) -> Description:
    """Reads the file in a folder, or in the one above where the folder is that of the images.

    A file that says nothing that can be understood is remarked on, and describes nothing.
    """
    path = next((path for path in (folder / FILE, folder.parent / FILE) if path.is_file()), None)
    if path is None:
        return Description()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"{type(content).__name__}, no object")
        numbers_of = _numbers_of(content.get("labels") or {})
    except (ValueError, TypeError, OSError) as error:
        return Description(remarks=(f"{path}: can't be understood ({error}); classes get numbers",))
    names, regions = _classes(numbers_of)
    ignored = {name: numbers for name, numbers in numbers_of.items() if class_name(name) in _NOT_LEARNED}
    modalities = content.get("channel_names") or content.get("modality") or {}
    values = modalities.values() if isinstance(modalities, dict) else [modalities]
    return Description(
        title=str(content.get("name") or ""),
        source=str(content.get("reference") or ""),
        licence=str(content.get("licence") or content.get("license") or ""),
        names=names,
        regions=regions,
        ignored=tuple(sorted(number for numbers in ignored.values() for number in numbers)),
        modalities=tuple(str(value) for value in values),
        remarks=tuple(f"{path}: {name} becomes background" for name in ignored),
    )


def unnamed(numbers: Iterable[int]) -> dict[int, str]:
    """Names for classes of which nothing but their numbers is known."""
    numbers = list(numbers)
    return {number: "foreground" if len(numbers) == 1 else f"class_{number}" for number in numbers}


def _numbers_of(labels: Any) -> dict[str, tuple[int, ...]]:
    """Name → numbers, of ``{"1": "liver"}``, ``{"liver": 1}`` and ``{"tumour": [1, 2], …}``."""
    if not isinstance(labels, dict):
        raise TypeError(f"labels are {type(labels).__name__}, no object")
    numbers_of: dict[str, tuple[int, ...]] = {}
    for key, value in labels.items():
        if str(key).isdecimal() and isinstance(value, str):
            numbers_of[value] = (*numbers_of.get(value, ()), int(key))
        else:
            numbers_of[str(key)] = tuple(int(number) for number in (value if isinstance(value, list) else [value]))
    return numbers_of


def _classes(numbers_of: Mapping[str, tuple[int, ...]]) -> tuple[dict[int, str], dict[str, tuple[int, ...]]]:
    """Number → class, and region → numbers where there are such."""
    numbers_of = {name: numbers for name, numbers in numbers_of.items() if not _is_background(name, numbers)}
    is_by_regions = any(len(numbers) > 1 for numbers in numbers_of.values())
    names: dict[int, str] = unnamed(sorted({n for numbers in numbers_of.values() for n in numbers}))
    for name, numbers in numbers_of.items():
        if len(numbers) == 1 and names:
            given = class_name(name) or names[numbers[0]]
            taken = given in [other for number, other in names.items() if number != numbers[0]]
            names[numbers[0]] = f"{given}_{numbers[0]}" if taken else given
    return names, {class_name(name): numbers for name, numbers in numbers_of.items()} if is_by_regions else {}


def _is_background(name: str, numbers: tuple[int, ...]) -> bool:
    return numbers == (0,) or class_name(name) in (BACKGROUND, *_NOT_LEARNED)
