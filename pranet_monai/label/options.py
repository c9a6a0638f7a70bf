# SPDX-License-Identifier: Apache-2.0
"""The options that MONAI Label's clients show for a bundle: one row each, there where the bundle's config has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pranet_monai.apps.workflow import MIRRORED, slice_inferer_id
from pranet_monai.runtimes import AUTO, RUNTIMES

__all__ = ["OPTIONS", "Option", "changes", "shown"]


@dataclass(frozen=True)
class Option:
    """A choice that the user of the client makes.

    Attributes:
        name: as clients show it.
        needs: the id that a bundle's ``inference.json`` must have at its top for the option to be there.
        sets: the ``id#part`` that it changes; of an inferer around another, the inner one's.
        default: the value of that part where the config states none.
        others: further values to choose from; none for a box to tick.
        stored: what a ticked or unticked box puts into the config.
    """

    name: str
    needs: str
    sets: str
    default: Any
    others: tuple[Any, ...] = ()
    stored: Callable[[Any], Any] = lambda value: value

    def is_in(self, config: Mapping[str, Any]) -> bool:
        """Whether a bundle with this config has it."""
        return self.needs in config

    def place(self, config: Mapping[str, Any]) -> str:
        """The ``id#part`` that it changes in this config."""
        part = self.sets.removeprefix("inferer#")
        return self.sets if part == self.sets else f"{slice_inferer_id(config)}#{part}"

    def shown(self, config: Mapping[str, Any]) -> Any:
        """What a client shows: a list to choose from, the bundle's own value first, or whether the box is ticked."""
        value: Any = config
        for part in self.place(config).split("#"):
            value = value.get(part, self.default) if isinstance(value, Mapping) else self.default
        return [value, *(other for other in self.others if other != value)] if self.others else bool(value)


_INSTALLED = tuple(name for name, runtime in RUNTIMES.items() if not runtime.missing())
OPTIONS = (
    Option("mirrored_passes", "inferer", "inferer#tta", [], stored=lambda ticked: MIRRORED if ticked else []),
    Option("overlap", "roi_size", "inferer#overlap", 0.25, (0.0, 0.25, 0.5, 0.75)),
    Option("runtime", "runtime", "runtime", "torch", (AUTO, *_INSTALLED)),
    Option("precision", "precision", "precision", "fp32", ("fp32", "bf16")),
)


def shown(config: Mapping[str, Any]) -> dict[str, Any]:
    """Name → what a client shows, for a bundle with this ``inference.json``."""
    return {option.name: option.shown(config) for option in OPTIONS if option.is_in(config)}


def changes(config: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """What a client's request changes in the config, ``id#part`` → value; nothing where it chose what is there."""
    changed = {}
    for option in OPTIONS:
        if option.name not in request or not option.is_in(config):
            continue
        own, chosen = option.shown(config), request[option.name]
        chosen = chosen[0] if isinstance(chosen, list) else chosen  # a client that sends what it was offered
        if chosen != (own[0] if isinstance(own, list) else own):
            changed[option.place(config)] = option.stored(chosen)
    return changed
