# SPDX-License-Identifier: Apache-2.0
"""Classes of each data set: numbers, names, colours, measured regions and values in the original files."""

from __future__ import annotations

import colorsys
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from pranet_monai.data.organs import ORGANS, OrganCode, code_of
from pranet_monai.errors import BadCaseError, UsageError

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "LABEL_MAPS",
    "LabelMap",
    "LabelNumbers",
    "class_name",
    "get_label_map",
    "label_map_of_record",
    "stated_label_map",
]

Color = tuple[int, int, int]
BLACK: Color = (0, 0, 0)
LabelNumbers = Literal["raw", "classes"]
"""The numbers in label files: the data set's own, or class numbers."""

MAX_CLASSES = 256
"""With background: masks are uint8."""

_CLASS_NAME = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True)
class LabelMap:
    """The classes of one data set.

    Attributes:
        name: key in :data:`LABEL_MAPS`.
        labels: class number → lower-case name, without gaps; 0 is ``"background"``.
        colors: class number → red, green, blue in 0…255.
        regions: what is measured: name → the classes whose union it is. Default: each class by itself.
        raw_values: number in the data set's own label files → class number. Default: the numbers are the same.
        known_as: name → what it is called in ``ORGANS``, where that says more.
    """

    name: str
    labels: Mapping[int, str]
    colors: Mapping[int, Color]
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    raw_values: Mapping[int, int] = field(default_factory=dict)
    known_as: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if list(self.labels) != list(range(len(self.labels))) or self.labels[0] != "background":
            raise ValueError(f"{self.name}: labels must count 0, 1, 2, … from 'background', got {dict(self.labels)}")
        if set(self.colors) != set(self.labels):
            raise ValueError(f"{self.name}: colors must be given for {list(self.labels)}, got {list(self.colors)}")
        if not self.regions:
            object.__setattr__(self, "regions", {name: (i,) for i, name in self.labels.items() if i > 0})
        if not self.raw_values:
            object.__setattr__(self, "raw_values", {i: i for i in self.labels})
        used = {i for classes in self.regions.values() for i in classes} | set(self.raw_values.values())
        if not used <= set(self.labels):
            raise ValueError(f"{self.name}: regions and raw_values use {sorted(used)}, allowed: {list(self.labels)}")

    @property
    def codes(self) -> dict[int, OrganCode]:
        """Class number → its code in DICOM, without the background."""
        return {number: code_of(self.known_as.get(name, name)) for number, name in self.foreground.items()}

    @property
    def out_channels(self) -> int:
        """Number of classes, background included."""
        return len(self.labels)

    @property
    def foreground(self) -> dict[int, str]:
        """Class number → name, without the background."""
        return {number: name for number, name in self.labels.items() if number}

    @property
    def organs(self) -> Mapping[str, tuple[int, ...]]:
        """What the report measures: name → the classes whose union it is."""
        return self.regions

    def of_class_numbers(self) -> LabelMap:
        """The same classes for label files that hold class numbers already, as this project's own masks do."""
        return replace(self, raw_values={number: number for number in self.labels})

    def from_raw(self, array: np.ndarray, source: str) -> np.ndarray:
        """Turns the numbers of the data set's own label files into class numbers.

        Args:
            array: labels as read from the file, any shape, any numeric type.
            source: file the array came from, for the error message.

        Returns:
            Class numbers, uint8, same shape.

        Raises:
            BadCaseError: when a value isn't one of ``raw_values``.

        Warns:
            UserWarning: the file may hold class numbers already: all of its values are such, and it lacks those that
                only a file of the data set itself has.
        """
        self._check_values(array, source, self.raw_values)
        largest = int(array.max(initial=0))
        if set(self.labels) < set(self.raw_values) and 0 < largest < len(self.labels):
            warnings.warn(
                f"{source}: read as a file of the {self.name} data set, though no value is above {largest}; if it "
                f"holds this project's class numbers (1 = {self.labels[1]}, 2 = {self.labels[2]}, …), say so: "
                "--label-numbers classes, or --label_map#numbers classes with a bundle",
                stacklevel=2,
            )
        import numpy as np  # here, so that help texts list the maps at once

        table = np.zeros(max(self.raw_values) + 1, dtype=np.uint8)
        table[list(self.raw_values)] = list(self.raw_values.values())
        return table[array.astype(np.intp)]

    def validate(self, array: np.ndarray, source: str) -> None:
        """Refuses values that are no class numbers of this map.

        Args:
            array: class numbers, any shape.
            source: file or case the array came from, for the error message.

        Raises:
            BadCaseError: naming the source, the values outside with their voxel counts, and the allowed ones.
        """
        self._check_values(array, source, self.labels)

    def _check_values(self, array: np.ndarray, source: str, allowed: Mapping[int, object]) -> None:
        import numpy as np

        known = np.isin(array, list(allowed))
        if known.all():
            return
        values, counts = np.unique(array[~known], return_counts=True)
        outside = dict(zip(values.tolist(), counts.tolist(), strict=True))
        first = ", ".join(f"{value:g} ({count} voxels)" for value, count in list(outside.items())[:8])
        more = f" and {len(outside) - 8} more values" if len(outside) > 8 else ""
        meaning = ", ".join(f"{raw} = {self.labels[self.raw_values.get(raw, raw)]}" for raw in allowed)
        raise BadCaseError(
            f"{source}: found label values outside of {self.name}: {first}{more}; allowed: {meaning}; "
            "fix: correct the label file, or choose the label map that it was drawn with"
        )


