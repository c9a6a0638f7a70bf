# SPDX-License-Identifier: Apache-2.0
"""The table in which backbones and networks stand: name → description and value."""

from __future__ import annotations

from typing import Any

from monai.utils.component_store import ComponentStore

__all__ = ["ComponentTable"]


class ComponentTable(ComponentStore):
    """MONAI's component store, whose refusal of an unknown name lists the known ones."""

    def __getitem__(self, name: str) -> Any:
        """What stands under the name.

        Raises:
            ValueError: nothing does.
        """
        if name not in self:
            raise ValueError(f"{name!r} is none of the {self.name}, must be one of {', '.join(self.names)}.")
        return super().__getitem__(name)
