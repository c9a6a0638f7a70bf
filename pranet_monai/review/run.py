# SPDX-License-Identifier: Apache-2.0
"""A run as its reviewers see it: its cases, those first that need a look, and what was said of them."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from filelock import FileLock, Timeout
from pranet_monai.errors import UsageError
from pranet_monai.forms.case_record import CaseRecord
from pranet_monai.forms.reviews import Review, Verdict
from pranet_monai.forms.row_owners import RowOwners
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.reports.case_data import case_data
from pranet_monai.reports.kinds import KINDS
from pranet_monai.reports.measures import plain_name
from pranet_monai.reports.previews import organ_color
from pranet_monai.reports.reviewed import rewrite_page
from pranet_monai.review.layers import CaseLayers
from pranet_monai.storage.tables import CaseTable, read_csv

__all__ = ["ReviewedRun"]


class ReviewedRun:
    """The cases of a run and their reviews. One process at a time may have it open.

    Args:
        root: the output folder of the run.
        images: the folder of the images, where it was moved since.

    Raises:
        UsageError: it is no such folder, it has no case with a mask, one of its tables can't be read, or somebody else
            is reviewing it.
    """

    def __init__(self, root: str | Path, images: str | Path | None = None) -> None:
        self.folder = RunFolder(root)
        self._record = CaseRecord.read(self.folder, images)
        self._rows = [row for row in CaseTable(self.folder.cases_table, []).rows if row["status"] != "failed"]
        self._layers = self._find_layers()
        if not self._layers:
            raise UsageError(f"{root}: found no case with a mask in {self.folder.cases_table.name}; fix: segment first")
        self._lock, self._open = Lock(), FileLock(self.folder.report / ".review.lock", timeout=0)
        try:
            self._open.acquire()
        except Timeout as error:
            raise UsageError(
                f"{root}: is already open for review; fix: continue there, or stop that pranet-monai view"
            ) from error
        self._reviews = self.folder.reviews
        self._reviews.check()  # read now, when no other reviewer can write

    def __contains__(self, case: object) -> bool:
        return case in self._layers

    def __getitem__(self, case: str) -> CaseLayers:
        return self._layers[case]

    @property
    def reviews(self) -> dict[str, Review]:
        """What was said by now of those cases of which something was."""
        with self._lock:
            return {case: self._reviews.get(case) for case in self._reviews if case in self._layers}

    def put(self, case: str, verdict: Verdict, comment: str) -> Review:
        """Writes down what was said of a case, at once."""
        with self._lock:
            return self._reviews.put(case, verdict, comment, self._layers[case].mask)

    def close(self) -> None:
        """Brings the table and the report's page up to date, and lets others in."""
        with self._lock:
            self._reviews.tidy()
        rewrite_page(self.folder, self._record.label_map, self._record.kind)
        self._open.release()

    @cached_property
    def listing(self) -> dict[str, Any]:
        """All that the page shows of the cases but their reviews: :func:`case_data`, and

        ``order`` (positions, those first that need a look), ``layers`` (of each case), ``classes`` (number, name and
        colour), ``colors`` of the organs, ``title`` and ``kind``.
        """
        label_map, vocabulary = self._record.label_map, KINDS[self._record.kind].vocabulary
        rows = [row for row in self._rows if row["case"] in self._layers]
        metrics = [row for row in read_csv(self.folder.metrics_table) if row["case"] in self._layers]
        data = case_data(rows, metrics, list(label_map.organs), vocabulary)
        colors = {name: [round(255 * part) for part in organ_color(label_map, name)] for name in label_map.organs}
        classes = [
            {"number": number, "name": plain_name(name), "color": list(label_map.colors[number])}
            for number, name in label_map.foreground.items()
        ]
        layers = [self._layers[case].available for case in data["cases"]]
        facts = {"title": plain_name(label_map.name), "kind": self._record.kind, "classes": classes, "colors": colors}
        return {**data, **facts, "layers": layers, "order": _order(data)}

    def _find_layers(self) -> dict[str, CaseLayers]:
        """Row → its layers, where its mask is there."""
        owners = RowOwners(item for item in self._record.items if "error" not in item)
        found = {}
        for row in self._rows:
            item = owners.item_of(row["case"])
            if item is not None:
                found[row["case"]] = CaseLayers(row["case"], item, self.folder, self._record.label_map)
        return {name: layers for name, layers in found.items() if layers.mask.is_file()}


def _order(data: dict[str, Any]) -> list[int]:
    """Those to be reviewed first, then by the mean of the first measure that has a better side, worst first."""
    flagged = set(data["flags"][""].get("review", ()))
    ranked = next((one for one in data["measures"] if one["higher_is_better"] is not None), None)
    values = [None] * len(data["cases"]) if ranked is None else data["values"][ranked["key"]]["mean"]
    sign = 1 if ranked is None or ranked["higher_is_better"] else -1
    scores = [math.inf if value is None else sign * float(value) for value in values]
    return sorted(range(len(scores)), key=lambda index: (index not in flagged, scores[index], index))