def _label_map(
    name: str,
    *organs: str,
    regions: Mapping[str, tuple[int, ...]] | None = None,
    raw_values: Mapping[int, int] | None = None,
    known_as: Mapping[str, str] | None = None,
) -> LabelMap:
    """Numbers the organs 1, 2, 3, … in the given order and gives each its colour."""
    labels = dict(enumerate(("background", *organs)))
    known = known_as or {}
    colors = {number: ORGANS[known.get(organ, organ)].color if number else BLACK for number, organ in labels.items()}
    return LabelMap(name, labels, colors, regions or {}, raw_values or {}, known)


_SYNAPSE8 = _label_map(
    "synapse8",
    *("spleen", "right_kidney", "left_kidney", "gallbladder", "pancreas", "liver", "stomach", "aorta"),
    # The 13 numbers of the BTCV files; oesophagus, veins and adrenal glands become background.
    raw_values={0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 0, 6: 6, 7: 7, 8: 8, 9: 0, 10: 0, 11: 5, 12: 0, 13: 0},
)

_CHAOS_MR = _label_map("chaos_mr", "liver", "right_kidney", "left_kidney", "spleen")

LABEL_MAPS: dict[str, LabelMap] = {
    record.name: record
    for record in (
        _label_map("acdc", "right_ventricle", "myocardium", "left_ventricle"),
        _CHAOS_MR,
        # The grey values of the data set's own label images.
        replace(_CHAOS_MR, name="chaos_mr_png", raw_values={0: 0, 63: 1, 126: 2, 189: 3, 252: 4}),
        _label_map(
            "hippocampus",
            *("anterior", "posterior"),
            known_as={"anterior": "anterior_hippocampus", "posterior": "posterior_hippocampus"},
        ),
        _label_map("hippocampus_whole", "hippocampus", raw_values={0: 0, 1: 1, 2: 1}),
        _SYNAPSE8,
        # The preprocessed npz/h5 files of TransUNet hold the same eight organs in alphabetical order.
        replace(
            _SYNAPSE8, name="synapse8_transunet", raw_values={0: 0, 1: 8, 2: 4, 3: 3, 4: 2, 5: 6, 6: 5, 7: 1, 8: 7}
        ),
        _label_map(
            "amos15",
            *("spleen", "right_kidney", "left_kidney", "gallbladder", "oesophagus", "liver", "stomach", "aorta"),
            *("inferior_vena_cava", "pancreas", "right_adrenal_gland", "left_adrenal_gland", "duodenum", "bladder"),
            "prostate_or_uterus",
        ),
        _label_map(
            "kits23",
            *("kidney", "tumour", "cyst"),
            regions={"kidney_and_masses": (1, 2, 3), "masses": (2, 3), "tumour": (2,)},
            known_as={"tumour": "kidney_tumour", "cyst": "kidney_cyst"},
        ),
        _label_map("polyp", "polyp", known_as={"polyp": "colon_polyp"}),
    )
}


