# SPDX-License-Identifier: Apache-2.0
"""Cases on their way to the network: loaded one ahead, and a bad one is an item with a reason, never an exception."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from monai.data import Dataset, ThreadDataLoader
from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.errors import UsageError, reason_of
from pranet_monai.forms import form_of
from pranet_monai.forms.provenance import FINGERPRINT
from pranet_monai.forms.remarks import REMARKS, remarks_of_error
from pranet_monai.forms.run_folder import OutputFormat, RunFolder
from pranet_monai.forms.shard import Shard
from pranet_monai.storage.hashing import file_sha256

__all__ = [
    "CASE",
    "ERROR",
    "FINISHED_MASK",
    "FINISHED_ROWS",
    "ITEM",
    "LOADING_SECONDS",
    "CaseDataset",
    "CaseLoader",
    "check_workers",
    "usual_workers",
]

CASE, ERROR = "case", "error"
FINISHED_ROWS = "finished_rows"
"""Names of the rows that an earlier run has written: nothing is left to do."""
FINISHED_MASK = "finished_mask"
"""The mask that an earlier run has written, but not its rows: it is measured, not made again."""
LOADING_SECONDS = "loading_seconds"
"""How long the case took so far."""
ITEM = "item"
"""The case as ``find_cases`` listed it, before it was loaded."""


_MIN_WORKERS, _MAX_WORKERS = 2, 4  # one alone would load, wait for the network, and save by turns


class CaseDataset(Dataset):
    """The items of ``find_cases``, loaded and preprocessed.

    Beside what the transform makes of an item, two short forms can come out: ``{case, error}`` for a case that fails
    with that reason (and ``remarks``, where there are any), and ``{case, finished_rows}`` for one that an earlier run
    has finished. One whose mask that run has finished, but not its rows, is loaded and has its ``finished_mask``. A
    loaded case keeps its ``item``.

    Args:
        data: items of ``find_cases``.
        transform: the preprocessing.
        output_dir: where masks of this run go; needed for `resume`.
        resume: take over what an earlier run has finished.
        label_map: the classes of this run's masks, or their name; needed for `resume`: masks of others aren't its own.
        weights: file of this run's weights; masks of others aren't its own, either.
        output_format: in what a finished mask must be there.
        shard: the share of the items that this run does, such as "3/8"; None for all.
        save_probabilities: a case is finished only if its probabilities are there,
        quality_map: and its map of how sure the network is.

    Raises:
        UsageError: when `resume` is set without `output_dir` or `label_map`.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Sequence[Callable] | Callable | None = None,
        output_dir: str | Path | None = None,
        resume: bool = False,
        label_map: str | LabelMap | None = None,
        weights: str | Path | None = None,
        output_format: OutputFormat = "both",
        shard: Shard | str | None = None,
        save_probabilities: bool = False,
        quality_map: bool = False,
    ) -> None:
        part = None if shard is None else Shard.parse(shard)
        super().__init__(data if part is None else part.deal(data), transform)
        if resume and (output_dir is None or label_map is None):
            raise UsageError(
                "resume=True: found no output_dir or no label_map to know finished masks by; fix: give both"
            )
        self.folder = None if output_dir is None else RunFolder(output_dir, part)
        self.label_map = None if label_map is None else get_label_map(label_map)
        self.resume = resume
        self.weights = weights
        self.output_format: OutputFormat = output_format
        self.save_probabilities = save_probabilities
        self.quality_map = quality_map

    def _transform(self, index: int) -> Any:
        item = self.data[index]
        case, started = item[CASE], time.perf_counter()
        if ERROR in item:
            return {CASE: case, ERROR: item[ERROR]}
        try:
            finished = self._finished(item)
            if FINISHED_ROWS in finished:
                return finished
            seen = self._fingerprint(item)
            loaded: dict[str, Any] = super()._transform(index)
            return {**loaded, **finished, **seen, ITEM: item, LOADING_SECONDS: time.perf_counter() - started}
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one case is a row of the report
            remarks = remarks_of_error(error)
            return {CASE: case, ERROR: reason_of(error), **({REMARKS: remarks} if remarks else {})}

    def _fingerprint(self, item: Mapping[str, Any]) -> dict[str, str]:
        """Of the image as it is now: by the time its mask is saved, another may lie in its place."""
        try:
            return {} if self.folder is None else {FINGERPRINT: form_of(item).fingerprint(item)}
        except OSError:
            return {}  # loading says what is wrong

    @cached_property
    def _weights_sha256(self) -> str:
        return "" if self.weights is None else file_sha256(self.weights)

    def _finished(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """What an earlier run has finished of a case."""
        if not self.resume or self.folder is None or self.label_map is None:
            return {}
        folder, form, case = self.folder, form_of(item), item[CASE]
        mask = folder.finished_mask(item, form, self.label_map, self._weights_sha256, self.output_format)
        maps = [folder.probabilities(case, form)] if self.save_probabilities else []
        maps += [folder.quality_map(case, form)] if self.quality_map else []
        if mask is None or not all(_is_made_after(path, mask) for path in maps):
            return {}
        rows = folder.finished_rows(item, form.reference_fingerprint(item, self.label_map))
        if rows:
            return {CASE: case, FINISHED_ROWS: rows}
        return {} if self.output_format == "dicom_seg" else {FINISHED_MASK: str(mask)}


def _is_made_after(path: Path, mask: Path) -> bool:
    """Whether a map is of the mask's run, which writes it after the mask; a former run's is older."""
    return path.is_file() and path.stat().st_mtime_ns >= mask.stat().st_mtime_ns


class CaseLoader(ThreadDataLoader):
    """Loads the next case while the network works on this one: one item at a time.

    Args:
        dataset: a :class:`CaseDataset`.
        workers: processes that a ``CaseEvaluator`` has beside its own, which load, save, measure and draw whole cases
            while it runs the network; each holds a case in memory. 0: everything is done in one process, with one case
            loaded ahead in a thread. None: none on one core or for one case, two on a small machine, up to four on a
            large one.

    Raises:
        UsageError: `workers` is no such number.
    """

    def __init__(self, dataset: CaseDataset, workers: int | None = 0) -> None:
        super().__init__(dataset, buffer_size=1, batch_size=1, num_workers=0, collate_fn=_only_item)
        check_workers(workers)
        self.workers = (usual_workers() if len(dataset) > 1 else 0) if workers is None else workers


def check_workers(workers: Any) -> None:
    """Refuses what is no number of processes.

    Raises:
        UsageError: it isn't None, and no whole number from 0 on.
    """
    if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 0):
        raise UsageError(f"workers {workers!r}: allowed: 0 or more processes; null for as many as are useful here")


def usual_workers() -> int:
    """How many processes keep up with the network."""
    # only Linux starts them in no time, and says how many cores there are for this process
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 0
    cores //= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's processes share them
    return 0 if cores < 2 else min(_MAX_WORKERS, max(_MIN_WORKERS, cores // 4))


def _only_item(items: list[dict[str, Any]]) -> dict[str, Any]:
    return items[0]
