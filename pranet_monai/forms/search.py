# SPDX-License-Identifier: Apache-2.0
"""A folder looked through once, and the names by which people say that a file is a reference."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pranet_monai.errors import UsageError
from pranet_monai.forms.files import file_extension, without_extension
from pranet_monai.forms.pairing import is_label_folder, is_label_stem, pairs_by_words

__all__ = ["REPORT_TABLE", "SERIES_NAMES", "Search", "SeriesNames"]

Made = TypeVar("Made")

SeriesNames = Literal["study", "folder", "patient"]
"""How DICOM series are named: by study and series without anything of the patient, by their folder, or with the ID."""

SERIES_NAMES: tuple[SeriesNames, ...] = ("study", "folder", "patient")

REPORT_TABLE = Path("report", "cases.csv")
"""Every run leaves it: a folder that holds it holds masks, not images."""

_LABEL_SUFFIXES = ("", "_gt", "_seg", "-seg", "_label", "_labels", "_mask", "_segmentation", ".seg")
# of the maps that a run writes beside its mask, <case>_seg
_MAP_SUFFIXES = ("_probabilities", "_quality")
_MASK_ENDING = "_seg."
# how the folder of the images begins, and that of their labels: image → masks is PraNet's training set
_LABEL_WORDS = [(word, label) for word in ("images", "image", "img") for label in ("labels", "label", "masks", "mask")]
_LABEL_WORDS += [("Original", "Ground Truth"), ("Original", "GroundTruth")]
_LABEL_WORDS += [("averaged-training-images", "averaged-training-labels")]  # of the Synapse page
# a case of KiTS23 also holds the annotations of each person and tumour
_KITS_IMAGE, _KITS_PARTS = "imaging.nii.gz", ("instances",)


@dataclass(frozen=True)
class Search:
    """What lies below a folder.

    Attributes:
        root: the folder that the names of cases are relative to.
        output_dir: where this run writes; what lies there is neither an image nor a reference.
        label_dir: the only folder to look for references in, if given.
        only: one file or folder in the root, where that alone was asked for.
        own_masks: resolved paths of the masks that this run writes: no references, even among the images.
        series_names: how DICOM series are named, "study", "folder" or "patient".
    """

    root: Path
    output_dir: Path | None = None
    label_dir: Path | None = None
    only: Path | None = None
    own_masks: frozenset[Path] = field(default=frozenset())
    series_names: SeriesNames = "study"
    _pairs: dict[Sequence[str], dict[Path, Path]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _made: dict[Callable[[Search], Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, make: Callable[[Search], Made]) -> Made:
        """What a function makes of this search, made when it is first asked for: every case asks for the same."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made

    @cached_property
    def files(self) -> list[Path]:
        """All files, sorted, without hidden ones, without the output of runs and without `specials`.

        Raises:
            UsageError: a folder can't be listed.
        """
        return [path for path, is_special in self._found if not is_special]

    @property
    def specials(self) -> list[Path]:
        """Pipes, sockets and devices, and links to them: whoever opens one may wait for ever."""
        return [path for path, is_special in self._found if is_special]

    @cached_property
    def _found(self) -> list[tuple[Path, bool]]:
        if self.only is not None and self.only.is_file():
            return [(self.only, False)]
        return [(path, _is_special(path)) for path in sorted(_walk(self.only or self.root, self.output_dir))]

    def with_extension(self, extensions: tuple[str, ...]) -> list[Path]:
        """The files that end so."""
        return [path for path in self.files if file_extension(path, extensions)]

    def names_reference(self, path: Path, extensions: tuple[str, ...]) -> bool:
        """Whether a file's name or a folder above it says that it holds a reference."""
        if path == self.only:  # asked for by name
            return False
        folders = path.relative_to(self.root).parts[:-1]
        stem = without_extension(path, extensions)
        return any(map(is_label_folder, folders)) or is_label_stem(stem)

    def is_map(self, path: Path, extensions: tuple[str, ...]) -> bool:
        """Whether a run has written the file beside a mask, and not as one."""
        stem = without_extension(path, extensions)
        return any(
            stem.endswith(end) and path.with_name(stem.removesuffix(end)) in self._masked for end in _MAP_SUFFIXES
        )

    @cached_property
    def _masked(self) -> set[Path]:
        """Cases with a mask of a run's name, by where it lies."""
        names = ((path, path.name.rpartition(_MASK_ENDING)[0]) for path in self.files)
        return {path.with_name(case) for path, case in names if case}

    def reference_file(self, image: Path, extensions: tuple[str, ...]) -> Path | None:
        """The reference of this image: in one of the usual places, else by what names are left without words."""
        usual = self._usual_reference(image, extensions)
        return usual or (self._by_words(extensions).get(image) if self.label_dir is None else None)

    def _by_words(self, extensions: tuple[str, ...]) -> dict[Path, Path]:
        """Image → reference of all whose places aren't the usual ones."""
        if extensions not in self._pairs:
            files = self.with_extension(extensions)
            named = [path for path in files if self.names_reference(path, extensions)]
            images = sorted(set(files) - set(named)) if named else []
            usual = {path: self._usual_reference(path, extensions) for path in images}
            taken = set(usual.values())
            free = [path for path in named if path not in taken and path.resolve() not in self.own_masks]
            at = {self._bare(path, extensions): path for path in (*images, *free)}
            pairs = pairs_by_words(
                [self._bare(path, extensions) for path, reference in usual.items() if reference is None],
                [self._bare(path, extensions) for path in free],
            )
            self._pairs[extensions] = {at[image]: at[reference] for image, reference in pairs.items()}
        return self._pairs[extensions]

    def _bare(self, path: Path, extensions: tuple[str, ...]) -> Path:
        return path.relative_to(self.root).with_name(without_extension(path, extensions))

    def _usual_reference(self, image: Path, extensions: tuple[str, ...]) -> Path | None:
        """The first file that is there among the places where people keep the reference of this image."""
        stem = without_extension(image, extensions)
        names = _reference_names(stem)
        for folder in self._reference_folders(image.parent):
            beside = self.label_dir is None and folder == image.parent
            for name in names:
                if beside and name in (stem, stem.removesuffix("_0000")):  # x.nii beside x.nii.gz is an image too
                    continue
                for path in (folder / f"{name}{extension}" for extension in extensions):
                    if path != image and _is_file_or_link(path) and path.resolve() not in self.own_masks:
                        return path
        return None

    def _reference_folders(self, folder: Path) -> Iterator[Path]:
        if self.label_dir is not None:
            yield from (self.label_dir / folder.relative_to(self.root), self.label_dir)
            return
        yield folder
        # imagesTr → labelsTr, img → label, at every level up to the root itself, which is often given as …/imagesTr
        for level in (folder, *folder.parents):
            for word, label in _LABEL_WORDS:
                if level.name.startswith(word):
                    yield level.with_name(label + level.name.removeprefix(word)) / folder.relative_to(level)
            if level == self.root:
                return


