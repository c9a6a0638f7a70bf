# SPDX-License-Identifier: Apache-2.0
"""One bundle: its folder, and what its files say of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pranet_monai.errors import UsageError
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.storage.large_files import published_hashes

__all__ = ["CALIBRATION", "FORMAT", "SCORES", "SUMMARY", "WEIGHTS", "Bundle"]

FORMAT = 1
"""What configs may ask of this package; a bundle states the number that it was made for as ``bundle_format``."""

WEIGHTS = Path("models/model.pt")
CALIBRATION = Path("models/quality.json")
SUMMARY = Path("docs/validation/summary.json")
SCORES = (SUMMARY, SUMMARY.with_name("metrics.csv"))
"""Of the weights on the validation cases, as an evaluation's report holds them."""


@dataclass(frozen=True)
class Bundle:
    """A folder with ``configs/inference.json``.

    Attributes:
        folder: where it lies.
        place: why it was looked for there, for lists.
    """

    folder: Path
    place: str = "path"

    @property
    def name(self) -> str:
        """That of the folder."""
        return self.folder.name

    @property
    def short_name(self) -> str:
        """The one that people type, or the folder's where the bundle states none that can be read."""
        try:
            return str(self.metadata.get("short_name") or self.name)
        except UsageError:  # a broken bundle mustn't keep the others from being found
            return self.name

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """``configs/metadata.json``; empty where there is none.

        Raises:
            UsageError: it isn't JSON.
        """
        return self._json(Path("configs/metadata.json")) or {}

    @cached_property
    def summary(self) -> dict[str, Any] | None:
        """The scores of its weights on the validation cases, as ``evaluate`` leaves them."""
        return self._json(SUMMARY)

    @property
    def weights(self) -> Path | None:
        """The file that inference loads, where it is there."""
        path = self.folder / WEIGHTS
        return path if path.is_file() else None

    def config(self, name: str) -> Path:
        """The file ``configs/<name>.json``.

        Raises:
            UsageError: the bundle has none of that name.
        """
        path = self.folder / "configs" / f"{name}.json"
        if not path.is_file():
            raise UsageError(f"bundle {self.folder}: found no configs/{name}.json; fix: use a bundle that has it")
        return path

    def check(self) -> None:
        """Look whether this version of the package can use the bundle, and whether its large files are the published.

        Raises:
            UsageError: it is no bundle, was made for a newer package, or a file isn't what ``large_files.yml`` says.
        """
        if not self.is_one(self.folder):
            raise UsageError(f"{self.folder} is not a bundle: it has no configs/inference.json")
        self.check_format()
        for path, published in published_hashes(self.folder).items():
            if path.is_file() and file_sha256(path) != published:
                raise UsageError(
                    f"{path}: found SHA-256 {file_sha256(path)}; allowed: {published}, as large_files.yml has it; "
                    "fix: get the bundle again"
                )

    def check_format(self) -> None:
        """Look whether this version of the package can use the bundle.

        Raises:
            UsageError: it was made for a newer one.
        """
        wanted = self.metadata.get("bundle_format", FORMAT)
        if not isinstance(wanted, int) or wanted > FORMAT:
            raise UsageError(
                f"bundle {self.folder}: found bundle_format {wanted!r}, made for a newer pranet_monai; allowed: up to "
                f"{FORMAT}; fix: pip install --upgrade pranet-monai, or get an older version of the bundle"
            )

    @staticmethod
    def is_one(folder: Path) -> bool:
        """Whether a folder is a bundle."""
        return (folder / "configs" / "inference.json").is_file()

    def _json(self, path: Path) -> dict[str, Any] | None:
        if not (self.folder / path).is_file():
            return None
        try:
            content: dict[str, Any] = json.loads((self.folder / path).read_text(encoding="utf-8"))
        except ValueError as error:  # also text that isn't UTF-8
            raise UsageError(
                f"{self.folder / path}: found text that is not valid JSON ({error}); fix: get it again"
            ) from error
        if not isinstance(content, dict):
            raise UsageError(
                f"{self.folder / path}: found {type(content).__name__}; allowed: an object, {{...}}; fix: get it again"
            )
        return content
