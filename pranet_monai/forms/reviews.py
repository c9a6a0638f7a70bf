# SPDX-License-Identifier: Apache-2.0
"""Reviews of a run's masks: accepted, rejected, a comment. Every run keeps ``report/review.csv``."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from pranet_monai.storage.hashing import file_sha256
from pranet_monai.storage.tables import CaseTable, Row

__all__ = ["ACCEPTED", "REJECTED", "VERDICTS", "Review", "Reviews", "Verdict"]

Verdict = Literal["accepted", "rejected", ""]
ACCEPTED: Verdict = "accepted"
REJECTED: Verdict = "rejected"
VERDICTS: tuple[Verdict, ...] = (ACCEPTED, REJECTED, "")

_COLUMNS = ["case", "verdict", "comment", "reviewed", "mask", "mask_sha256"]


class Review(NamedTuple):
    """What was said of a case, or of a frame of a cine.

    Attributes:
        verdict: "accepted", "rejected", or "" where there is a comment alone.
        comment: one line.
        is_outdated: whether the mask has changed since.
    """

    verdict: Verdict
    comment: str
    is_outdated: bool = False


class Reviews:
    """The reviews of a run, by the names of its rows.

    Each holds the mask's hash: a run that makes the same mask again keeps its review, another mask needs a new one.

    Args:
        report: the folder with ``review.csv``, which need not be there; masks are looked for in the folder around it.
    """

    def __init__(self, report: Path) -> None:
        self._root = report.parent
        self.path = report / "review.csv"

    @cached_property
    def _table(self) -> CaseTable:
        return CaseTable(self.path, _COLUMNS)

    def check(self) -> None:
        """Reads the table, which people may have edited.

        Raises:
            UsageError: it can't be read.
        """
        list(self)

    def __iter__(self) -> Iterator[str]:
        """The names of what was reviewed."""
        return iter([row["case"] for row in self._table.rows])

    def get(self, case: str) -> Review:
        """The review of a case; an empty one if there is none."""
        row = self._table[case][0] if case in self._table else {}
        verdict = row.get("verdict") or ""
        known: Verdict = verdict if verdict in VERDICTS else ""
        return Review(known, row.get("comment") or "", bool(row) and self._is_outdated(row))

    @cached_property
    def rejected(self) -> set[str]:
        """The names of those whose present mask was rejected."""
        found = {name: self.get(name) for name in self}
        return {name for name, review in found.items() if review.verdict == REJECTED and not review.is_outdated}

    def put(self, case: str, verdict: Verdict, comment: str, mask: Path) -> Review:
        """Writes down what was said of a case, at once; an empty verdict without a comment takes it back.

        Args:
            case: name of its row.
            verdict: on the mask.
            comment: becomes one line.
            mask: that was looked at, below the folder of the run.
        """
        said = " ".join(_writable(comment).split())
        if not verdict and not said:
            self._table.drop([case])
            return Review("", "")
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        row: Row = {"case": case, "verdict": verdict, "comment": said, "reviewed": now}
        row |= {"mask": mask.relative_to(self._root).as_posix(), "mask_sha256": file_sha256(mask)}
        self._table.put(case, [row])
        return Review(verdict, said)

    def tidy(self) -> None:
        """Takes the empty lines out of the table that its changes have left."""
        with suppress(OSError):  # a full disk: the table is right as it is
            self._table.write_notes()

    def _is_outdated(self, row: Row) -> bool:
        """Whether there is another mask now; where there is none, as in a copy of the report alone, nothing says so."""
        mask = self._root / str(row.get("mask") or "")
        return mask.is_file() and file_sha256(mask) != row.get("mask_sha256")


def _writable(text: str) -> str:
    """Without halves of characters and without control characters, but for line breaks and the like."""
    return "".join(char for char in text if char.isspace() or unicodedata.category(char) not in ("Cc", "Cs"))
