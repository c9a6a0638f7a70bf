# SPDX-License-Identifier: Apache-2.0
"""Finds the cases of a folder in all forms of files, their references, and how to read them."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pranet_monai.data.datasets import Layout, get_data_set
from pranet_monai.errors import UsageError
from pranet_monai.forms import FORMS, Form, KindName, Search, forms_of
from pranet_monai.forms.run_folder import FRAME_ENDING, RunFolder
from pranet_monai.forms.search import SERIES_NAMES, SeriesNames
from pranet_monai.storage.paths import given_path

__all__ = ["FoundDataSet", "LabelMode", "cases_to_train", "find_cases", "find_data_set"]

MAX_NAME_BYTES = 235
"""Of a case's file or folder: file systems allow 255, of which ``.partial.…_seg.nii.gz`` takes its part."""

LabelMode = Literal["none", "optional", "required"]
"""Whether to look for references, and whether each image must have one."""


def find_cases(
    dataset_dir: str | Path,
    labels: LabelMode = "none",
    label_dir: str | Path | None = None,
    output_dir: str | Path | None = None,
    kind: KindName = "volume",
    data_set: str | None = None,
    only: Collection[str] | None = None,
    series_names: SeriesNames = "study",
) -> list[dict[str, Any]]:
    """Lists the cases of a folder and its sub-folders, in all common layouts.

    A flat folder, sub-folders, ``imagesTr``/``labelsTr`` (Decathlon, nnU-Net), ``img``/``label`` (BTCV),
    ``patient001/patient001_frame01.nii.gz`` + ``_gt`` (ACDC), ``case_00000/imaging.nii.gz`` + ``segmentation`` (KiTS),
    the papers' ``.npz`` and ``.h5`` arrays, DICOM series (files in any order, also zips) and single files are found;
    for RGB images also ``images``/``masks`` and ``Original``/``Ground Truth`` (the polyp collections). Left out: hidden
    files, reference files and folders, the output of earlier runs, and ACDC's ``_4d`` cines whose frames lie beside
    them (give the cine itself as `dataset_dir` to segment it).

    Args:
        dataset_dir: the folder, or one case.
        labels: ``"none"`` looks for images only; ``"optional"`` adds the references that are there; ``"required"``
            makes an image without one fail.
        label_dir: look for references in this folder only, by the image's name and, if kept there, its sub-folder.
        output_dir: where this run writes; what lies there is neither an image nor a reference.
        kind: what to look for, "volume" or "image".
        data_set: a known data set, whose layouts say how some of its files are to be read.
        only: names of the cases to keep; None keeps all.
        series_names: how DICOM series are named: "study", by hashes of study and series, without anything of the
            patient; "folder"; or "patient", with the patient's ID.

    Returns:
        One item per case, sorted: ``case`` (path below `dataset_dir` without extension, with ``/``), ``form``,
        ``image``, ``label`` where one was found, and what a layout of the data set adds. An item with ``error`` fails
        with that reason: a reference without its image, or an image without its reference where they are required.

    Raises:
        UsageError: when the folder isn't there, or when nothing of that kind is in it.
    """
    if labels not in ("none", "optional", "required"):
        raise UsageError(f"labels={labels!r}: allowed are 'none', 'optional', 'required'")
    forms = forms_of(kind)
    if series_names not in SERIES_NAMES:
        raise UsageError(f"series_names={series_names!r}: allowed are {', '.join(map(repr, SERIES_NAMES))}")
    search = replace(_search(dataset_dir, forms, label_dir, output_dir, kind), series_names=series_names)
    items = _list_cases(search, forms, labels, output_dir)
    if not items:
        raise UsageError(_nothing_found(search, forms, kind))
    if data_set is not None:
        items = [item | get_data_set(data_set).reading_hints(item) for item in items]
    named = sorted(_with_safe_names(items), key=lambda item: item["case"])
    return named if only is None else [item for item in named if item["case"] in only]


def cases_to_train(
    folder: str | Path, kind: KindName, data_set: str | None = None, labels: LabelMode = "required"
) -> list[dict[str, Any]]:
    """The cases of a folder as a training names them, and so its split: DICOM series by their folders.

    See :func:`find_cases`.
    """
    return find_cases(folder, labels, kind=kind, data_set=data_set, series_names="folder")


