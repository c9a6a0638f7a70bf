# SPDX-License-Identifier: Apache-2.0
"""What a file claims to hold, checked before memory is allocated: a false claim must fail one case, not the process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pranet_monai.errors import BadCaseError
from pranet_monai.forms.files import file_extension, unpacked_bytes
from pranet_monai.storage.memory import available_memory, readable_bytes

__all__ = ["MAX_TRAILING_BYTES", "check_content", "check_memory"]

BYTES_PER_VALUE = 3 * 4
"""The file's values as float32, and as much again for the axes' turn and the change of grey values."""

MAX_TRAILING_BYTES = 1 << 30
"""How far packed data is followed behind the voxels that the header claims, on the way to its checksum."""


def check_memory(path: str | Path, shape: Sequence[int]) -> None:
    """Refuses an array that can't be worked on in the memory that is left.

    Args:
        path: of the file or folder.
        shape: what it claims.

    Raises:
        BadCaseError: naming the claim, the memory that it needs, and what there is.
    """
    needed, available = math.prod(int(length) for length in shape) * BYTES_PER_VALUE, available_memory()
    if available is not None and needed > available:
        raise BadCaseError(
            f"{path}: found a header that claims {' x '.join(str(length) for length in shape)} values, which need "
            f"{readable_bytes(needed)} of memory as float32 with two copies; allowed: {readable_bytes(available)}, "
            "what is available now; fix: crop or split it, use a machine (or a container's limit) with more memory, or "
            "export it again if its header is wrong"
        )


def check_content(path: str | Path, claimed: int) -> int:
    """Reads packed data through to its checksum, and compares what is there with the header's claim.

    Args:
        path: of the file with the voxels, packed by gzip (``.gz``, ``.mgz``) or plain.
        claimed: bytes up to the end of the last voxel, as the header says.

    Returns:
        Bytes that lie behind.

    Raises:
        BadCaseError: the file ends before its last voxel, or packed data goes on for more than
            :data:`MAX_TRAILING_BYTES`.
        OSError: packed data is damaged.
    """
    if not file_extension(path, (".gz", ".mgz")):
        found = Path(path).stat().st_size
    else:
        found = unpacked_bytes(path, claimed + MAX_TRAILING_BYTES)
    if found < claimed:
        raise BadCaseError(
            f"{path}: found {found} bytes that can't be read as a volume (its header claims {claimed}, "
            f"{readable_bytes(claimed)}); allowed: a whole file; fix: copy or export it again"
        )
    if found > claimed + MAX_TRAILING_BYTES:
        raise BadCaseError(
            f"{path}: found compressed data that continues more than {readable_bytes(MAX_TRAILING_BYTES)} behind the "
            f"{readable_bytes(claimed)} of its header's claim; allowed: the voxels and little else; fix: export it "
            "again, its header is wrong"
        )
    return found - claimed
