# SPDX-License-Identifier: Apache-2.0
"""A file's hash is that of all its bytes, over the edge of a block, too."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pranet_monai.storage import hashing
from pranet_monai.storage.hashing import BLOCK_BYTES, file_sha256


@pytest.mark.parametrize("size", [0, 3, BLOCK_BYTES, BLOCK_BYTES + 1])
def test_hash_is_of_all_bytes(tmp_path: Path, size: int) -> None:
    content = (b"weights" * (size // 7 + 1))[:size]
    (tmp_path / "f").write_bytes(content)
    assert file_sha256(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_a_file_is_hashed_once_as_long_as_it_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"first")
    first, read = file_sha256(path), []
    monkeypatch.setattr(hashing, "stream_sha256", lambda stream: read.append(stream.name) or "new")
    assert (file_sha256(path), file_sha256(str(path)), read) == (first, first, [])
    path.write_bytes(b"second")
    assert file_sha256(path) == "new"
