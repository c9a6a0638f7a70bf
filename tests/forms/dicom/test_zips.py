# SPDX-License-Identifier: Apache-2.0
"""DICOM in zips: damaged and encrypted ones, and how often one is opened."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pranet_monai.data.cases import find_cases
from pranet_monai.forms import Search
from pranet_monai.forms.left_out import left_out_files
from pranet_monai.transforms.load import LoadCased

from tests.data.dicom_series import grid, numbers, write_series


def zipped(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(folder.rglob("IM*")):
            opened.write(path, path.name)
    shutil.rmtree(folder)


def with_flag(archive: Path, mark: bytes, at: int, names: set[str], bits: int) -> None:
    """Sets bits of some members in a table of a zip: ``PK 1 2`` begins a row of it, ``PK 3 4`` a member."""
    data = bytearray(archive.read_bytes())
    found = data.find(mark)
    while found >= 0:
        length_at, name_at = (28, 46) if mark == b"PK\x01\x02" else (26, 30)
        length = int.from_bytes(data[found + length_at : found + length_at + 2], "little")
        if not names or data[found + name_at : found + name_at + length].decode() in names:
            data[found + at] |= bits
        found = data.find(mark, found + 4)
    archive.write_bytes(bytes(data))


@pytest.mark.parametrize("fault", ["unknown compression", "encrypted", "damaged"])
@pytest.mark.parametrize("suffix", ["", ".dcm"])
def test_a_member_of_a_zip_that_cannot_be_opened_is_one_row(tmp_path: Path, fault: str, suffix: str) -> None:
    write_series(tmp_path / "in", numbers(), grid(), suffix=suffix)
    (tmp_path / "in" / f"IM000000{suffix}").write_bytes(b"before all others")
    zipped(tmp_path / "in", tmp_path / "x.zip")
    bad = {f"IM000000{suffix}"}
    if fault == "damaged":
        with_flag(tmp_path / "x.zip", b"PK\x03\x04", 30, bad, 0xFF)
    else:
        with_flag(tmp_path / "x.zip", b"PK\x01\x02", *((10, bad, 99) if fault[0] == "u" else (8, bad, 1)))
    whole, broken = sorted(find_cases(tmp_path), key=lambda item: "error" in item)
    np.testing.assert_array_equal(LoadCased("image")(whole)["image"].numpy()[0], numbers())
    assert f"x.zip!/IM000000{suffix}: found a file that can't be read" in broken["error"]


def test_zips_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    write_series(tmp_path / "a", numbers(), grid())
    write_series(tmp_path / "in", numbers(), grid())
    zipped(tmp_path / "in", tmp_path / "secret.zip")
    with_flag(tmp_path / "secret.zip", b"PK\x01\x02", 8, set(), 1)
    (tmp_path / "cut.zip").write_bytes((tmp_path / "secret.zip").read_bytes()[:-30])
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    assert len(find_cases(tmp_path)) == 1
    found = left_out_files(Search(tmp_path), "volume")
    assert found == {"zip that is damaged or encrypted": ["cut.zip", "secret.zip"]}


def test_a_zip_of_many_files_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look into one reads its whole table."""
    write_series(tmp_path / "in", numbers((7, 9, 12)), grid())
    zipped(tmp_path / "in", tmp_path / "x.zip")
    read, seen = zipfile.ZipFile._RealGetContents, list[int]()  # type: ignore[attr-defined]

    def counted(self: zipfile.ZipFile) -> None:
        seen.append(1)
        read(self)

    monkeypatch.setattr(zipfile.ZipFile, "_RealGetContents", counted)
    (item,) = find_cases(tmp_path)
    LoadCased("image")(item)
    assert len(seen) == 1
    write_series(tmp_path / "in", numbers((7, 9, 12), 1), grid())
    zipped(tmp_path / "in", tmp_path / "x.zip")
    (item,) = find_cases(tmp_path)
    np.testing.assert_array_equal(LoadCased("image")(item)["image"].numpy()[0], numbers((7, 9, 12), 1))


def test_a_name_in_a_zip_that_leads_out_of_the_folder(tmp_path: Path) -> None:
    write_series(tmp_path / "a", numbers(), grid())
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../../../evil.dcm", bytes(128) + b"DICM")
    _, broken = sorted(find_cases(tmp_path), key=lambda item: "error" in item)
    assert "evil: found a name that leads out of the output folder; allowed: one without '..'" in broken["error"]
