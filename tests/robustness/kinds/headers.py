# SPDX-License-Identifier: Apache-2.0
"""NIfTI headers that lie, as no library would write them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from ..heart import block, save
from ..kind import OK, Kind, Maker, failed, remarked

BILLION_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (c, b"&%c;" % (c - 1) * 10) for c in range(ord("b"), ord("k")))
    + b"]><CaretExtension>&j;</CaretExtension>"
)


def patched(packed: bool = False, trailing: bytes = b"", **fields: object) -> Maker:
    """Fields of a plain file's header overwritten, without any of nibabel's repairs."""

    def make(folder: Path) -> np.ndarray:
        content = save(folder, name="x.nii").read_bytes()
        header = nib.Nifti1Header(content[:348], check=False)
        for name, value in fields.items():
            header[name] = value
        content = header.binaryblock + content[348:] + trailing
        (folder / "x.nii").unlink()
        (folder / ("x.nii.gz" if packed else "x.nii")).write_bytes(gzip.compress(content) if packed else content)
        return block()

    return make


def with_extension(raw: bytes, offset: int | None = None) -> Maker:
    """Bytes behind the header that call themselves an extension; the voxels begin behind them."""

    def make(folder: Path) -> np.ndarray:
        content = save(folder, name="x.nii").read_bytes()
        header = nib.Nifti1Header(content[:348], check=False)
        header["vox_offset"] = 352 + len(raw) if offset is None else offset
        (folder / "x.nii").write_bytes(header.binaryblock + b"\1\0\0\0" + raw + content[352:])
        return block()

    return make


def extension(content: bytes, code: int = 0, size: int | None = None) -> bytes:
    content += bytes(-(len(content) + 8) % 16)
    return np.array([len(content) + 8 if size is None else size, code], "<i4").tobytes() + content


def dims(*lengths: int) -> np.ndarray:
    return np.array([len(lengths), *lengths, *[1] * (7 - len(lengths))], np.int16)


def raw_dim(*numbers: int) -> np.ndarray:
    return np.array([*numbers, *[1] * (8 - len(numbers))], np.int16)


def fewer_slices(truth: np.ndarray) -> np.ndarray:
    return truth[..., :2]


def changing(truth: Callable[[np.ndarray], np.ndarray], make: Maker) -> Maker:
    return lambda folder: truth(make(folder))  # type: ignore[arg-type]


TEXTS = {"descrip": b"\xff\xfe=cmd|' /C calc'!A0", "aux_file": b"../../../etc/passwd", "intent_name": b"<script>"}
UNREAD = failed("that can't be read as a volume")
TOO_LITTLE = failed("its header claims")
OFFSET = failed("a header that puts its voxels")

KINDS = [
    Kind(
        "fewer slices claimed than there are",
        changing(fewer_slices, patched(dim=dims(40, 36, 2))),
        remarked("enough for 1 more slices: left out"),
    ),
    Kind(
        "fewer slices claimed than there are, packed",
        changing(fewer_slices, patched(True, dim=dims(40, 36, 2))),
        remarked("enough for 1 more slices: left out"),
    ),
    Kind("more slices claimed than there are", patched(dim=dims(40, 36, 4)), TOO_LITTLE),
    Kind("more slices claimed than there are, packed", patched(True, dim=dims(40, 36, 4)), TOO_LITTLE),
    Kind("the largest claim that a header can make", patched(dim=dims(*[32767] * 7)), TOO_LITTLE),
    Kind(
        "30000 x 30000 x 30000 voxels claimed, packed",
        patched(True, dim=dims(30000, 30000, 30000)),
        failed("of memory as float32 with two copies"),
    ),
    Kind("padding behind the voxels", patched(trailing=bytes(100)), OK),
    Kind("no dimension", patched(dim=raw_dim(0, 40, 36, 3)), failed("with an axis of size 0")),
    Kind("nine dimensions", patched(dim=raw_dim(9, 40, 36, 3)), UNREAD),
    Kind("dimensions below 0", patched(dim=raw_dim(-3, 40, 36, 3)), UNREAD),
    Kind("a length below 0", patched(dim=raw_dim(3, -40, 36, 3)), UNREAD),
    Kind("type of voxels unknown", patched(datatype=9999), UNREAD),
    Kind("type of voxels 0", patched(datatype=0), UNREAD),
    Kind("one bit per voxel", patched(datatype=1, bitpix=1), UNREAD),
    Kind("bits per voxel don't fit their type", patched(bitpix=8), OK),
    Kind("bits per voxel below 0", patched(bitpix=-16), OK),
    Kind("header of another length", patched(sizeof_hdr=349), OK),
    Kind("magic of a pair in a single file", patched(magic=b"ni1"), OK),
    Kind("no magic", patched(magic=b""), UNREAD),
    Kind("voxels at byte 0", patched(vox_offset=0), remarked("vox_offset is 0: voxels read from byte 352")),
    Kind(
        "voxels at byte 0, packed", patched(True, vox_offset=0), remarked("vox_offset is 0: voxels read from byte 352")
    ),
    Kind("voxels inside of the header", patched(vox_offset=100), UNREAD),
    Kind("voxels at byte 353", patched(vox_offset=353), TOO_LITTLE),
    Kind("voxels before the file", patched(vox_offset=-16), OFFSET),
    Kind("voxels gigabytes behind the header", patched(True, vox_offset=4e9), OFFSET),
    Kind("voxels nowhere", patched(vox_offset=np.nan), OFFSET),
    Kind("voxels infinitely far away", patched(vox_offset=np.inf), OFFSET),
    Kind("texts that are hostile", patched(**TEXTS), OK),
    Kind("display window not a number", patched(cal_min=np.nan, cal_max=np.inf), OK),
    Kind(
        "all of the slice timing not a number",
        patched(slice_start=-1, slice_end=-1, slice_duration=np.nan, slice_code=255),
        OK,
    ),
    Kind("intent of a vector", patched(intent_code=1007), OK),
    Kind("unit unknown", patched(xyzt_units=255), OK),
    Kind("an extension of unknown code", with_extension(extension(b"abc", code=4242)), OK),
    Kind("an extension that claims gigabytes", with_extension(extension(b"abc", size=2**31 - 16)), UNREAD),
    Kind("an extension of size 0", with_extension(extension(b"abc", size=0)), UNREAD),
    Kind("an extension of negative size", with_extension(extension(b"abc", size=-16)), UNREAD),
    Kind("an extension of an odd size", with_extension(extension(b"abc", size=13)), OK),
    Kind("an extension that blows up as XML", with_extension(extension(BILLION_LAUGHS)), OK),
    Kind("bytes where no extension is", with_extension(b"\0" * 160), UNREAD),
]
