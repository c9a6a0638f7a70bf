# SPDX-License-Identifier: Apache-2.0
"""Cells survive the way to disk and back; a table of cases is whole after each change."""

from __future__ import annotations

import csv
import math
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pranet_monai.errors import UsageError
from pranet_monai.storage.tables import CaseTable, read_csv, strict_json, write_atomically, write_csv


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    row = {"case": "007", "n": 3, "x": 0.5, "flag": True, "none": None, "far": math.inf, "reason": 'a "b", c'}
    write_csv(tmp_path / "t.csv", [row], list(row))
    assert read_csv(tmp_path / "t.csv") == [row]


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-x", "@SUM(A1)", "\tx", "\rx", "\n=x", "'=1", "''-"])
@pytest.mark.parametrize("column", ["case", "remark"])
def test_no_text_is_a_formula_to_a_spreadsheet(tmp_path: Path, column: str, text: str) -> None:
    write_csv(tmp_path / "t.csv", [{column: text, "n": -1}], [column, "n"])
    with (tmp_path / "t.csv").open(newline="") as file:
        ((cell, number),) = list(csv.reader(file))[1:]
    assert cell == f"'{text}" and number == "-1"
    assert read_csv(tmp_path / "t.csv") == [{column: text, "n": -1}]


@given(st.text(alphabet="'=+-@\t\r\na1 ,\"é", min_size=1))
def test_every_text_comes_back(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_csv(Path(folder) / "t.csv", [{"case": text, "x": -0.5}], ["case", "x"])
        assert read_csv(Path(folder) / "t.csv") == [{"case": text, "x": -0.5}]


def test_nan_is_an_empty_cell_and_numpy_is_plain(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", [{"a": math.nan, "b": np.float32(0.25), "c": np.bool_(False)}], ["a", "b", "c"])
    assert (tmp_path / "t.csv").read_text() == "a,b,c\n,0.25,false\n"


def test_case_table_is_whole_after_each_change(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table = CaseTable(path, ["case", "n"])
    table.put("a", [{"case": "a", "n": 1}, {"case": "a", "n": 2}])
    table.put("b", [{"case": "b", "n": 3}])
    table.put("a", [{"case": "a", "n": 4}])
    assert read_csv(path) == [{"case": "b", "n": 3}, {"case": "a", "n": 4}]
    table.drop(["b", "unknown"])
    assert read_csv(path) == [{"case": "a", "n": 4}]
    assert pd.read_csv(path).to_dict("records") == [{"case": "a", "n": 4}]
    assert CaseTable(path, ["case", "n"])["a"] == [{"case": "a", "n": 4}]
    table.write_notes()
    assert path.read_text() == "case,n\na,4\n"


def test_a_case_done_again_costs_no_more_than_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = CaseTable(tmp_path / "t.csv", ["case", "n"])
    for case in "abc":
        table.put(case, [{"case": case, "n": 1}, {"case": case, "n": 2}])
    monkeypatch.setattr(table, "write", lambda: pytest.fail("the file was written anew"))
    table.put("b", [{"case": "b", "n": 33}])
    table.put("b", [{"case": "b", "n": 4}])
    table.drop(["a"])
    kept = [{"case": "c", "n": 1}, {"case": "c", "n": 2}, {"case": "b", "n": 4}]
    assert read_csv(tmp_path / "t.csv") == kept
    assert [row["n"] for row in CaseTable(tmp_path / "t.csv", ["case", "n"]).rows] == [1, 2, 4]


@pytest.mark.parametrize("change", ["put", "drop"])
def test_a_file_that_another_program_has_changed_is_written_whole(tmp_path: Path, change: str) -> None:
    """As a spreadsheet with ``review.csv`` does while ``view`` is open: no place in the file is where it was."""
    table = CaseTable(tmp_path / "t.csv", ["case", "n"])
    for case in "ab":
        table.put(case, [{"case": case, "n": 1}])
    (tmp_path / "t.csv").write_text("n,case\n12345,a\n12345,b\n")
    table.put("a", [{"case": "a", "n": 2}]) if change == "put" else table.drop(["a"])
    expected = {"put": "case,n\na,2\nb,1\n", "drop": "case,n\nb,1\n"}
    assert (tmp_path / "t.csv").read_text() == expected[change]


@given(st.lists(st.tuples(st.sampled_from("pdnws"), st.sampled_from("abc"), st.integers(0, 999)), max_size=20))
def test_the_file_says_what_the_table_says(changes: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        table, expected = CaseTable(path, ["case", "n"]), dict[str, list[dict[str, object]]]()
        for what, case, n in changes:
            rows: list[dict[str, object]] = [{"case": case, "n": n}] * (1 + n % 2)
            if what == "d":
                table.drop([case])
                expected.pop(case, None)
            elif what == "p":
                table.put(case, rows)
                expected[case] = rows
            elif what == "n" and case in expected:
                table.note(case, rows)
                table.write_notes()
                expected[case] = rows
            elif what == "w":
                table.write()
            elif what == "s":
                table = CaseTable(path, ["case", "n"])
            found = {key: [row for row in read_csv(path) if row["case"] == key] for key in "abc"}
            assert {key: rows for key, rows in found.items() if rows} == expected


def test_a_new_case_is_appended_and_the_rest_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hundred-thousandth case must not cost more than the hundredth."""
    table = CaseTable(tmp_path / "t.csv", ["case", "n"])
    table.put("a", [{"case": "a", "n": 1}])
    monkeypatch.setattr(table, "write", lambda: pytest.fail("the file was written anew"))
    table.put("b", [{"case": "b", "n": 2}])
    table.note("a", [{"case": "a", "n": 3}])
    assert (tmp_path / "t.csv").read_text() == "case,n\na,1\nb,2\n"
    monkeypatch.undo()
    table.write()
    assert (tmp_path / "t.csv").read_text() == "case,n\na,3\nb,2\n"


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_half_a_last_line_is_no_row(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t.csv"
    table = CaseTable(path, ["case", "n"])
    for case in "abc":
        table.put(case, [{"case": case, "n": 123456}])
    path.write_text(path.read_text()[:-cut])
    assert [row["case"] for row in read_csv(path)] == ["a", "b"]
    again = CaseTable(path, ["case", "n"])
    again.put("d", [{"case": "d", "n": 4}])
    assert path.read_text() == "case,n\na,123456\nb,123456\nd,4\n"


def test_an_append_that_fails_leaves_no_half_line(tmp_path: Path) -> None:
    """The room that cutting the half rows off gives back must not be filled by the rest of them."""
    path = tmp_path / "t.csv"
    table = CaseTable(path, ["case", "n"])
    table.put("a", [{"case": "a", "n": 1}])
    whole, many = path.read_bytes(), [{"case": "b", "n": n} for n in range(500)]
    resource = pytest.importorskip("resource", reason="Windows limits no file's size")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            table.put("b", many)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == whole
    table.put("c", [{"case": "c", "n": 2}])
    assert path.read_bytes() == whole + b"c,2\n"


def test_a_change_that_fails_leaves_the_former_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table = CaseTable(path, ["case", "n"])
    table.put("a", [{"case": "a", "n": 1}])
    table.put("b", [{"case": "b", "n": 2}])
    whole = path.read_bytes()
    resource = pytest.importorskip("resource", reason="Windows limits no file's size")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole), limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            table.put("a", [{"case": "a", "n": 3}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == whole


def test_failed_write_leaves_the_former_file_and_no_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    write_atomically(path, "former")
    path.chmod(0o644)
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half \ud800")
    assert path.read_text() == "former"
    assert [file.name for file in tmp_path.iterdir()] == ["t.txt"]


def test_strict_json() -> None:
    value = {"a": (np.int64(1), math.nan, -math.inf), 2: np.array([0.5]), "p": Path("x")}
    assert strict_json(value) == {"a": [1, None, "-inf"], "2": [0.5], "p": "x"}


@pytest.mark.parametrize("content", ["\ufeffcase,n\r\na,1\r\n,\r\n", "case,n\na,1,2,3\n"])
def test_what_a_spreadsheet_adds_is_passed_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content, encoding="utf-8", newline="")
    assert CaseTable(path, ["case", "n"]).rows == [{"case": "a", "n": 1}]


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"case;n\na;1\n", "the columns case;n, none of them case"), (b"case,n\ngr\xfcn,1\n", "can't be read as a table")],
)
def test_what_is_no_table_of_cases_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"{path}: found .*{found}.*; allowed: CSV in UTF-8, with commas"):
        CaseTable(path, ["case", "n"])
