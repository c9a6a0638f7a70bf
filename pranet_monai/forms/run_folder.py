# SPDX-License-Identifier: Apache-2.0
"""What a run writes and where: no other module builds a path in an output folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock, Timeout
from monai.data import MetaTensor
from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.forms.base import DicomPaths, Form, Item
from pranet_monai.forms.grid import FRAMES, frame_count
from pranet_monai.forms.provenance import Provenance
from pranet_monai.forms.reviews import Reviews
from pranet_monai.forms.shard import Shard
from pranet_monai.storage.tables import CaseTable, Row

__all__ = [
    "FRAME_ENDING",
    "MADE_OF_ROWS",
    "OUTPUT_FORMATS",
    "REFERENCE",
    "ROWS",
    "OutputFormat",
    "RunFolder",
    "wants_dicom",
]

OutputFormat = Literal["nifti", "dicom_seg", "both"]
"""What a mask is written as: a file of a volume (or a PNG), DICOM objects, or both where the case is DICOM."""

OUTPUT_FORMATS: tuple[OutputFormat, ...] = ("nifti", "dicom_seg", "both")

REFERENCE = "reference_sha256"
"""Column of ``metrics.csv``: what the metrics were measured by."""

FRAME_ENDING = re.compile(r"_frame\d+$")
"""How the name of a cine's row ends."""
_LOCKS: dict[Path, FileLock] = {}
"""What this process has locked; the system frees a lock when its process ends, however it ends."""
_LOCK_SECONDS = 5.0
"""How long a lock is waited for: worker processes of a run that was killed hold theirs until they notice it."""
ROWS = ("cases.csv", "metrics.csv")
MADE_OF_ROWS = ("summary.json", "run.json", "index.html", "cases.js", "cardiac.csv", "patients")
"""What a run makes of its rows at its end, and the next one removes at its beginning."""
_LEFT_BY_EVERY_RUN = {".lock", "cases.csv", "run.json", "shards"}


