# SPDX-License-Identifier: Apache-2.0
"""Writes every bundle's configs from its ``bundle.yaml`` and the fragments all bundles share.

MONAI Label reads exactly one config file, so each config is complete in itself. Copies are hard to keep in step by
hand, so they are made here:

* ``bundle_parts/facts.yaml`` of this package states the facts that bundles share, ``<bundle>/bundle.yaml`` those in
  which the bundle differs; a ``recipe`` that it names, ``bundle_parts/recipes/<recipe>.yaml``, stands between the two,
  and may name one that stands before it;
* ``bundle_parts/configs/*.yaml`` are the configs, in which ``${fact}`` stands for a fact of any type, a list item
  ``...${fact}`` for the items of a list, and a key ``...${fact}:`` for the entries of a mapping;
* what ``bundle.yaml`` or the recipe says under ``configs`` is merged into the finished config of that name, for the
  rare true exception.

A fact that nothing defines, and one of ``bundle.yaml`` or the recipe that nothing uses, are errors: misspellings.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pranet_monai
import yaml
from pranet_monai.apps.bundle_table import fill_bundles
from pranet_monai.apps.model_card import eval_metrics, fill_scores, large_files
from pranet_monai.bundle_store import FORMAT
from pranet_monai.bundle_store.places import checkout_folder
from pranet_monai.data.labels import LABEL_MAPS, LabelMap, get_label_map, stated_label_map
from pranet_monai.errors import UsageError
from pranet_monai.storage.tables import write_atomically

__all__ = ["build_bundle", "find_bundles", "run", "write_bundle"]

PARTS = Path(pranet_monai.__file__).parent / "bundle_parts"
UNUSED = frozenset({"label_map", "data"})
"""Facts that no config need use: of ``data``, where the labelled cases lie, ``train`` makes use."""

WHOLE = re.compile(r"\$\{(\w+)\}")
SPREAD = re.compile(r"\.\.\.\$\{(\w+)\}")


class Facts:
    """Facts by name, resolved on demand; keeps a list of those that were used."""

    def __init__(self, facts: dict[str, Any], source: Path) -> None:
        self._facts = facts
        self._source = source
        self.used: set[str] = set()

    def fill(self, value: Any, within: tuple[str, ...] = ()) -> Any:
        """A copy of ``value`` with every ``${fact}`` in it replaced, at any depth.

        Raises:
            UsageError: a fact is not defined, is defined through itself, or has no entries where a mapping wants some.
        """
        if isinstance(value, dict):
            return {key: filled for entry in value.items() for key, filled in self._fill_entry(*entry, within)}
        if isinstance(value, list):
            return [filled for item in value for filled in self._fill_item(item, within)]
        if isinstance(value, str):
            if whole := WHOLE.fullmatch(value):
                return self._get(whole[1], within)
            return WHOLE.sub(lambda match: str(self._get(match[1], within)), value)
        return value

    def _fill_item(self, item: Any, within: tuple[str, ...]) -> list[Any]:
        if isinstance(item, str) and (spread := SPREAD.fullmatch(item)):
            return list(self._get(spread[1], within))
        return [self.fill(item, within)]

    def _fill_entry(self, key: Any, item: Any, within: tuple[str, ...]) -> list[tuple[Any, Any]]:
        if isinstance(key, str) and (spread := SPREAD.fullmatch(key)):
            entries = self._get(spread[1], within)
            if not isinstance(entries, dict):
                raise UsageError(f"{self._source}: the fact {spread[1]!r} under the key {key!r} must be a mapping")
            return list(entries.items())
        return [(key, self.fill(item, within))]

    def _get(self, name: str, within: tuple[str, ...]) -> Any:
        if name in within:
            raise UsageError(f"{self._source}: the fact {name!r} is defined through itself: {' -> '.join(within)}")
        if name not in self._facts:
            raise UsageError(f"{self._source}: no fact {name!r}; there are {', '.join(sorted(self._facts))}")
        self.used.add(name)
        return self.fill(self._facts[name], (*within, name))


def merge(base: Any, change: Any) -> Any:
    """``change`` laid over ``base``: mappings are merged key by key, anything else is replaced."""
    if isinstance(base, dict) and isinstance(change, dict):
        merged = {**base, **change}
        return merged | {key: merge(base[key], change[key]) for key in base.keys() & change.keys()}
    return copy.deepcopy(change)


def build_bundle(folder: Path) -> dict[Path, str]:
    """Everything that is generated for one bundle.

    Args:
        folder: the bundle's folder.

    Returns:
        File → text, for each file that ``bundle.yaml`` and the fragments decide.

    Raises:
        UsageError: a file is missing or malformed, or a fact is misspelt.
    """
    source = folder / "bundle.yaml"
    own = _with_recipe(_read_yaml(source))
    changes = own.pop("configs", {})
    facts = Facts({**_read_yaml(PARTS / "facts.yaml"), **_derived(folder, own, source), **own}, source)

    templates = {path.stem: _read_yaml(path) for path in sorted((PARTS / "configs").glob("*.yaml"))}
    if unknown := changes.keys() - templates.keys():
        raise UsageError(f"{source}: configs {sorted(unknown)} are not among {sorted(templates)}")
    files = {
        folder / "configs" / f"{name}.json": _to_json(merge(facts.fill(template), facts.fill(changes.get(name, {}))))
        for name, template in templates.items()
    }
    if unused := own.keys() - facts.used - UNUSED:
        raise UsageError(f"{source}: nothing uses the facts {sorted(unused)}; are they misspelt?")
    files[folder / "configs" / "logging.conf"] = (PARTS / "logging.conf").read_text(encoding="utf-8")
    if (licence := folder.parent.parent / "LICENSE").is_file():  # of the checkout
        files[folder / "LICENSE"] = licence.read_text(encoding="utf-8")
    if weights := large_files(folder):
        files[folder / "large_files.yml"] = yaml.safe_dump(weights, sort_keys=False)
    card = folder / "docs" / "README.md"
    files[card] = fill_scores(card)
    return files


def write_bundle(folder: Path) -> list[Path]:
    """Writes what of :func:`build_bundle` isn't up to date; returns the files."""
    stale = [(path, text) for path, text in build_bundle(folder).items() if not _is_up_to_date(path, text)]
    for path, text in stale:
        write_atomically(path, text)
    return [path for path, _ in stale]


