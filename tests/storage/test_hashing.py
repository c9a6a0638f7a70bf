# SPDX-License-Identifier: Apache-2.0
"""A file's hash is that of all its bytes, over the edge of a block, too."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pranet_monai.storage.hashing import BLOCK_BYTES, file_sha256


@pytest.mark.parametrize("size", [0, 3, BLOCK_BYTES, BLOCK_BYTES + 1])
def test_hash_is_of_all_bytes(tmp_path: Path, size: int) -> None:
    content = (b"weights" * (size // 7 + 1))[:size]
    (tmp_path / "f").write_bytes(content)
    assert file_sha256(tmp_path / "f") == hashlib.sha256(content).hexdigest()
