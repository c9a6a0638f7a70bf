# SPDX-License-Identifier: Apache-2.0
"""Which cases a run has found and where their files lie, kept beside its masks for whoever looks at them later."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pranet_monai.data.labels import LabelMap, label_map_of_record
from pranet_monai.errors import UsageError
from pranet_monai.forms.base import Item, KindName
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.storage.tables import strict_json, write_atomically

__all__ = ["CaseRecord"]

_PATHS = ("image", "label", "files")
"""What of an item are paths; the others are names and numbers."""


@dataclass(frozen=True)
class CaseRecord:
    """The cases of a run.

    The paths in its file are relative, that of the images' folder to the run's, all others to the images' folder: it
    stays true where both are moved together, and names no home.

    Attributes:
        kind: of the cases.
        label_map: of their masks.
        items: of ``find_cases``.
    """

    kind: KindName
    label_map: LabelMap
    items: Sequence[Item]

    def write(self, folder: RunFolder, dataset_dir: str | Path) -> None:
        """Writes it into the folder of the run.

        Args:
            folder: of the run.
            dataset_dir: the folder that the items were found in, or the one file.
        """
        given = Path(dataset_dir).expanduser().absolute()
        images = given if given.is_dir() else given.parent
        record = {
            "images": _relative(os.path.realpath(images), os.path.realpath(folder.root)),
            "kind": self.kind,
            "label_map": asdict(self.label_map),
            "cases": [_with_paths(item, lambda path: _relative(path, str(images))) for item in self.items],
        }
        # in ASCII: names that are no UTF-8 come back as they are
        write_atomically(folder.case_record, json.dumps(strict_json(record), indent=2, allow_nan=False) + "\n")

    @classmethod
    def read(cls, folder: RunFolder, images: str | Path | None = None) -> CaseRecord:
        """Reads it from the folder of a run.

        Args:
            folder: of the run.
            images: where the images' folder is now, if it has been moved.

        Raises:
            UsageError: it isn't there, or can't be read.
        """
        try:
            record = json.loads(folder.case_record.read_text(encoding="utf-8"))
            root = os.path.join(os.path.realpath(folder.root), record["images"]) if images is None else str(images)
            items = [
                _with_paths(item, lambda path: os.path.normpath(os.path.join(root, path))) for item in record["cases"]
            ]
            return cls(record["kind"], label_map_of_record(record["label_map"]), items)
        except FileNotFoundError as error:
            raise UsageError(
                f"{folder.root}: found no {folder.case_record.name} in it; allowed: the output folder of a run of "
                "pranet-monai segment; fix: name that folder, or run segment with --resume, which adds the file"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{folder.case_record}: can't be read ({type(error).__name__}: {error}); fix: run "
                "segment with --resume, which writes it again"
            ) from error


def _with_paths(item: Item, change: Callable[[str], str]) -> dict[str, Any]:
    """The item with its paths changed."""
    return dict(item) | {name: _changed(item[name], change) for name in _PATHS if name in item}


def _changed(value: str | Iterable[str], change: Callable[[str], str]) -> str | list[str]:
    return change(value) if isinstance(value, str) else [change(path) for path in value]


def _relative(path: str, start: str) -> str:
    try:
        return os.path.relpath(path, start)
    except ValueError:  # another drive of Windows
        return os.path.abspath(path)
