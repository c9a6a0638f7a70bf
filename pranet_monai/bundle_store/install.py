# SPDX-License-Identifier: Apache-2.0
"""Packed bundles and folders into a place of this machine: checked, and complete or absent."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pranet_monai.bundle_store.bundle import Bundle
from pranet_monai.bundle_store.places import cache_folder, user_folder
from pranet_monai.errors import UsageError
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.storage.large_files import LISTING, PACKED_LISTING

__all__ = ["LEFT_OUT", "install_bundle", "made_beside", "unpacked_in_cache"]

LEFT_OUT = frozenset({"__pycache__", "bundle.yaml", "eval", "runs"})
"""What running a bundle leaves in its folder, and what only serves to make it."""

PACKAGE = "pranet_monai"
"""A packed bundle holds this package's code. It stays in the zip: where the package is installed, its code is used."""

MOST_BYTES = 16 * 2**30


def install_bundle(source: str | Path, force: bool = False, folder: Path | None = None) -> Bundle:
    """Puts a bundle where it is found by name from then on.

    Args:
        source: a packed bundle (``.zip``), or the folder of one.
        force: take the place of a bundle of this name that is there.
        folder: where to; default: the user's data folder.

    Returns:
        The installed bundle.

    Raises:
        UsageError: `source` isn't a whole bundle, was made for a newer package, would write outside of its folder, or
            is there already.
    """
    path, target_folder = Path(source).expanduser(), folder or user_folder()
    if not path.exists():
        raise UsageError(f"{path}: found no such file or folder; allowed: a packed bundle, or the folder of one")
    name = path.resolve().name if path.is_dir() else _name_in(path)
    target = target_folder / name
    if target.exists() and not force:
        raise UsageError(f"{target}: found this bundle there already; fix: --force puts the new one in its place")
    with made_beside(target, force) as partial:
        if path.is_dir():
            _copy(path, partial)
        else:
            _unpack(path, name, partial)
        try:
            Bundle(partial).check()
        except UsageError as error:  # say where it came from, not where it was tried
            raise UsageError(str(error).replace(str(partial), str(path))) from error
    return Bundle(target, "installed")


def unpacked_in_cache(archive: Path) -> Bundle:
    """A packed bundle, unpacked into the user's cache under the hash of the zip: once for each.

    Raises:
        UsageError: see :func:`install_bundle`.
    """
    folder = cache_folder() / file_sha256(archive)[:16]
    target = folder / _name_in(archive)
    if Bundle.is_one(target):
        return Bundle(target, "zip")
    return install_bundle(archive, folder=folder)


@contextmanager
def made_beside(target: Path, replace: bool) -> Iterator[Path]:
    """A folder to fill that takes the target's place when the block ends well, and is gone when it doesn't.

    Without `replace` a target that another process has made meanwhile stays.

    Raises:
        UsageError: it can't be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".partial.", dir=target.parent))
    except OSError as error:
        raise UsageError(f"{target.parent}: can't write there ({error.strerror}); fix: its permissions") from error
    try:
        partial = made / target.name
        partial.mkdir()
        yield partial
        if replace and target.exists():
            os.replace(target, made / f"{target.name}.old")
        if not target.exists():
            os.replace(partial, target)
    except OSError as error:
        raise UsageError(f"{target}: can't be written ({error}); fix: free space, permissions") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    if not Bundle.is_one(source):
        raise UsageError(f"{source} is not a bundle: it has no configs/inference.json")

    def left_out(folder: str, names: list[str]) -> set[str]:
        return set(names) & (LEFT_OUT | {PACKAGE} if Path(folder) == source else {"__pycache__"})

    shutil.copytree(source, target, ignore=left_out, dirs_exist_ok=True)


def _name_in(archive: Path) -> str:
    """The one folder that a packed bundle holds.

    Raises:
        UsageError: it isn't one.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            names = packed.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise UsageError(f"{archive}: found an incomplete or damaged zip ({error}); fix: copy it again") from error
    tops = {name.split("/")[0] for name in names}
    top = min(tops, default="")
    if len(tops) != 1 or f"{top}/configs/inference.json" not in names or top in ("", ".", ".."):
        shown = ", ".join(sorted(tops)[:4]) or "nothing"
        raise UsageError(
            f"{archive} is not a packed bundle: found {shown} in it; allowed: one folder with configs/inference.json, "
            "as pranet-monai pack makes it"
        )
    return top


def _unpack(archive: Path, name: str, target: Path) -> None:
    """Write what is below the folder of that name, without the package's code."""
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [(entry, _path_in(archive, entry)) for entry in packed.infolist()]
            size = sum(entry.file_size for entry, _ in entries)
            if size > MOST_BYTES:
                raise UsageError(f"{archive}: found {size} bytes in it; allowed: {MOST_BYTES}")
            for entry, path in entries:
                if entry.is_dir() or len(path.parts) < 2 or path.parts[1] == PACKAGE:
                    continue
                names = path.parts[1:]
                file = target.joinpath(*((LISTING,) if names == (PACKED_LISTING,) else names))
                file.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(entry) as source, file.open("xb") as sink:
                    shutil.copyfileobj(source, sink)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UsageError(f"{archive}: found a damaged zip ({error}); fix: copy it again") from error


def _path_in(archive: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    """Where an entry goes: never outside of the bundle's folder, and never through a link."""
    path = PurePosixPath(entry.filename)
    is_link = stat.S_ISLNK(entry.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or set(entry.filename) & set("\\:\0") or is_link:
        raise UsageError(
            f"{archive}: found the entry {entry.filename!r}{', a link' if is_link else ''}, which could lead out of "
            "the bundle's folder; nothing was installed; fix: get the bundle from a source that you trust"
        )
    return path