def _reference_names(stem: str) -> Sequence[str]:
    stems = [stem]
    if stem.endswith("_0000"):  # nnU-Net numbers an image's channels, not its label
        stems.append(stem.removesuffix("_0000"))
    if stem.startswith("img"):  # BTCV: img0001 and label0001
        stems.append(f"label{stem.removeprefix('img')}")
    names = [name + suffix for name in stems for suffix in _LABEL_SUFFIXES]
    return [*names, "segmentation"] if stem == "imaging" else names  # KiTS


def _walk(root: Path, output_dir: Path | None) -> Iterator[Path]:
    seen: set[Path] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=_refuse_folder):
        here = Path(folder)
        real = here.resolve()
        is_output = here != root and (real == output_dir or (here / REPORT_TABLE).is_file())
        if real in seen or is_output:  # a link back up would never end
            subfolders.clear()
            continue
        seen.add(real)
        left_out = [*(_KITS_PARTS if _KITS_IMAGE in names else ())]
        if (here / REPORT_TABLE).is_file():  # the root itself may be the output of a run: its pictures are no images
            left_out.append(REPORT_TABLE.parts[0])
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name not in left_out)
        yield from (here / name for name in names if not name.startswith("."))


def _is_file_or_link(path: Path) -> bool:
    """Whether there is a file, or a link that may lead nowhere; of a name that is too long with its ending, no."""
    return os.path.isfile(path) or os.path.islink(path)


def _is_special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a link to nothing: whoever reads it says so
        return False


def _refuse_folder(error: OSError) -> None:
    raise UsageError(f"{error.filename}: this folder can't be listed ({error.strerror}); fix: its permissions")
