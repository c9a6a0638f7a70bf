# SPDX-License-Identifier: Apache-2.0
"""CSV and strict JSON files that are either whole or not there."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pranet_monai.errors import UsageError
from pranet_monai.storage.atomic import atomic_write

__all__ = ["CaseTable", "Row", "plain_text", "read_csv", "strict_json", "write_atomically", "write_csv", "write_json"]

Row = dict[str, Any]

DIGITS = 9  # of a number in a cell: more than any measurement has, and no 0.30000000000000004
TEXT_COLUMNS = frozenset(  # a case named "007" stays "007"
    ["case", "organ", "patient", "reason", "remark", "status", "verdict", "comment", "reviewed", "mask"]
    + ["mask_sha256", "reference_sha256"]
)
# what a spreadsheet would take for a formula, also after the apostrophe that keeps it from that
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file under another name first, so that a killed run leaves the former file or the new one, never half.

    Args:
        path: the file to write; its folder is made where it is missing.
        content: text (written as UTF-8) or bytes.
    """
    with atomic_write(path) as partial:
        partial.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as CSV, atomically. A missing value, ``None`` or NaN is an empty cell; infinity is ``inf``.

    A text that a spreadsheet would run as a formula, such as a case named ``=cmd``, gets an apostrophe before it.
    """
    write_atomically(path, _lines([columns]) + _lines(_cells(rows, columns)))


def read_csv(path: Path) -> list[Row]:
    """Read what :func:`write_csv` wrote: numbers and booleans come back as such, empty cells as ``None``.

    A file that isn't there has no rows; a last line without its end, as a kill leaves it, isn't one. What a spreadsheet
    adds, a mark at the beginning and cells behind the last column, is passed over.

    Raises:
        UsageError: the file isn't CSV in UTF-8.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            whole, newline, _ = file.read().rpartition("\n")
        rows = list(csv.DictReader(io.StringIO(whole + newline, newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: found a file that can't be read as a table ({error}); {_FIX}") from error
    return [
        {column: plain_text(cell) if column in TEXT_COLUMNS else _value(cell) for column, cell in row.items() if column}
        for row in rows
    ]


_FIX = "allowed: CSV in UTF-8, with commas; fix: save it so, or take it away"


class CaseTable:
    """Rows by case, and the CSV file that grows with them.

    A case is appended in one piece, and its former rows are overwritten by empty lines, which no reader of CSV takes
    for rows: it costs the same whether it is the hundredth or the hundred-thousandth, new or done again. A kill or a
    full disk thus loses at most the case that is being written: half a last line is cut off when the file is read or
    written next. The empty lines go when the file is written whole.

    Args:
        path: of the file; its rows are taken over where it exists.
        columns: of the file, ``case`` among them.

    Raises:
        UsageError: the file can't be read, or has no column ``case``.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = list(columns)
        self._rows: dict[str, list[Row]] = {}
        for row in read_csv(path):
            if "case" not in row:
                raise UsageError(f"{path}: found the columns {', '.join(row)[:60]}, none of them case; {_FIX}")
            if row["case"]:  # a spreadsheet leaves rows of empty cells
                self._rows.setdefault(row["case"], []).append(row)
        self._has_notes = False
        self._size: int | None = None  # until it is written, the file may have other columns or half a last line
        self._spans: dict[str, tuple[int, int]] = {}  # case → first byte of its rows in the file, and their length

    def __contains__(self, case: str) -> bool:
        return case in self._rows

    def __getitem__(self, case: str) -> list[Row]:
        return self._rows[case]

    @property
    def rows(self) -> list[Row]:
        """All rows, in the order in which their cases came."""
        return [row for rows in self._rows.values() for row in rows]

    def put(self, case: str, rows: Sequence[Row]) -> None:
        """Set the rows of a case, in the file too; where it can't be written, the file keeps the former ones."""
        self._rows[case] = list(rows)
        if not self._is_as_written():
            return self.write()
        former, span = self._blank(case), self._spans.get(case)
        try:
            return self._append(case)
        except BaseException:  # Ctrl-C as well
            if span is not None:  # in their own place, which needs no room on the disk
                self._overwrite(span, former)
            raise

    def note(self, case: str, rows: Sequence[Row]) -> None:
        """Set the rows of a case that the file has already, but in the file only when it is next written."""
        self._rows[case] = list(rows)
        self._has_notes = True

    def sort(self) -> None:
        """Puts the cases in the order of their names, in the file when it is next written."""
        self._rows = dict(sorted(self._rows.items()))
        self._has_notes = True

    def drop(self, cases: Collection[str]) -> None:
        """Remove cases, in the file too."""
        known = [case for case in cases if case in self._rows]
        for case in known:
            del self._rows[case]
        if known and not self._is_as_written():
            return self.write()
        for case in known:
            self._blank(case)
            self._spans.pop(case, None)
        return None

    def write(self) -> None:
        """Write the file, if need be without rows."""
        lines = [(case, self._lines_of(case)) for case in self._rows]
        head = _lines([self.columns]).encode("utf-8")
        write_atomically(self.path, b"".join([head, *(line for _, line in lines)]))
        ends = np.cumsum([len(head), *(len(line) for _, line in lines)]).tolist()
        self._spans = {case: (end, len(line)) for end, (case, line) in zip(ends, lines)}
        self._size, self._has_notes = ends[-1], False

    def write_notes(self) -> None:
        """Write the file if anything was only noted: where nothing was, it needs no room on the disk."""
        if self._has_notes:
            self.write()

    def _lines_of(self, case: str) -> bytes:
        return _lines(_cells(self._rows[case], self.columns)).encode("utf-8")

    def _append(self, case: str) -> None:
        whole = self._lines_of(case)
        lines = memoryview(whole)
        with self.path.open("ab", buffering=0) as file:  # a buffer would go into the room that the cut gives back
            end = file.tell()
            try:
                while lines:
                    lines = lines[file.write(lines) :]
            except BaseException:
                file.truncate(end)
                raise
        self._spans[case], self._size = (end, len(whole)), end + len(whole)

    def _is_as_written(self) -> bool:
        """Whether rows are where they were written: another program may have changed the file meanwhile."""
        return self.path.is_file() and self.path.stat().st_size == self._size

    def _blank(self, case: str) -> bytes:
        """Overwrite a case's rows in the file by empty lines, first of all: a case without rows is done again, one with
        two sets of them would count twice.
        """
        if case not in self._spans:
            return b""
        self._has_notes = True
        return self._overwrite(self._spans[case], b"\n" * self._spans[case][1])

    def _overwrite(self, span: tuple[int, int], lines: bytes) -> bytes:
        with self.path.open("r+b", buffering=0) as file:
            file.seek(span[0])
            former = file.read(span[1])
            file.seek(span[0])
            file.write(lines)
        return former


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
    plain = csv.writer(buffer, lineterminator="\n")
    quoted = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in cells:  # a bare carriage return would end the row for whoever reads it
        (quoted if any(isinstance(cell, str) and "\r" in cell for cell in row) else plain).writerow(row)
    return buffer.getvalue()


def _cell(value: Any) -> str | int | float:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
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
    return plain_text(cell)


def plain_text(cell: str | None) -> str | None:
    """A text as it was before :func:`write_csv` made it harmless."""
    return cell[1:] if cell and cell[0] == "'" and _FORMULA.match(cell) else cell
