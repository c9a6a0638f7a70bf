# SPDX-License-Identifier: Apache-2.0
"""Which mask belongs to which reference, by name, in folders of any common layout."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pranet_monai.data.datasets import DATA_SETS
from pranet_monai.errors import UsageError, some_of
from pranet_monai.forms import FORMS, Item, KindName, Search, forms_of

__all__ = [
    "MaskPairs",
    "find_mask_pairs",
    "kind_of_masks",
    "match_by_name",
    "named_images",
    "named_masks",
    "with_hints",
]

# what names say about the kind of a file, or about its channel (nnU-Net's _0000), and not about the case
_SUFFIX = re.compile(r"[_.-](seg|segmentation|gt|labels?|mask|pred|prediction|0000)$", re.IGNORECASE)
_KIND_ONLY = re.compile(r"(seg|segmentation|gt|labels?|mask|pred|prediction|imaging|image)", re.IGNORECASE)


class MaskPairs(NamedTuple):
    """Cases that have both masks, and names of those that have one.

    Attributes:
        pairs: case → items of (prediction, reference), to be read by their form under ``label``.
        without_label: case → prediction.
        without_prediction: case → reference.
    """

    pairs: dict[str, tuple[Item, Item]]
    without_label: dict[str, Item]
    without_prediction: dict[str, Item]


def find_mask_pairs(predictions: str | Path, labels: str | Path, kind: KindName = "volume") -> MaskPairs:
    """Pair the masks of two folders.

    Extensions and endings such as ``_seg``, ``_gt``, ``_label`` or ``_pred`` don't count. Sub-folders count where both
    sides have the same ones; else the name alone decides, where it is unique on both sides.

    Args:
        predictions: folder of masks, sub-folders included.
        labels: folder of the reference masks, in any form.
        kind: of the cases.

    Raises:
        UsageError: when a folder isn't there or holds no mask, or when no names match.
    """
    found, expected = named_masks(predictions, "predictions", kind), named_masks(labels, "labels", kind)
    matches = match_by_name(found, expected)
    if not matches:
        raise UsageError(
            f"{predictions}: found no mask ({some_of(_file_names(found))}) with the name of a reference in {labels} "
            f"({some_of(_file_names(expected))}); "
            "allowed: the same name, with or without _seg, _gt, _label, _mask or _pred at the end; "
            "fix: rename one of the two"
        )
    used = set(matches.values())
    return MaskPairs(
        {case: (found[case], expected[name]) for case, name in matches.items()},
        {case: item for case, item in found.items() if case not in matches},
        {name: item for name, item in expected.items() if name not in used},
    )


def kind_of_masks(folder: str | Path) -> KindName:
    """The kind of the masks in a folder: volumes, if there is one, else images."""
    search = Search(Path(folder).expanduser())
    has_volume = any(form.find_masks(search) for form in forms_of("volume"))
    return "volume" if has_volume or not any(form.find_masks(search) for form in forms_of("image")) else "image"


def named_masks(folder: str | Path, role: str, kind: KindName = "volume") -> dict[str, Item]:
    """All masks below a folder by the name of their case, ``sub/folder/name``.

    Where images lie beside labels, as in a data set as it was downloaded, only the images' references are masks.

    Args:
        folder: to look in.
        role: what the folder is, "predictions" or "labels".
        kind: of the cases.

    Raises:
        UsageError: when it isn't there, holds no mask, or two masks have the name of one case.
    """
    search = _search(folder, role)
    items = _references_of_images(search, kind) if role == "labels" else []
    items = items or [item for form in forms_of(kind) for item in form.find_masks(search)]
    return _by_name(items, "label", search, role, kind)


def _references_of_images(search: Search, kind: KindName) -> list[dict[str, Any]]:
    found = [(item, form.find_reference(item, search)) for form in forms_of(kind) for item in form.find_items(search)]
    return [
        item | {"label": str(reference)}
        for item, reference in found
        if reference is not None and reference.is_relative_to(search.root)
    ]


def named_images(folder: str | Path, kind: KindName = "volume") -> dict[str, Item]:
    """All images below a folder, as :func:`named_masks` gives the masks."""
    search = _search(folder, "images")
    items = [item for form in forms_of(kind) for item in form.find_items(search)]
    return _by_name(items, "image", search, "images", kind)


def match_by_name(left: Iterable[str], right: Iterable[str]) -> dict[str, str]:
    """Match names of cases: equal ones first, then those whose last part is unique on both sides.

    Returns:
        Name on the left → name on the right, in the order of the left.
    """
    left, right = list(left), set(right)
    matches = {name: name for name in left if name in right}
    rest_left = [name for name in left if name not in matches]
    rest_right = [name for name in right if name not in matches]
    unique_left, unique_right = _unique_last_parts(rest_left), _unique_last_parts(rest_right)
    matches.update({name: unique_right[last] for last, name in unique_left.items() if last in unique_right})
    return {name: matches[name] for name in left if name in matches}


def with_hints(item: Item, label_map: str) -> dict[str, Any]:
    """An item with what the data sets of these classes say of its layout, as the numbers in the papers' arrays."""
    hints = [data_set.reading_hints(item) for data_set in DATA_SETS.values() if data_set.label_map == label_map]
    return {**item, **next((hint for hint in hints if hint), {})}


def _search(folder: str | Path, role: str) -> Search:
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UsageError(f"--{role} {root}: found no such folder; fix: give a folder of masks or images")
    return Search(root)


def _by_name(items: list[dict[str, Any]], key: str, search: Search, role: str, kind: KindName) -> dict[str, Item]:
    named: dict[str, Item] = {}
    for item in sorted(items, key=lambda item: item[key]):
        name = _plain_name(item["case"])
        if name in named:
            raise UsageError(
                f"--{role} {search.root}: {Path(named[name][key]).name} and {Path(item[key]).name} are both called "
                f"{name!r}; allowed: one of a name; fix: move one of them to another folder"
            )
        named[name] = item
    if not named:
        patterns = ", ".join(pattern for form in FORMS.values() if form.kind == kind for pattern in form.patterns)
        raise UsageError(f"--{role} {search.root}: found no {kind} in it or its sub-folders; allowed: {patterns}")
    return named


def _plain_name(case: str) -> str:
    """The case's name without endings; a file called just "segmentation" is named by its folder."""
    folder, _, last = case.rpartition("/")
    stem = _SUFFIX.sub("", last)
    return folder if _KIND_ONLY.fullmatch(stem) and folder else "/".join(part for part in (folder, stem) if part)


def _unique_last_parts(names: list[str]) -> dict[str, str]:
    count = Counter(name.rpartition("/")[2] for name in names)
    return {name.rpartition("/")[2]: name for name in names if count[name.rpartition("/")[2]] == 1}


def _file_names(items: Mapping[str, Item]) -> list[str]:
    return [Path(item["label"]).name for item in items.values()]