class RunFolder:
    """The output folder of a run.

    ``<root>/<case>_seg.nii.gz`` (or ``.png``) are the masks, ``<root>/report`` holds tables, page and pictures. A 4D
    cine has one mask and a row per frame, ``<case>_frame01``, …, counted from 1 as in ACDC's file names. Shards write
    masks and pictures beside each other; each has a lock and tables of its own, in ``<root>/report/shards/3of8``.

    Args:
        root: the folder; need not be there yet.
        shard: the run that does but a share of the cases.
    """

    def __init__(self, root: str | Path, shard: Shard | None = None) -> None:
        self.root = Path(root).expanduser()
        self.shard = shard
        self.report = self.root / "report" if shard is None else self.root / "report" / "shards" / shard.folder

    def mask(self, case: str, form: Form) -> Path:
        """The mask of a case."""
        return self.root / f"{case}_seg{form.mask_extension}"

    def dicom(self, names: Sequence[str]) -> list[DicomPaths]:
        """The DICOM objects of a case, by the names of its rows."""
        return [DicomPaths(self.root / f"{name}_seg.dcm", self.root / f"{name}_report.dcm") for name in names]

    def written(self, item: Item, form: Form) -> list[Path]:
        """Everything that a run may write for a case beside its report."""
        paths = [self.mask(item["case"], form)]
        if form.writes_dicom and "error" not in item:
            paths += [path for pair in self.dicom(self._dicom_names(item, form)) for path in pair]
        return paths

    def probabilities(self, case: str, form: Form) -> Path:
        """The probabilities of a case, where they were asked for."""
        extension = ".tif" if form.mask_extension == ".png" else form.mask_extension
        return self.root / f"{case}_probabilities{extension}"

    def quality_map(self, case: str, form: Form) -> Path:
        """How sure the network is of each voxel of a case, where it was asked for."""
        return self.root / f"{case}_quality{form.mask_extension}"

    def preview(self, name: str) -> Path:
        """The picture of a row."""
        return self.root / "report" / "previews" / f"{name}.png"

    def lock(self, seconds: float = _LOCK_SECONDS, beside_shards: bool = False) -> None:
        """Keeps other processes out until :meth:`unlock` or the end of this one, whose own second call changes nothing.

        Args:
            seconds: that the end of another run is waited for.
            beside_shards: shards may go on meanwhile, as their merging changes nothing of theirs.

        Raises:
            UsageError: another run is writing here; for a shard also one of the whole, for the whole also a shard.
            OSError: the folder can't be made.
        """
        path = self._lock_file
        if path in _LOCKS:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        _LOCKS[path] = self._acquired(seconds)
        try:  # each takes its own lock before it looks at others': of two that start at once, none misses the other
            for rival in [] if beside_shards else self._rivals():
                rival._check_free(seconds)
        except UsageError:
            self.unlock()
            raise

    def check_own(self) -> None:
        """Refuses a folder whose ``report`` no run has written: a new run would remove what lies in it.

        Raises:
            UsageError: it holds something under a name of a run's, and none of what every run leaves.
        """
        folder = self.root / "report"
        names = {path.name for path in folder.glob("*")}
        if not names & _LEFT_BY_EVERY_RUN and (lost := sorted(names & {*ROWS, *MADE_OF_ROWS, "previews"})):
            raise UsageError(
                f"{folder}: found {', '.join(lost)} that no run of this program has written; a run would remove it; "
                "fix: give another output folder, or move it away"
            )

    def check_unlocked(self, seconds: float = _LOCK_SECONDS) -> None:
        """Refuses a folder that :meth:`lock` would refuse, and leaves nothing there; arguments and errors as there."""
        if self._lock_file not in _LOCKS:
            for folder in (self, *self._rivals()):
                folder._check_free(seconds)

    @property
    def is_locked(self) -> bool:
        """Whether a run is writing here."""
        try:
            self._check_free(seconds=0)
        except UsageError:
            return True
        return False

    @property
    def _lock_file(self) -> Path:
        return (self.report / ".lock").resolve()

    def _rivals(self) -> list[RunFolder]:
        """What no other run may be writing meanwhile: the whole beside a shard, any shard beside the whole."""
        return [RunFolder(self.root)] if self.shard is not None else self._known_shards()

    def _check_free(self, seconds: float) -> None:
        if self._lock_file in _LOCKS:
            raise self._is_taken()
        if self._lock_file.exists():
            _LOCKS[self._lock_file] = self._acquired(seconds)
            self.unlock()

    def _acquired(self, seconds: float) -> FileLock:
        lock = FileLock(self._lock_file, timeout=seconds)
        try:
            lock.acquire()
        except Timeout as error:
            raise self._is_taken() from error
        return lock

    def _is_taken(self) -> UsageError:
        part = "" if self.shard is None else f" (shard {self.shard})"
        return UsageError(
            f"output folder {self.root}: found another run{part} that is writing into it; fix: wait until it has "
            "ended, or give an output folder of its own"
        )

    def _known_shards(self) -> list[RunFolder]:
        found = [Shard.of_folder(path.name) for path in (self.root / "report" / "shards").glob("*")]
        return [RunFolder(self.root, shard) for shard in found if shard is not None]

    def shards(self) -> list[RunFolder]:
        """The folders of the shards that have begun, the one first whose table was written to the longest ago."""
        begun = [folder for folder in self._known_shards() if folder.cases_table.is_file()]
        return sorted(begun, key=lambda folder: folder.cases_table.stat().st_mtime_ns)

    @property
    def shard_record(self) -> Path:
        """What the merging of shards has to know of one."""
        return self.report / "shard.json"

    @property
    def run_record(self) -> Path:
        """The facts of a run that has ended."""
        return self.report / "run.json"

    @property
    def case_record(self) -> Path:
        """Where the cases' files lie; not in the report, which may be shared."""
        return self.root / ".cases.json"

    @cached_property
    def reviews(self) -> Reviews:
        """What people have said of the masks, as it was when first asked for."""
        return Reviews(self.root / "report")

    def unlock(self) -> None:
        """Lets other processes write again."""
        path = self._lock_file
        if path in _LOCKS:
            lock = _LOCKS.pop(path)
            # while it is held: whoever has opened the file sees that it is gone, and tries again. Removed
            # afterwards, it could be the file that another run has locked meanwhile.
            with suppress(OSError):  # Windows removes no open file; one that stays does no harm
                path.unlink()
            lock.release()

    @property
    def cases_table(self) -> Path:
        """A row per case, or per frame of a cine."""
        return self.report / "cases.csv"

    @property
    def metrics_table(self) -> Path:
        """A row per case and organ, where there are references."""
        return self.report / "metrics.csv"

    def row_names(self, item: Item, volume: MetaTensor) -> list[str]:
        """The names of a case's rows: its own, or one for each frame that was read of a cine."""
        if FRAMES not in volume.meta:
            return [item["case"]]
        frames = np.asarray(volume.meta[FRAMES]).astype(int).tolist()
        return frame_names(item.get("cine", item["case"]), frames, frame_count(volume))

    def _dicom_names(self, item: Item, form: Form) -> list[str]:
        """As :meth:`row_names`, by the case's files alone; no name where they make no volume."""
        try:
            count = form.frame_count(item)
        except BadCaseError:
            return []
        return [item["case"]] if count == 1 else frame_names(item.get("cine", item["case"]), range(count), count)

    def finished_mask(
        self, item: Item, form: Form, label_map: LabelMap, weights: str = "", output_format: OutputFormat = "both"
    ) -> Path | None:
        """The mask that an earlier run has finished for a case, with its DICOM objects; the first of these where they
        are all that is wanted; or None. A rejected mask isn't finished.

        Args:
            item: of the case.
            form: its form.
            label_map: the mask must be of these classes,
            weights: and of weights with this SHA-256.
            output_format: in what it must be there.
        """
        if self._is_rejected(item):
            return None
        mask, has_dicom = self.mask(item["case"], form), wants_dicom(output_format, form)
        objects = self.dicom(self._dicom_names(item, form)) if has_dicom else []
        wanted = [] if output_format == "dicom_seg" else [mask]
        if not all(path.is_file() for path in [*wanted, *(path for pair in objects for path in pair)]):
            return None
        made_by = Provenance(form.fingerprint(item), weights)
        whole = all(form.dicom_is_whole(pair, made_by) for pair in objects)
        whole = whole and all(form.mask_is_whole(path, item, label_map, made_by) for path in wanted)
        found = [*wanted, *(pair.segmentation for pair in objects)]
        return found[0] if whole and found else None

    def finished_rows(self, item: Item, reference: str = "") -> list[str]:
        """The rows that an earlier run has written for a case; none where its metrics would be missing, or be by
        another reference.

        Args:
            item: of the case.
            reference: the fingerprint of its reference, where it has one.
        """
        case, rows = item["case"], self._rows_by_case
        names = rows.get(case, [])
        if "cine" in item:  # the rows under its name are those of other cases, but for one
            names = [case] if case in names else rows.get(item["cine"], [])
        # of a cine perhaps not every frame is labelled
        measured_by = {self._references[name] for name in names if name in self._references}
        return names if "label" not in item or measured_by == {reference} else []

    def _is_rejected(self, item: Item) -> bool:
        """Whether the mask of a case was rejected, or that of a frame of it."""
        return item["case"] in self.reviews.rejected or item.get("cine", item["case"]) in self._rejected_cines

    @cached_property
    def _rejected_cines(self) -> set[str]:
        return {FRAME_ENDING.sub("", name) for name in self.reviews.rejected if FRAME_ENDING.search(name)}

    @cached_property
    def _rows_by_case(self) -> dict[str, list[str]]:
        """Case → its rows, but for those that failed, as the tables were when the run began."""
        rows: dict[str, dict[str, None]] = {}
        for row in self._rows_of("cases_table"):
            if row["status"] != "failed":
                for case in {row["case"], FRAME_ENDING.sub("", row["case"])}:
                    rows.setdefault(case, {})[row["case"]] = None
        return {case: list(names) for case, names in rows.items()}

    @cached_property
    def _references(self) -> dict[str, str]:
        """Row → fingerprint of the reference that it was measured by."""
        return {row["case"]: row.get(REFERENCE) or "" for row in self._rows_of("metrics_table")}

    def _rows_of(self, table: str) -> list[Row]:
        """Rows of its own table; of a shard also of the table that shards were merged into."""
        folders = [self] if self.shard is None else [RunFolder(self.root), self]
        return [row for folder in folders for row in CaseTable(getattr(folder, table), []).rows]


def wants_dicom(output_format: OutputFormat, form: Form) -> bool:
    """Whether the cases of a form get DICOM objects."""
    return output_format == "dicom_seg" or (output_format == "both" and form.writes_dicom)


def frame_names(case: str, frames: Sequence[int], count: int) -> list[str]:
    """Names of a cine's rows.

    Args:
        case: name of the cine.
        frames: which of them, counted from 0.
        count: how many the cine has.
    """
    digits = max(2, len(str(count)))
    return [f"{case}_frame{frame + 1:0{digits}d}" for frame in frames]
