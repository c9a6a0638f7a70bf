# SPDX-License-Identifier: Apache-2.0
"""What a row of the campaign's table is: a kind of input, how it is made, and how it must be handled."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

Maker = Callable[[Path], "np.ndarray | None"]
"""Writes the files of a kind into a folder; returns what must be the mask's foreground, in the shape of the file."""


@dataclass(frozen=True)
class Handled:
    """How a kind must be handled in a run over a folder.

    Attributes:
        status: of its rows; "left out" has none and is named at the end of the run, "not looked at" leaves no trace.
        words: of the reason.
        remark: words of the remark; a kind without has none.
        rows: of the table of cases.
        overlap: least Dice of mask and foreground; below 1 where pixels are resampled for the network.
        has_mask: all that are segmented have, and those that fail by their reference alone.
    """

    status: Literal["ok", "failed", "left out", "not looked at"]
    words: str = ""
    remark: str = ""
    rows: int = 1
    overlap: float = 1.0
    has_mask: bool = True

    @property
    def text(self) -> str:
        """For the document."""
        parts = [{"ok": "segmented", "failed": "failed row"}.get(self.status, self.status)]
        if self.rows > 1 and self.status == "ok":
            parts = [f"segmented, {self.rows} rows"]
        if self.status == "failed" and self.has_mask:
            parts = ["segmented, but failed row"]
        if self.words:
            parts.append(f"reason “…{self.words}…”")
        if self.remark:
            parts.append(f"remark “…{self.remark}…”")
        return ", ".join(parts)


@dataclass(frozen=True)
class Kind:
    """A row of the table.

    Attributes:
        name: in plain words.
        make: see :data:`Maker`.
        handled: how.
    """

    name: str
    make: Maker
    handled: Handled

    @property
    def folder(self) -> str:
        """Where its files lie below the run's folder: a name that means nothing to the program."""
        words = re.sub(r"\W+", "_", self.name, flags=re.ASCII).strip("_").lower()
        return f"k_{words}_{zlib.crc32(self.name.encode()):08x}"


@dataclass(frozen=True)
class Command:
    """A row of the table that is a whole command, since it concerns more than one case.

    Attributes:
        name: in plain words.
        make: prepares a folder; returns the command's arguments after ``segment``.
        code: the exit code.
        words: of what is said.
    """

    name: str
    make: Callable[[Path], list[str]]
    code: int
    words: str

    @property
    def text(self) -> str:
        """For the document."""
        return f"exit {self.code}, “…{self.words}…”"


OK = Handled("ok")


def failed(words: str, remark: str = "") -> Handled:
    """A row of the table of cases that says why."""
    return Handled("failed", words, remark, has_mask=False)


def without_metrics(words: str) -> Handled:
    """Segmented and measured, but not compared with its reference, which is why the row fails."""
    return Handled("failed", words)


def remarked(remark: str, overlap: float = 1.0) -> Handled:
    """Segmented, with a remark on what was assumed."""
    return Handled("ok", remark=remark, overlap=overlap)


LEFT_OUT = Handled("left out", rows=0, has_mask=False)
NOT_LOOKED_AT = Handled("not looked at", rows=0, has_mask=False)
