# SPDX-License-Identifier: Apache-2.0
"""What concerns a whole run: its folders, and what else is there."""

from __future__ import annotations

import os
from pathlib import Path

from ..heart import save
from ..kind import Command


def prepared(source: str, *, out: str = "out", make: object = None) -> object:
    """The command's arguments, after `make` has put something into the folder."""

    def arguments(folder: Path) -> list[str]:
        (folder / "data").mkdir()
        if make is not None:
            make(folder)  # type: ignore[operator]
        return [str(folder / source) if source else "", str(folder / out) if out else ""]

    return arguments


def volume(folder: Path) -> None:
    save(folder / "data")


def locked(folder: Path) -> None:
    volume(folder)
    (folder / "data" / "locked").mkdir(mode=0)


def text(folder: Path) -> None:
    (folder / "data" / "notes.txt").write_text("hello")


def reference(folder: Path) -> None:
    save(folder / "data", name="x_gt.nii.gz")


def file_in_the_way(folder: Path) -> None:
    volume(folder)
    (folder / "out").write_text("mine")


def no_right_to_write(folder: Path) -> None:
    volume(folder)
    (folder / "out").mkdir(mode=0o500)


def mask_in_the_way(folder: Path) -> None:
    volume(folder)
    (folder / "out" / "x_seg.nii.gz").mkdir(parents=True)


def link_in_the_way(folder: Path) -> None:
    volume(folder)
    (folder / "precious").write_text("keep me")
    (folder / "out").mkdir()
    (folder / "out" / "x_seg.nii.gz").symlink_to(folder / "precious")


def report_in_the_way(folder: Path) -> None:
    volume(folder)
    (folder / "out").mkdir()
    (folder / "out" / "report").write_text("mine")


def table_in_the_way(folder: Path) -> None:
    volume(folder)
    (folder / "out" / "report" / "cases.csv").mkdir(parents=True)


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "data" / "x.nii.gz")


def foreign_mask(folder: Path) -> None:
    volume(folder)
    save(folder / "data", name="x_seg.nii.gz")


def old_report(folder: Path) -> None:
    volume(folder)
    (folder / "out" / "report").mkdir(parents=True)
    (folder / "out" / "report" / "cases.csv").write_bytes(b'\xff\xfe,"unclosed\n\x00')


KINDS = [
    Command("a folder that isn't there", prepared("gone"), 2, "found no such folder or file"),
    Command("an empty folder", prepared("data"), 2, "found no volume in it or in its sub-folders, but no file at all"),
    Command("a folder of text files", prepared("data", make=text), 2, "but 1 .txt files"),
    Command("a folder of references alone", prepared("data", make=reference), 2, "1 files named like labels"),
    Command(
        "a file of another kind",
        prepared("data/notes.txt", make=text),
        2,
        "found no volume; allowed: a folder, or one file of",
    ),
    Command("one volume", prepared("data/x.nii.gz", make=volume), 0, "1 ok"),
    Command("an empty path to read", prepared("", make=volume), 2, "found an empty path"),
    Command("an empty path to write", prepared("data", out="", make=volume), 2, "found an empty path"),
    Command(
        "a folder within that can't be listed", prepared("data", make=locked), 2, "can't be listed (Permission denied)"
    ),
    Command("a file where the output should go", prepared("data", make=file_in_the_way), 2, "can't be written"),
    Command(
        "an output folder without the right to write",
        prepared("data", make=no_right_to_write),
        2,
        "can't be written (Permission denied)",
    ),
    Command(
        "output into /proc",
        lambda folder: [*prepared("data", make=volume)(folder)[:1], "/proc/x"],
        2,
        "can't be written",
    ),
    Command(
        "a folder where the mask should go", prepared("data", make=mask_in_the_way), 1, "found a folder of this name"
    ),
    Command("a link where the mask should go", prepared("data", make=link_in_the_way), 0, "1 ok"),
    Command("a file where the report should go", prepared("data", make=report_in_the_way), 2, "can't be written"),
    Command("a folder where the table should go", prepared("data", make=table_in_the_way), 0, "1 ok"),
    Command("a table of an earlier run that is damaged", prepared("data", make=old_report), 0, "1 ok"),
    Command("a pipe alone", prepared("data", make=pipe), 2, "found no volume"),
    Command("a pipe as input", prepared("data/x.nii.gz", make=pipe), 2, "can't be listed"),
    Command("output into the input's own folder", prepared("data", out="data", make=volume), 0, "1 ok"),
    Command(
        "output over another program's mask",
        prepared("data", out="data", make=foreign_mask),
        1,
        "that this program didn't write",
    ),
]
