# SPDX-License-Identifier: Apache-2.0
"""Reviews of the masks, on the page of the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pranet_monai.data.labels import LabelMap
from pranet_monai.forms.reviews import Reviews
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.reports.kinds import KINDS
from pranet_monai.reports.page import write_page
from pranet_monai.storage.tables import Row, read_csv

__all__ = ["rewrite_page", "with_reviews"]


def with_reviews(cases: Sequence[Row], reviews: Reviews) -> list[Row]:
    """Rows of ``cases.csv`` with what was said of them: ``accepted``, ``rejected`` or ``outdated``, and ``comment``."""
    said, rows = set(reviews), []
    for row in cases:
        if row["case"] in said:
            review = reviews.get(row["case"])
            flag = "outdated" if review.is_outdated else review.verdict
            row = row | {"comment": review.comment} | ({flag: True} if flag else {})
        rows.append(row)
    return rows


def rewrite_page(folder: RunFolder, label_map: LabelMap, kind: str) -> None:
    """Writes ``index.html`` once more, with the reviews of now, where the run has ended and left ``run.json``.

    Args:
        folder: of the run.
        label_map: of its masks.
        kind: of its cases.
    """
    run = _json(folder.run_record)
    if run is None:
        return
    cases, metrics = (read_csv(path) for path in (folder.cases_table, folder.metrics_table))
    summary, cardiac = _json(folder.report / "summary.json"), read_csv(folder.report / "cardiac.csv")
    rows = with_reviews(cases, Reviews(folder.report))
    write_page(folder.report, label_map, rows, metrics, summary, run, cardiac, KINDS[kind].vocabulary)


def _json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