def _with_safe_names(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No name stops a folder: one that can't be written fails by itself, a cine beside files named as its frames is
    told from them by ``cine``, the name of its rows.
    """
    framed = {FRAME_ENDING.sub("", item["case"]) for item in items if FRAME_ENDING.search(item["case"])}
    for item in items:
        if item["case"] in framed:
            item["cine"] = f"{item['case']} (cine)"
        problem = _problem_of_name(item["case"])
        if problem:
            item["case"] = item["case"].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            item["case"] = "".join("\N{REPLACEMENT CHARACTER}" if _is_control(char) else char for char in item["case"])
            item["error"] = f"{item['case'][:80]}: found a name {problem}; fix: rename it"
    return items


def _problem_of_name(case: str) -> str:
    """Why a mask of this name can't be written, or its row not read; empty where it can."""
    if Path(case).anchor or ".." in Path(case).parts:
        return "that leads out of the output folder; allowed: one without '..' that doesn't begin at a root"
    longest = max(len(os.fsencode(part)) for part in case.split("/"))
    if longest > MAX_NAME_BYTES:
        return f"of {longest} bytes; allowed: {MAX_NAME_BYTES}, as the mask's name is longer"
    if any(0xDC80 <= ord(char) <= 0xDCFF for char in case):
        return "that isn't UTF-8; allowed: UTF-8"
    if any(map(_is_control, case)):
        return "with control characters; allowed: printable ones"
    return ""


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Zl", "Zp")  # such as a line break


def _list_cases(
    search: Search, forms: Sequence[Form], labels: LabelMode, output_dir: str | Path | None = None
) -> list[dict[str, Any]]:
    items = _with_own_names([item for form in forms for item in form.find_items(search)], search.root)
    if items and labels != "none":
        if output_dir:
            folder = RunFolder(output_dir)
            own = {path.resolve() for item in items for path in folder.written(item, FORMS[item["form"]])}
            search = replace(search, own_masks=frozenset(own))
        items += _with_references(items, search, labels == "required")
    return items


@dataclass(frozen=True)
class FoundDataSet:
    """The part of a data set that was found in a folder.

    Attributes:
        layout: the layout that was found.
        cases: items of :func:`find_cases`, with ``patient`` and ``part`` where the names tell.
        unknown: names of other cases of this form, which aren't the data set's.
    """

    layout: Layout
    cases: list[dict[str, Any]]
    unknown: list[str]


def find_data_set(name: str, folder: str | Path) -> FoundDataSet:
    """Finds the cases of a data set in a folder, in the first of its layouts that fits.

    Args:
        name: key in ``DATA_SETS``.
        folder: with the data somewhere below it.

    Raises:
        UsageError: when the folder isn't there or holds none of the layouts; lists them, and how to get the data.
    """
    data_set, root = get_data_set(name), Path(folder).expanduser()
    if not root.is_dir():
        raise UsageError(f"{root}: found no such folder; fix: give the folder that holds {data_set.title}")
    forms = forms_of(data_set.layouts[0].form.kind)
    items = sorted(_list_cases(Search(root, series_names="folder"), forms, "optional"), key=lambda item: item["case"])
    for layout in data_set.layouts:
        of_form = [item for item in items if item["form"] == layout.form_name]
        hints = [layout.recognise(item) for item in of_form]
        cases = [item | hint for item, hint in zip(of_form, hints, strict=True) if hint is not None]
        if cases:
            unknown = [item["case"] for item, hint in zip(of_form, hints, strict=True) if hint is None]
            return FoundDataSet(layout, cases, unknown)
    examples = "; ".join(layout.example for layout in data_set.layouts)
    raise UsageError(
        f"{root}: found nothing of {data_set.title}; allowed: files such as {examples}; fix: give the folder that "
        f"holds them, or get the data: {data_set.source}"
    )


def _search(
    dataset_dir: str | Path,
    forms: Sequence[Form],
    label_dir: str | Path | None,
    output_dir: str | Path | None,
    kind: str,
) -> Search:
    root = given_path("dataset_dir", dataset_dir)
    if not root.exists():
        raise UsageError(f"dataset_dir {root}: found no such folder or file; fix: give a folder of {kind}s")
    if label_dir is not None:
        label_dir = given_path("label_dir", label_dir)
        if not label_dir.is_dir():
            raise UsageError(f"label_dir {label_dir}: found no such folder; fix: give the folder that holds the labels")
    only = None
    if root.is_file():
        if not any(form.takes(root) for form in forms):
            allowed = ", ".join(pattern for form in forms for pattern in form.patterns)
            raise UsageError(f"dataset_dir {root}: found no {kind}; allowed: a folder, or one file of {allowed}")
        root, only = root.parent, root
    return Search(root, Path(output_dir).expanduser().resolve() if output_dir else None, label_dir, only)


def _with_own_names(items: list[dict[str, Any]], root: Path) -> list[dict[str, Any]]:
    """Items named with the extension of their file where x.nii and x.nii.gz would share one mask."""
    count = Counter(item["case"] for item in items)
    shared = [item for item in items if count[item["case"]] > 1]
    for item in shared:
        item["case"] = Path(item["image"]).relative_to(root).as_posix()
    return items


def _with_references(items: list[dict[str, Any]], search: Search, required: bool) -> list[dict[str, Any]]:
    """Puts the references into the items; returns items for references without an image."""
    for item in (item for item in items if "error" not in item):
        reference = FORMS[item["form"]].find_reference(item, search)
        if reference is not None:
            item["label"] = str(reference)
        elif required:
            item["error"] = FORMS[item["form"]].no_reference(item, search)
    if search.label_dir is not None:
        return []
    used = {item.get("label") for item in items}
    return [
        {
            "case": form.case_name(path, search.root),
            "form": form.name,
            "label": str(path),
            "error": f"{path}: found a label without its image; fix: add the image, or take the label away",
        }
        for form in {item["form"]: FORMS[item["form"]] for item in items}.values()
        for path in form.find_references(search)
        if str(path) not in used and path.resolve() not in search.own_masks
    ]


def _nothing_found(search: Search, forms: Sequence[Form], kind: str) -> str:
    references = [path for form in forms for path in form.find_references(search)]
    others = Counter(path.suffix or path.name for path in search.files if not any(form.takes(path) for form in forms))
    found = [f"{len(references)} files named like labels ({references[0].name}, …)"] if references else []
    found += [f"{number} {suffix} files" for suffix, number in others.most_common(5)]
    found += [f"{len(paths)} {what} files" for form in forms for what, paths in form.left_out(search).items()]
    return (
        f"dataset_dir {search.root}: found no {kind} in it or in its sub-folders, but "
        f"{', '.join(found) or 'no file at all'}; allowed: "
        f"{', '.join(pattern for form in forms for pattern in form.patterns)}, not named *_gt, *_seg or *_label and "
        f"not in a labels* or masks* folder; fix: give the folder of the {kind}s"
    )
