# SPDX-License-Identifier: Apache-2.0
"""Which mask belongs to which label, by name, in folders as people keep them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pranet_monai.errors import UsageError
from pranet_monai.transforms.files import VOLUME_EXTENSIONS, volume_extension, volume_stem

__all__ = ["MaskPairs", "find_mask_pairs", "match_by_name", "named_volumes"]

# what names say about the kind of a file, or about its channel (nnU-Net's _0000), and not about the case
_SUFFIX = re.compile(r"[_.-](seg|segmentation|gt|labels?|mask|pred|prediction|0000)$", re.IGNORECASE)
_KIND_ONLY = re.compile(r"(seg|segmentation|gt|labels?|mask|pred|prediction|imaging|image)", re.IGNORECASE)


class MaskPairs(NamedTuple):
    """Cases that have both masks, and names of those that have one.

    Attributes:
        pairs: case → (prediction, label).
        without_label: case → prediction.
        without_prediction: case → label.
    """

    pairs: dict[str, tuple[Path, Path]]
    without_label: dict[str, Path]
    without_prediction: dict[str, Path]


def find_mask_pairs(predictions: str | Path, labels: str | Path) -> MaskPairs:
    """Pair the volumes of two folders.

    Extensions and endings such as ``_seg``, ``_gt``, ``_label`` or ``_pred`` don't count. Sub-folders count where both
    sides have the same ones; else the name alone decides, where it is unique on both sides.

    Args:
        predictions: folder of masks, sub-folders included.
        labels: folder of the experts' masks.

    Raises:
        UsageError: when a folder isn't there or holds no volume, or when no names match.
    """
    found, expected = named_volumes(predictions, "predictions"), named_volumes(labels, "labels")
    matches = match_by_name(found, expected)
    if not matches:
        raise UsageError(
            f"no mask in {predictions} ({_some(found)}) has the name of a label in {labels} ({_some(expected)}); "
            "allowed: the same name, with or without _seg, _gt, _label, _mask or _pred at the end; "
            "fix: rename one of both"
        )
    used = set(matches.values())
    return MaskPairs(
        {case: (found[case], expected[name]) for case, name in matches.items()},
        {case: path for case, path in found.items() if case not in matches},
        {name: path for name, path in expected.items() if name not in used},
    )


def named_volumes(folder: str | Path, role: str) -> dict[str, Path]:
    """All volumes below a folder by the name of their case, ``sub/folder/name``.

    Args:
        folder: to look in.
        role: what the folder is, for messages.

    Raises:
        UsageError: when it isn't there, holds no volume, or two volumes have the name of one case.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UsageError(f"--{role} {root}: found no such folder; fix: give a folder of volumes")
    volumes: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        if not volume_extension(path) or path.name.startswith(".") or not path.is_file():
            continue
        name = _case_name(path, root)
        if name in volumes:
            raise UsageError(
                f"--{role} {root}: {volumes[name].name} and {path.name} are both called {name!r}; "
                "allowed: one volume per case; fix: move one of them to another folder"
            )
        volumes[name] = path
    if not volumes:
        kinds = ", ".join(f"*{extension}" for extension in VOLUME_EXTENSIONS)
        raise UsageError(f"--{role} {root}: found no volume in it or its sub-folders; allowed: {kinds}")
    return volumes


def match_by_name(left: Mapping[str, Path], right: Mapping[str, Path]) -> dict[str, str]:
    """Match names of cases: equal ones first, then those whose last part is unique on both sides.

    Returns:
        Name on the left → name on the right, in the order of the left.
    """
    matches = {name: name for name in left if name in right}
    rest_left = [name for name in left if name not in matches]
    rest_right = [name for name in right if name not in matches]
    unique_left, unique_right = _unique_last_parts(rest_left), _unique_last_parts(rest_right)
    matches.update({name: unique_right[last] for last, name in unique_left.items() if last in unique_right})
    return {name: matches[name] for name in left if name in matches}


def _case_name(path: Path, root: Path) -> str:
    """Name below the root without extension and endings; a file called just "segmentation" is named by its folder."""
    folder, stem = path.relative_to(root).parent, _SUFFIX.sub("", volume_stem(path))
    return folder.as_posix() if _KIND_ONLY.fullmatch(stem) and folder.name else (folder / stem).as_posix()


def _unique_last_parts(names: list[str]) -> dict[str, str]:
    count = Counter(name.rpartition("/")[2] for name in names)
    return {name.rpartition("/")[2]: name for name in names if count[name.rpartition("/")[2]] == 1}


def _some(names: Mapping[str, Path]) -> str:
    shown = ", ".join(path.name for path in list(names.values())[:2])
    return f"{shown}, …" if len(names) > 2 else shown
