# SPDX-License-Identifier: Apache-2.0
"""Which volumes or photographs lie in a folder, which labels belong to them, and where the mask of each goes."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pranet_monai.errors import UsageError
from pranet_monai.transforms.files import PHOTOGRAPH_EXTENSIONS, VOLUME_EXTENSIONS, file_extension, file_stem, mask_path

__all__ = ["EXTENSIONS", "Kind", "find_cases", "walk_files"]

LabelMode = Literal["none", "optional", "required"]
Kind = Literal["volume", "photograph"]

EXTENSIONS: dict[str, tuple[str, ...]] = {"volume": VOLUME_EXTENSIONS, "photograph": PHOTOGRAPH_EXTENSIONS}

# labels, labelsTr, label, Labels_test (nnU-Net, the Decathlon, BTCV), masks, Ground Truth (polyps): the experts' folder
_LABEL_FOLDER = re.compile(r"((labels?|masks?)([A-Z_\-].*)?|ground ?truth)", re.IGNORECASE)
# x_gt (ACDC), x_seg, x-seg (BraTS), x_label, x.seg (3D Slicer), segmentation (KiTS)
_LABEL_STEM = re.compile(r"(.*[_.\-])?(gt|seg|segmentation|labels?|mask)", re.IGNORECASE)
_LABEL_SUFFIXES = ("", "_gt", "_seg", "-seg", "_label", "_labels", "_mask", "_segmentation", ".seg")
# the whole cine of an ACDC patient, whose ED and ES frames lie beside it as patient001_frame01, …_frame12
_CINE = re.compile(r"(?P<patient>.+)_4d", re.IGNORECASE)
# how the folder of the images begins, and that of their labels: image → masks is PraNet's training set
_LABEL_WORDS = [(word, label) for word in ("images", "image", "img") for label in ("labels", "label", "masks", "mask")]
_LABEL_WORDS += [("Original", "Ground Truth"), ("Original", "GroundTruth")]
_LABEL_WORDS += [("averaged-training-images", "averaged-training-labels")]  # of the Synapse page
# a case of KiTS23 also holds the annotations of each person and tumour
_KITS_IMAGE, _KITS_PARTS = "imaging.nii.gz", ("instances",)
# written by every run of ours: a folder that holds it holds masks, not images
_RUN_OUTPUT = Path("report", "cases.csv")


def find_cases(
    dataset_dir: str | Path,
    labels: LabelMode = "none",
    label_dir: str | Path | None = None,
    output_dir: str | Path | None = None,
    kind: Kind = "volume",
) -> list[dict[str, str]]:
    """Lists the volumes, or the photographs, of a folder and of all folders in it, as people keep them.

    A flat folder, sub-folders, ``imagesTr``/``labelsTr`` (Decathlon, nnU-Net), ``img``/``label`` (BTCV),
    ``patient001/patient001_frame01.nii.gz`` + ``_gt`` (ACDC), ``case_00000/imaging.nii.gz`` + ``segmentation`` (KiTS)
    and a single file are understood; for photographs also ``images``/``masks`` and ``Original``/``Ground Truth`` (the
    polyp collections). Left out: hidden files, label files and folders, the output of earlier runs, and
    ACDC's ``_4d`` cines where their frames lie beside them (give the cine itself as `dataset_dir` to segment it).

    Args:
        dataset_dir: the folder, or one volume.
        labels: ``"none"`` looks for images only; ``"optional"`` adds the labels that are there; ``"required"`` makes
            an image without one fail.
        label_dir: look for labels in this folder only, by the image's name and, if kept there, its sub-folder.
        output_dir: where this run writes; what lies there is neither an image nor a label.
        kind: what to look for, "volume" or "photograph".

    Returns:
        One item per case, sorted: ``case`` (path below `dataset_dir` without extension, with ``/``), ``image``, and
        ``label`` where one was found. An item with ``error`` fails with that reason: a label without its image, or
        an image without its label where labels are required.

    Raises:
        UsageError: when the folder isn't there, or when nothing of that kind is in it.
    """
    if labels not in ("none", "optional", "required"):
        raise UsageError(f"labels={labels!r}: allowed are 'none', 'optional', 'required'")
    if kind not in EXTENSIONS:
        raise UsageError(f"kind={kind!r}: allowed are {', '.join(map(repr, EXTENSIONS))}")
    root, images, label_files = _list_files(Path(dataset_dir).expanduser(), output_dir, kind)
    names = _case_names(images, root)
    items = [{"case": name, "image": str(image)} for name, image in zip(names, images, strict=True)]
    if labels == "none":
        return items

    own_masks = {mask_path(output_dir, item["case"], image=item["image"]).resolve() for item in items if output_dir}
    for item, image in zip(items, images, strict=True):
        label = _find_label(image, root, _label_folder(label_dir), own_masks, EXTENSIONS[kind])
        if label is not None:
            item["label"] = str(label)
        elif labels == "required":
            item["error"] = (
                f"{image}: found no label for it; allowed: the same name in a labels* or masks* folder, or "
                f"{file_stem(image)}_gt, _seg or _label beside it; fix: add the label, or give label_dir"
            )
    if label_dir is None:
        used = {item.get("label") for item in items}
        left_over = [path for path in label_files if str(path) not in used and path.resolve() not in own_masks]
        items += [_label_without_image(path, root) for path in left_over]
    return sorted(items, key=lambda item: item["case"])


def _list_files(root: Path, output_dir: str | Path | None, kind: Kind) -> tuple[Path, list[Path], list[Path]]:
    """The folder that names are relative to, the images in it, and the files that look like labels."""
    extensions = EXTENSIONS[kind]
    if not root.exists():
        raise UsageError(f"dataset_dir {root}: found no such folder or file; fix: give a folder of {kind}s")
    if root.is_file():
        if not file_extension(root, extensions):
            allowed = ", ".join(f"*{extension}" for extension in extensions)
            raise UsageError(f"dataset_dir {root}: found no {kind}; allowed: a folder, or one file of {allowed}")
        return root.parent, [root], []
    files = sorted(walk_files(root, Path(output_dir).expanduser().resolve() if output_dir else None))
    of_kind = [path for path in files if file_extension(path, extensions)]
    label_files = [path for path in of_kind if _is_label(path, root)]
    images = _drop_cines([path for path in of_kind if path not in set(label_files)])
    if not images:
        raise UsageError(_nothing_found(root, kind, files, label_files))
    return root, images, label_files


def walk_files(root: Path, output_dir: Path | None = None) -> Iterator[Path]:
    """All files below the root, without hidden ones and without what runs of ours have written."""
    seen: set[Path] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=_refuse_folder):
        here = Path(folder)
        real = here.resolve()
        is_output = here != root and (real == output_dir or (here / _RUN_OUTPUT).is_file())
        if real in seen or is_output:  # a link back up would never end
            subfolders.clear()
            continue
        seen.add(real)
        left_out = _KITS_PARTS if _KITS_IMAGE in names else ()
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name not in left_out)
        yield from (here / name for name in names if not name.startswith("."))


def _refuse_folder(error: OSError) -> None:
    raise UsageError(
        f"{error.filename}: found that this folder can't be listed ({error.strerror}); fix: its permissions"
    )


def _is_label(path: Path, root: Path) -> bool:
    in_label_folder = any(_LABEL_FOLDER.fullmatch(folder) for folder in path.relative_to(root).parts[:-1])
    return in_label_folder or _LABEL_STEM.fullmatch(file_stem(path)) is not None


def _drop_cines(images: list[Path]) -> list[Path]:
    framed = {(path.parent, file_stem(path).split("_frame")[0]) for path in images if "_frame" in path.name}

    def is_doubled(path: Path) -> bool:
        match = _CINE.fullmatch(file_stem(path))
        return match is not None and (path.parent, match["patient"]) in framed

    return [path for path in images if not is_doubled(path)]


def _case_names(images: list[Path], root: Path) -> list[str]:
    """Path below the root without extension; with it where x.nii and x.nii.gz would share one mask."""
    plain = [(path.relative_to(root).parent / file_stem(path)).as_posix() for path in images]
    count = Counter(plain)
    return [
        name if count[name] == 1 else path.relative_to(root).as_posix()
        for name, path in zip(plain, images, strict=True)
    ]


def _find_label(
    image: Path, root: Path, label_dir: Path | None, own_masks: set[Path], extensions: tuple[str, ...]
) -> Path | None:
    """The first file that is there among the places where people keep the label of this image."""
    stem = file_stem(image)
    stems = [stem]
    if stem.endswith("_0000"):  # nnU-Net numbers an image's channels, not its label
        stems.append(stem.removesuffix("_0000"))
    if stem.startswith("img"):  # BTCV: img0001 and label0001
        stems.append(f"label{stem.removeprefix('img')}")
    names = [name + suffix for name in stems for suffix in _LABEL_SUFFIXES]
    if stem == "imaging":  # KiTS
        names.append("segmentation")
    for folder in _label_folders(image.parent, root, label_dir):
        beside = label_dir is None and folder == image.parent
        for name in names:
            if beside and name in (stem, stem.removesuffix("_0000")):  # x.nii beside x.nii.gz is an image too
                continue
            for extension in extensions:
                path = folder / f"{name}{extension}"
                if path != image and path.is_file() and path.resolve() not in own_masks:
                    return path
    return None


def _label_folders(folder: Path, root: Path, label_dir: Path | None) -> Iterator[Path]:
    if label_dir is not None:
        yield from (label_dir / folder.relative_to(root), label_dir)
        return
    yield folder
    # imagesTr → labelsTr, img → label, at every level up to the root itself, which is often given as …/imagesTr
    for level in (folder, *folder.parents):
        for word, label in _LABEL_WORDS:
            if level.name.startswith(word):
                yield level.with_name(label + level.name.removeprefix(word)) / folder.relative_to(level)
        if level == root:
            return


def _label_folder(label_dir: str | Path | None) -> Path | None:
    if label_dir is None:
        return None
    folder = Path(label_dir).expanduser()
    if not folder.is_dir():
        raise UsageError(f"label_dir {folder}: found no such folder; fix: give the folder that holds the labels")
    return folder


def _label_without_image(path: Path, root: Path) -> dict[str, str]:
    error = f"{path}: found a label without its image; fix: add the image, or take the label out of the folder"
    return {"case": (path.relative_to(root).parent / file_stem(path)).as_posix(), "label": str(path), "error": error}


def _nothing_found(root: Path, kind: Kind, files: list[Path], label_files: list[Path]) -> str:
    extensions = EXTENSIONS[kind]
    others = Counter(path.suffix or path.name for path in files if not file_extension(path, extensions))
    found = [f"{len(label_files)} files named like labels ({label_files[0].name}, …)"] if label_files else []
    found += [f"{number} {kind} files" for kind, number in others.most_common(5)]
    fix = "convert DICOM to NIfTI first (dcm2niix)" if ".dcm" in others else f"give the folder of the {kind}s"
    return (
        f"dataset_dir {root}: found no {kind} in it or in its sub-folders, but {', '.join(found) or 'no file at all'}; "
        f"allowed: {', '.join(f'*{extension}' for extension in extensions)}, not named *_gt, *_seg or *_label and not "
        f"in a labels* or masks* folder; fix: {fix}"
    )
