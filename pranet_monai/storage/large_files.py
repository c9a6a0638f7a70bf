# SPDX-License-Identifier: Apache-2.0
"""``large_files.yml`` of a bundle: which of its files are published, and the hash that each must have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pranet_monai.errors import UsageError

__all__ = ["LISTING", "PACKED_LISTING", "published_hashes"]

LISTING = "large_files.yml"
PACKED_LISTING = "hashes.yml"
"""Its name in a zip that holds the files themselves: by the other, the model zoo's tools want to download them."""


def published_hashes(bundle: Path) -> dict[Path, str]:
    """The large files of a bundle and their SHA-256 in lower-case hex; empty where the bundle lists none.

    Args:
        bundle: its folder.

    Returns:
        Path below the bundle → hash, of the files for which one is stated.

    Raises:
        UsageError: ``large_files.yml`` isn't what MONAI's bundles have under this name.
    """
    listing = next((bundle / name for name in (LISTING, PACKED_LISTING) if (bundle / name).is_file()), None)
    if listing is None:
        return {}
    try:
        content = yaml.safe_load(listing.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{listing}: found text that is not valid YAML ({_short(error)}); {_ALLOWED}") from error
    entries = content.get("large_files") if isinstance(content, Mapping) else content
    if entries is None:
        return {}
    if not isinstance(entries, list):
        raise UsageError(f"{listing}: found {type(entries).__name__} in place of a list; {_ALLOWED}")
    hashes: dict[Path, str] = {}
    for entry in entries:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("path"), str):
            raise UsageError(f"{listing}: found the entry {entry!r}; {_ALLOWED}")
        if entry.get("hash_type") != "sha256":
            continue
        if not entry.get("hash_val"):
            raise UsageError(f"{listing}: found no hash_val for {entry['path']}; {_ALLOWED}")
        hashes[bundle / entry["path"]] = str(entry["hash_val"]).lower()
    return hashes


_ALLOWED = "allowed: a list large_files of entries with path, hash_type sha256 and hash_val; fix: get the bundle again"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