def get_label_map(name: str | LabelMap, numbers: LabelNumbers = "raw") -> LabelMap:
    """Looks up a data set's classes.

    Args:
        name: a key of :data:`LABEL_MAPS`; a LabelMap is taken as it is.
        numbers: what label files hold: "raw", the data set's own numbers, or "classes", class numbers already.

    Raises:
        UsageError: when the name or ``numbers`` is unknown; lists the known ones.
    """
    if numbers not in ("raw", "classes"):
        raise UsageError(f"numbers={numbers!r}: allowed: 'raw' (as the data set has them) or 'classes'")
    if not isinstance(name, LabelMap):
        if name not in LABEL_MAPS:
            raise UsageError(f"label map {name!r} is unknown; known: {', '.join(LABEL_MAPS)}; add it to LABEL_MAPS")
        name = LABEL_MAPS[name]
    return name if numbers == "raw" else name.of_class_numbers()


def label_map_of_record(record: Mapping[str, Any]) -> LabelMap:
    """A label map from the JSON record that ``dataclasses.asdict`` made of it."""
    return LabelMap(
        record["name"],
        labels={int(number): name for number, name in record["labels"].items()},
        colors={int(number): tuple(color) for number, color in record["colors"].items()},
        regions={name: tuple(numbers) for name, numbers in record["regions"].items()},
        raw_values={int(raw): number for raw, number in record["raw_values"].items()},
        known_as=record["known_as"],
    )


def stated_label_map(
    name: str,
    classes: Mapping[int | str, str],
    regions: Mapping[str, Sequence[str]] | None = None,
    numbers: LabelNumbers = "raw",
) -> LabelMap:
    """Classes that a bundle states itself.

    Args:
        name: what to call them in messages.
        classes: number in the label files → name. Numbers of one name are one class, those named "background" are none;
            0 is background. Classes are numbered in the order in which their names come.
        regions: what is measured: name → names of the classes whose union it is. Default: each class by itself.
        numbers: see :func:`get_label_map`.

    Raises:
        UsageError: a number isn't valid, a name isn't lower-case letters, digits and "_", 0 is a class, there is no
            class or more than 255, or a region names a class that isn't there.
    """
    raw = {0: "background"} | {_label_number(name, number): str(label) for number, label in classes.items()}
    labels = dict(enumerate(dict.fromkeys(["background", *raw.values()])))
    odd = [label for label in labels.values() if not _CLASS_NAME.fullmatch(label)]
    if odd or raw[0] != "background" or not 1 < len(labels) <= MAX_CLASSES:
        raise UsageError(
            f"classes of {name}: found {len(labels) - 1} classes{f', named {odd[:3]}' if odd else ''}, 0 is {raw[0]}; "
            f"allowed: 1 to {MAX_CLASSES - 1} of lower-case names with _ for blanks, 0 as background"
        )
    number_of = {label: number for number, label in labels.items()}
    unknown = sorted({label for parts in (regions or {}).values() for label in parts} - set(number_of))
    if unknown:
        raise UsageError(f"regions of {name}: found {unknown}; allowed: its classes, {', '.join(number_of)}")
    unions = {region: tuple(number_of[label] for label in parts) for region, parts in (regions or {}).items()}
    colors = {number: _color(number, label) for number, label in labels.items()}
    label_map = LabelMap(name, labels, colors, unions, {number: number_of[label] for number, label in raw.items()})
    return get_label_map(label_map, numbers)


def class_name(text: str) -> str:
    """A name as bundles have them: lower-case letters and digits, with _ between."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _label_number(name: str, number: int | str) -> int:
    if not str(number).isdecimal():
        raise UsageError(f"classes of {name}: found {number!r} for a number in label files; allowed: 0, 1, 2, …")
    return int(number)


def _color(number: int, label: str) -> Color:
    """That of the organ; of other classes, neighbouring numbers differ in hue and in lightness."""
    if number == 0 or label in ORGANS:
        return ORGANS[label].color if number else BLACK
    red, green, blue = colorsys.hsv_to_rgb(0.618 * number % 1, 0.65, 0.95 if number % 2 else 0.7)
    return round(255 * red), round(255 * green), round(255 * blue)
