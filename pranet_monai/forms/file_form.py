# SPDX-License-Identifier: Apache-2.0
"""What forms of one file per case share: found by their extensions, named by their path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pranet_monai.forms.base import Form, Item
from pranet_monai.forms.files import file_extension, without_extension
from pranet_monai.forms.search import Search

__all__ = ["FileForm"]


class FileForm(Form):
    """A form whose cases are single files, each with its reference in a file beside it or in a folder beside that.

    Attributes:
        extensions: of its files, in lower case.
    """

    extensions: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.patterns = tuple(f"*{extension}" for extension in cls.extensions)

    def takes(self, path: Path) -> bool:
        """See the base class."""
        return bool(file_extension(path, self.extensions))

    def find_images(self, search: Search) -> list[Path]:
        """See the base class."""
        found = search.with_extension(self.extensions)
        return [path for path in found if not search.names_reference(path, self.extensions)]

    def case_name(self, image: Path, root: Path) -> str:
        """See the base class."""
        return (image.relative_to(root).parent / without_extension(image, self.extensions)).as_posix()

    def find_reference(self, item: Item, search: Search) -> Path | None:
        """See the base class."""
        return search.reference_file(Path(item["image"]), self.extensions)

    def find_references(self, search: Search) -> list[Path]:
        """See the base class."""
        found = search.with_extension(self.extensions)
        return [path for path in found if search.names_reference(path, self.extensions)]

    def find_masks(self, search: Search) -> list[dict[str, Any]]:
        """See the base class; maps that a run has written beside its masks are none."""
        return [
            {"case": self.case_name(path, search.root), "form": self.name, "label": str(path)}
            for path in search.with_extension(self.extensions)
            if not search.is_map(path, self.extensions)
        ]
