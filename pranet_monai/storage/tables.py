# SPDX-License-Identifier: Apache-2.0
"""CSV and strict JSON files that are either whole or not there."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pranet_monai.storage.atomic import written_whole

__all__ = ["CaseTable", "Row", "read_csv", "strict_json", "write_atomically", "write_csv", "write_json"]

Row = dict[str, Any]

DIGITS = 9  # of a number in a cell: more than any measurement has, and no 0.30000000000000004
TEXT_COLUMNS = frozenset({"case", "organ", "patient", "reason", "status"})  # a case named "007" stays "007"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under another name first, so that a killed run leaves the former file or the new one, never half.

    Args:
        path: the file to write; its folder is made where it is missing.
        content: text (written as UTF-8) or bytes.
    """
    with written_whole(path) as partial:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as CSV, atomically. A missing value, ``None`` or NaN is an empty cell; infinity is ``inf``."""
    write_atomically(path, _lines([columns]) + _lines(_cells(rows, columns)))


def read_csv(path: Path) -> list[Row]:
    """Read what :func:`write_csv` wrote: numbers and booleans come back as such, empty cells as ``None``.

    A file that isn't there has no rows.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {column: cell if column in TEXT_COLUMNS else _value(cell) for column, cell in row.items()}
            for row in csv.DictReader(file)
        ]


class CaseTable:
    """Rows by case, and the CSV file that always holds all of them.

    The file is replaced whole at each change, so that a killed run leaves every finished row. The text of the other
    cases is kept for that: the rows of thousands of cases aren't formatted again for each new one.

    Args:
        path: of the file; its rows are taken over where it exists.
        columns: of the file, ``case`` among them.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        self._rows: dict[str, list[Row]] = {}
        self._text: dict[str, str] = {}
        for row in read_csv(path):
            self._rows.setdefault(row["case"], []).append(row)
        for case, rows in self._rows.items():
            self._text[case] = _lines(_cells(rows, self.columns))

    def __contains__(self, case: str) -> bool:
        return case in self._rows

    def __getitem__(self, case: str) -> list[Row]:
        return self._rows[case]

    @property
    def rows(self) -> list[Row]:
        """All rows, in the order in which their cases came."""
        return [row for rows in self._rows.values() for row in rows]

    def put(self, case: str, rows: Sequence[Row]) -> None:
        """Set the rows of a case and write the file."""
        self._rows[case] = list(rows)
        self._text[case] = _lines(_cells(rows, self.columns))
        self.write()

    def drop(self, cases: Sequence[str]) -> None:
        """Remove cases, and write the file if there were any of them."""
        known = [case for case in cases if case in self._rows]
        for case in known:
            del self._rows[case], self._text[case]
        if known:
            self.write()

    def write(self) -> None:
        """Write the file, if need be without rows."""
        write_atomically(self.path, _lines([self.columns]) + "".join(self._text.values()))


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON, atomically; see :func:`strict_json`."""
    text = json.dumps(strict_json(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")


def strict_json(value: Any) -> Any:
    """Turn a value into what the JSON standard has: NaN becomes null, infinity the string ``"inf"``.

    Infinity isn't written as null, because an infinite distance (a missed organ under ``missed="inf"``) must not read
    as "not measured".
    """
    if isinstance(value, Mapping):
        return {str(key): strict_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [strict_json(item) for item in value]
    if isinstance(value, np.ndarray):
        return strict_json(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _cells(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Iterable[list[str | int | float]]:
    return ([_cell(row.get(column)) for column in columns] for row in rows)


def _lines(cells: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(cells)
    return buffer.getvalue()


def _cell(value: Any) -> str | int | float:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _value(cell: str | None) -> Any:
    if not cell:
        return None
    if cell in ("true", "false"):
        return cell == "true"
    for number in (int, float):
        try:
            return number(cell)
        except ValueError:
            continue
    return cell
