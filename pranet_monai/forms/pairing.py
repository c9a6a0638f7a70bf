# SPDX-License-Identifier: Apache-2.0
"""The words by which people tell an image from its reference: what is left of both names without them is the case."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath

__all__ = ["is_label_folder", "is_label_stem", "pairs_by_words"]

_LABEL_WORDS = r"gt|seg|segmentations?|labels?|masks?|msk|dseg|ground[ _]?truth|annotations?"
_IMAGE_WORDS = r"images?|imgs?|imaging|volumes?|vol|orig(inal)?|scans?"
# labels, labelsTr, Labels_test, GT, TrainingMask, train_masks, Task1_GroundTruth; neither Labeled nor images_with_gt,
# which hold images as well
_LABEL_FOLDER = re.compile(
    r"(?!(?i:.*(with|and)))"
    r"((?i:labels?|masks?)([A-Z_\-].*)?|(?i:gts?|ground[ _]?truths?|segmentations?|annotations?)"
    r"|.*[a-z](Mask|Label|Segmentation)s?|(.*[a-z_\-])?GroundTruth|(?i:.+[_\-](masks?|labels?|segmentations?)))"
)
_IMAGE_FOLDER = re.compile(rf"(.*[_\-])?({_IMAGE_WORDS}|rawdata|derivatives)([A-Z_\-].*)?|.*[a-z](Img|Image)s?", re.I)
# x_gt (ACDC), x-seg (BraTS), x.seg (3D Slicer), segmentation (KiTS), segmentation-0 (LiTS), sub-1_dseg (BIDS)
_LABEL_STEM = re.compile(rf"(.*[_.\-])?({_LABEL_WORDS})([_\-]?\d+)?", re.IGNORECASE)
_PART = re.compile(r"(?<![A-Za-z])(?i:train|test|val)|T[rs](?![a-z])|Va(?![a-z])|(?<=[a-z])(Train|Test|Val)")
_NO_NAME = re.compile(rf"(?<![a-z])({_LABEL_WORDS}|{_IMAGE_WORDS})(?![a-z])", re.IGNORECASE)
_BIDS_ENTITY = re.compile(r"_(label|desc|seg)-[A-Za-z\d]+")
# what one image of several of a case may be called, the first of which counts
_MODALITIES = (
    "flair", "t2f", "t2", "t2w", "t1c", "t1ce", "t1gd", "t1", "t1n", "t1w", "ct", "mr", "mri", "dwi", "adc", "pet",
)  # fmt: skip

Key = tuple[str, ...]


def is_label_folder(name: str) -> bool:
    """Whether a folder's name says that it holds references."""
    return _LABEL_FOLDER.fullmatch(name) is not None


def is_label_stem(stem: str) -> bool:
    """Whether the name of a file, without extension, says that it is a reference."""
    return _LABEL_STEM.fullmatch(stem) is not None


def pairs_by_words(images: Iterable[PurePath], references: Iterable[PurePath]) -> dict[Path, Path]:
    """Image → reference, where one of each is left with a name.

    First the folders count as well, then the file's name alone, then an image's name without its modality; at last a
    folder that holds one image and one reference without a name of its own, such as ``P_01.nii.gz`` and ``GT.nii.gz``.

    Args:
        images: paths below the searched folder, without extensions.
        references: likewise.
    """
    left, right = list(images), list(references)
    found: dict[Path, Path] = {}
    in_folders = _grouped(left, _folder), _grouped(right, _folder)
    for key in (_folders_and_name, _name, _without_modality):
        by_name = _grouped(left, key)
        for name, (reference, *more) in _grouped(right, key).items():
            candidates = [path for path in by_name.get(name, []) if _may_be_of(reference, path)]
            if not more and (len(candidates) == 1 or (candidates and key is _without_modality)):
                found[Path(min(candidates, key=_modality))] = Path(reference)
        left = [path for path in left if path not in found]
        taken = set(found.values())
        right = [path for path in right if path not in taken]
    for folder, (reference, *more) in in_folders[1].items():
        alone = in_folders[0].get(folder, [])
        if not more and not _bare(reference.name) and len(alone) == 1 and alone[0] in left:
            found[Path(alone[0])] = Path(reference)
    return found


def _grouped(paths: Iterable[PurePath], key: Callable[[PurePath], Key | None]) -> dict[Key, list[PurePath]]:
    groups: dict[Key, list[PurePath]] = defaultdict(list)
    for path in paths:
        if (name := key(path)) is not None:
            groups[name].append(path)
    return groups


def _may_be_of(reference: PurePath, image: PurePath) -> bool:
    """Not where one is of the training part and the other of the test part."""
    first, second = (
        {found[0].lower()[:2].replace("te", "ts") for folder in path.parts[:-1] for found in _PART.finditer(folder)}
        for path in (reference, image)
    )
    return not first or not second or bool(first & second)


def _bare(stem: str) -> str:
    """A name without the words that say what a file is; nnU-Net numbers an image's channels."""
    stem = _BIDS_ENTITY.sub("", stem) if stem.startswith("sub-") else stem.removesuffix("_0000")
    return re.sub(r"[_.\- ]+", "_", _NO_NAME.sub("", stem)).strip("_").lower()


def _folders_and_name(path: PurePath) -> Key:
    folders = [name for name in path.parts[:-1] if not (is_label_folder(name) or _IMAGE_FOLDER.fullmatch(name))]
    return (*folders, _bare(path.name))


def _name(path: PurePath) -> Key | None:
    bare = _bare(path.name)
    return (bare,) if bare else None


def _without_modality(path: PurePath) -> Key | None:
    bare = _bare(path.name)
    return (bare.rpartition("_")[0] if _modality(path) < len(_MODALITIES) else bare,) if bare else None


def _modality(path: PurePath) -> int:
    last = _bare(path.name).rpartition("_")[2]
    return _MODALITIES.index(last) if last in _MODALITIES else len(_MODALITIES)


def _folder(path: PurePath) -> Key:
    return path.parts[:-1]
