# SPDX-License-Identifier: Apache-2.0
"""Examples on disk: what a calibration was made from, to be made again or looked at without a network."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pranet_monai.quality.examples import Example
from pranet_monai.quality.features import MEASURES
from pranet_monai.storage.tables import read_csv, write_csv

__all__ = ["ExampleTable"]

_COLUMNS = ["weights", "patient", "case", "degradation", "strength", "organ", "dice", "size"]
_HASH_DIGITS = 12  # of the weights' SHA-256 in each row
_DIGITS = 5
_NUMBERS = ("strength", "dice", "size")


class ExampleTable:
    """Examples by case, kept in a file that grows with each case.

    Args:
        path: of the CSV file; None keeps them in memory.
        weights_sha256: of the weights that make them; examples of others are dropped. None keeps those of all.
    """

    def __init__(self, path: Path | None, weights_sha256: Collection[str] | None = None) -> None:
        self.path = path
        marks = None if weights_sha256 is None else {_mark(one) for one in weights_sha256}
        rows = [] if path is None else read_csv(path)
        self._rows = [row for row in rows if marks is None or row["weights"] in marks]

    def __contains__(self, case: str) -> bool:
        return any(row["case"] == case for row in self._rows)

    def put(self, case: str, examples: Sequence[Example], weights_sha256: str) -> None:
        """Adds a case, in the file too."""
        made = [_row(one, _mark(weights_sha256)) for one in examples]
        self._rows = [row for row in self._rows if row["case"] != case] + made
        if self.path is not None:
            write_csv(self.path, self._rows, [*_COLUMNS, *MEASURES])

    def examples_of(self, cases: Collection[str]) -> list[Example]:
        """Those of these cases."""
        return [_example(row) for row in self._rows if row["case"] in cases]

    @property
    def examples(self) -> list[Example]:
        """All of them."""
        return [_example(row) for row in self._rows]

    @property
    def marks(self) -> list[str]:
        """The weights that made them, by the first digits of their hashes."""
        return sorted({str(row["weights"]) for row in self._rows})


def _mark(weights_sha256: str) -> str:
    return f"sha256:{weights_sha256[:_HASH_DIGITS]}"


def _row(one: Example, mark: str) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in _COLUMNS[1:]}
    row = {"weights": mark, **values, **one.measures}
    return {name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in row.items()}


def _example(row: dict[str, Any]) -> Example:
    measures = {name: float("nan") if row[name] is None else float(row[name]) for name in MEASURES}
    values: dict[str, Any] = {name: float(row[name]) if name in _NUMBERS else str(row[name]) for name in _COLUMNS[1:]}
    return Example(measures=measures, **values)
