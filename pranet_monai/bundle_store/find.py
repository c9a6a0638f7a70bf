# SPDX-License-Identifier: Apache-2.0
"""From what a user types to a bundle: a short name, a folder's name, a path, or a packed zip."""

from __future__ import annotations

import difflib
import shlex
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pranet_monai.bundle_store.bundle import Bundle
from pranet_monai.bundle_store.install import unpacked_in_cache
from pranet_monai.bundle_store.places import VARIABLE, places
from pranet_monai.errors import UsageError

__all__ = ["all_bundles", "bundle_names", "find_bundle", "name_to_type"]


def find_bundle(bundle: str | Path) -> Bundle:
    """The bundle that a user means, from whatever folder.

    In this order: the path of a bundle's folder; that of a packed bundle (``.zip``), which is unpacked into the user's
    cache; the exact name of a folder in one of the ``places``, the first place counting; the ``short_name`` that one
    bundle in all of them states.

    Raises:
        UsageError: there is no such bundle, or several have this short name (lists what there is), or it was made for
            a newer version of this package.
    """
    path = Path(bundle).expanduser()
    if str(bundle).strip() and Bundle.is_one(path):  # an empty text isn't the current folder
        found = Bundle(path.resolve())
    elif path.is_file():
        found = _packed(path)
    else:
        found = _named(str(bundle))
    found.check_format()
    return found


def all_bundles() -> list[Bundle]:
    """The bundles of all places, by name; one that an earlier place has as well is left out."""
    bundles: dict[str, Bundle] = {}
    for place, folder in places():
        for candidate in _below(folder):
            bundles.setdefault(candidate.name, Bundle(candidate, place))
    return [bundles[name] for name in sorted(bundles)]


def bundle_names() -> list[str]:
    """What may be typed for each bundle, for completion by the shell."""
    return sorted({name for bundle in all_bundles() for name in (bundle.short_name, bundle.name)})


def name_to_type(bundle: Bundle) -> str:
    """What finds a bundle from the current folder, for messages: its short name, or its folder, quoted for a shell."""
    try:
        known = _named(bundle.short_name).folder.resolve() == bundle.folder.resolve()
    except UsageError:  # in none of the places, or one of several of this name
        known = False
    return bundle.short_name if known else shlex.quote(str(bundle.folder))


def _named(name: str) -> Bundle:
    bundles = all_bundles()
    for bundle in bundles:
        if bundle.name == name:
            return bundle
    meant = [bundle for bundle in bundles if bundle.short_name == name]
    if len(meant) == 1:
        return meant[0]
    if meant:
        folders = ", ".join(str(bundle.folder) for bundle in meant)
        raise UsageError(f"bundle {name}: found {len(meant)} of this short name: {folders}; fix: name one in full")
    raise UsageError(_unknown(name, bundles))


def _packed(path: Path) -> Bundle:
    if not zipfile.is_zipfile(path):
        raise UsageError(
            f"bundle {path}: found a file that is not a zip; allowed: a bundle's name, folder or packed zip"
        )
    return unpacked_in_cache(path)


def _below(folder: Path) -> Iterator[Path]:
    if Bundle.is_one(folder):
        yield folder
    elif folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if Bundle.is_one(path) and path.name[0] not in "._")


def _unknown(name: str, bundles: Sequence[Bundle]) -> str:
    if name.strip() and Path(name).is_dir():
        found = "found a folder without configs/inference.json, which is not a bundle, and no bundle of this name"
    else:
        close = difflib.get_close_matches(name, [known for b in bundles for known in (b.short_name, b.name)], n=2)
        found = f"found no bundle of this name{f' (did you mean {chr(32).join(close)}?)' if close else ''}"
    groups = {
        "with weights": [bundle.short_name for bundle in bundles if bundle.weights],
        "without": [bundle.short_name for bundle in bundles if not bundle.weights],
    }
    here = "; ".join(f"{', '.join(names)} ({group})" for group, names in groups.items() if names)
    fix = f"pranet-monai install ZIP, or set {VARIABLE} to the folder that holds your bundles"
    return f"bundle {name}: {found}; here are {here or 'none'}; or give a bundle's folder or zip; fix: {fix}"
