# SPDX-License-Identifier: Apache-2.0
"""Which case a row of a report is of."""

from __future__ import annotations

from collections.abc import Iterable

from pranet_monai.forms.base import Item
from pranet_monai.forms.run_folder import FRAME_ENDING

__all__ = ["RowOwners"]


class RowOwners:
    """Tells rows of cases, which have their names, from rows of a cine, which has one for each frame.

    Args:
        items: the cases, as ``find_cases`` lists them.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = {item["case"]: item for item in items}
        self._cines = {item.get("cine", case): item for case, item in self._items.items()}

    def item_of(self, row: str) -> Item | None:
        """The case that a row is of, by the row's name; None where it is of none of these."""
        return self._items.get(row) or self._cines.get(FRAME_ENDING.sub("", row))