def find_bundles(root: Path) -> list[Path]:
    """The bundles' folders under ``root``, by name.

    Raises:
        UsageError: ``root`` holds no ``bundle.yaml`` one level down.
    """
    folders = sorted(path.parent for path in root.glob("*/bundle.yaml"))
    if not folders:
        raise UsageError(f"no {root}/<name>/bundle.yaml found; run this where the bundles are, or name their folder")
    return folders


def run(args: argparse.Namespace) -> int:
    """Builds or checks all bundles; 0 when all is up to date (afterwards), 1 when ``--check`` found a difference."""
    stale: list[Path] = []
    root = args.root or checkout_folder()
    if root is None:
        raise UsageError("found no checkout around this package; fix: name the folder of the bundles to build")
    folders = find_bundles(root)
    for folder in folders:
        if args.check:
            stale += [path for path, text in build_bundle(folder).items() if not _is_up_to_date(path, text)]
        else:
            stale += write_bundle(folder)
    readme = root.parent / "README.md"
    if readme.is_file() and not _is_up_to_date(readme, table := fill_bundles(readme, folders)):
        stale.append(readme)
        if not args.check:
            write_atomically(readme, table)
    for path in stale:
        print(f"{'not up to date' if args.check else 'written'}: {path}")
    if stale and args.check:
        print("run: pranet-monai build-bundles")
    return int(bool(stale) and args.check)


def _is_up_to_date(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _with_recipe(own: dict[str, Any]) -> dict[str, Any]:
    """Facts over those of the recipe that they name, if they name one."""
    name = own.pop("recipe", None)
    if name is None:
        return own
    recipe = _with_recipe(_read_yaml(PARTS / "recipes" / f"{name}.yaml"))
    return {**recipe, **own, "configs": merge(recipe.get("configs", {}), own.get("configs", {}))}


def _derived(folder: Path, own: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """Facts that follow from others, and from what lies in the bundle."""
    labels, beside = _classes(own, source), own.get("adjacent_slices", 0)
    channels = [f"{_count(n)} below" for n in range(beside, 0, -1)]
    channels += ["the slice", *(f"{_count(n)} above" for n in range(1, beside + 1))]
    views = {"views": "@axis", "inferer": "${multi_view_inferer}"} if isinstance(own.get("axis"), list) else {}
    return views | {
        "bundle": folder.name,
        "bundle_format": FORMAT,
        "label_map_def": f"${{{'stated' if 'classes' in own else 'named'}_label_map}}",
        "num_classes": labels.out_channels,
        "organs": list(labels.organs),
        "out_channels": labels.out_channels,
        "foreground_def": {str(index): name for index, name in enumerate(labels.foreground.values())},
        "channel_def": {str(index): name for index, name in labels.labels.items()},
        "label_classes": ", ".join(f"{index} {name.replace('_', ' ')}" for index, name in labels.labels.items()),
        "eval_metrics": eval_metrics(folder),
        "in_channels": len(channels),
        "image_channels": {str(index): name for index, name in enumerate(channels)} if beside else {"0": "image"},
    }


def _count(slices: int) -> str:
    return f"{slices} slice{'s' if slices > 1 else ''}"


def _classes(own: Mapping[str, Any], source: Path) -> LabelMap:
    if (own.get("label_map") is None) == ("classes" not in own):
        raise UsageError(
            f"{source} must name its label_map, one of {', '.join(LABEL_MAPS)}, or state its own classes, as "
            "{1: liver, 2: spleen}; one of the two"
        )
    if "classes" not in own:
        return get_label_map(own["label_map"])
    return stated_label_map(str(own.get("short_name", source.parent.name)), own["classes"], own.get("regions"))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} is missing") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold a mapping, found {type(content).__name__}")
    return content


def _to_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=4, ensure_ascii=False) + "\n"
