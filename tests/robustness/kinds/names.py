# SPDX-License-Identifier: Apache-2.0
"""Names of files and folders."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..heart import block, save
from ..kind import NOT_LOOKED_AT, OK, Handled, Kind, Maker, failed


def named(*names: str) -> Maker:
    """One volume under each name; folders in them are made."""

    def make(folder: Path) -> np.ndarray:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            save(folder, name=name)
        return block()

    return make


def not_utf8(folder: Path) -> None:
    save(folder)
    os.rename(os.fsencode(folder / "x.nii.gz"), os.fsencode(folder) + b"/caf\xe9.nii.gz")


def cine_beside_its_frames(folder: Path) -> None:
    save(folder, np.stack([block()] * 2, -1).astype(np.int16), name="q.nii.gz")
    save(folder, name="q_frame01.nii.gz")


def folder_of_a_volumes_name(folder: Path) -> np.ndarray:
    (folder / "x.nii.gz").mkdir()
    return named("x.nii.gz/y.nii.gz")(folder)


def deep(folder: Path) -> np.ndarray:
    return named("/".join(["d"] * 60 + ["x.nii.gz"]))(folder)


TWO = Handled("ok", rows=2)

KINDS = [
    Kind("name with spaces", named(" a  b .nii.gz"), OK),
    Kind("name in Chinese", named("左心室.nii.gz"), OK),
    Kind("name with an emoji", named("🫀.nii.gz"), OK),
    Kind("name in Arabic, right to left", named("قلب\u202e.nii.gz"), OK),
    Kind("one name in two Unicode forms", named("caf\u00e9.nii.gz", "cafe\u0301.nii.gz"), TWO),
    Kind("names that differ in capitals", named("x.nii.gz", "X.nii.gz"), TWO),
    Kind("names that differ in the extension", named("x.nii.gz", "x.nii"), TWO),
    Kind("one name in three forms", named("x.nii.gz", "x.nii", "x.hdr"), Handled("ok", rows=3)),
    Kind("name that begins with a dash", named("-rf.nii.gz"), OK),
    Kind("name that is a formula", named("=cmd|' C calc'!A0.nii.gz"), OK),
    Kind("name that begins with +", named("+1.nii.gz"), OK),
    Kind("name that begins with @", named("@SUM(A1).nii.gz"), OK),
    Kind("name with a command", named("$(touch pwned);`id`&.nii.gz"), OK),
    Kind("name with HTML", named("<script>alert(1)<!--.nii.gz"), OK),
    Kind("name with quotes and commas", named("a\"b',c;d.nii.gz"), OK),
    Kind("name with a backslash", named("a\\b.nii.gz"), OK),
    Kind("name with a percent sign, hash and question mark", named("a%2Fb#c?.nii.gz"), OK),
    Kind("name that is a number", named("007.nii.gz"), OK),
    Kind("name with dots", named("a..b.nii.nii.gz"), OK),
    Kind("name with braces", named("{case}%s.nii.gz"), OK),
    Kind("folder named like a device", named("NUL/con.nii.gz"), OK),
    Kind("folder named like a volume", folder_of_a_volumes_name, OK),
    Kind("folder named report", named("report/x.nii.gz"), OK),
    Kind("sixty folders deep", deep, OK),
    Kind("name of 235 bytes", named("n" * 228 + ".nii.gz"), OK),
    Kind("name of 250 bytes", named("n" * 243 + ".nii.gz"), failed("allowed: 235, as the mask's name is longer")),
    Kind("folder of 255 bytes", named("n" * 255 + "/x.nii.gz"), failed("allowed: 235")),
    Kind("name that isn't UTF-8", not_utf8, failed("found a name that isn't UTF-8")),
    Kind("name with a line break", named("a\nb.nii.gz"), failed("found a name with control characters")),
    Kind("name with an escape sequence", named("\x1b[31mred.nii.gz"), failed("found a name with control characters")),
    Kind("name that is an extension alone", named(".nii.gz"), NOT_LOOKED_AT),
    Kind("cine beside a file named as its frame", cine_beside_its_frames, Handled("ok", rows=3)),
]
