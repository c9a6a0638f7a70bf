# SPDX-License-Identifier: Apache-2.0
"""One zip file that holds a bundle and the code it needs, for machines where this package isn't installed."""

from __future__ import annotations

import argparse
import io
import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pranet_monai
from pranet_monai.bundle_store import Bundle, find_bundle
from pranet_monai.bundle_store.install import LEFT_OUT
from pranet_monai.errors import UsageError
from pranet_monai.storage.large_files import LISTING, PACKED_LISTING, published_hashes
from pranet_monai.storage.tables import write_atomically

__all__ = ["pack_bundle", "run"]

PACKAGE = Path(pranet_monai.__file__).parent
# a fixed date makes the same content the same file, so that its hash can be published
DATE = (2020, 1, 1, 0, 0, 0)
MAIN_PACKAGES = {"monai": "monai", "torch": "pytorch", "numpy": "numpy"}
ELSEWHERE = """\
Where pranet-monai is installed: pranet-monai install {zip}
Elsewhere, in an environment of its own:

python -m zipfile -e {zip} . && cd {folder}
pip install {packages}
python -m monai.bundle run --config_file configs/inference.json --dataset_dir VOLUMES --output_dir RESULTS
"""
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]*")


def pack_bundle(bundle: str | Path, output_dir: Path) -> Path:
    """Writes ``<output_dir>/<name>_v<version>.zip``.

    MONAI's bundle runner, the model zoo and MONAI Label all put a bundle's root folder on Python's search path, so the
    package lies there and the configs work unchanged. ``large_files.yml`` is called ``hashes.yml`` where all that it
    lists is inside: the zoo's tools would want to download it.

    Args:
        bundle: its name or folder, see :func:`~pranet_monai.bundle_store.find_bundle`.
        output_dir: where the file goes; it is made where it is missing.

    Returns:
        The file written.

    Raises:
        UsageError: there is no such bundle, or it states no version that can stand in a file's name.
    """
    found = find_bundle(bundle)
    folder, version = found.folder, _version(found)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for root, below in ((folder, Path()), (PACKAGE, Path(PACKAGE.name))):
            for path, name in _files(root, found):
                entry = zipfile.ZipInfo((folder.name / below / name).as_posix(), DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())
    target = output_dir / f"{folder.name}_v{version}.zip"
    write_atomically(target, buffer.getvalue())
    return target


def run(args: argparse.Namespace) -> int:
    """Packs the bundle and says how to use the file."""
    target, bundle = pack_bundle(args.bundle, args.output_dir), find_bundle(args.bundle)
    print(f"{target} ({target.stat().st_size / 2**20:.1f} MiB)")
    print(ELSEWHERE.format(zip=shlex.quote(target.name), folder=bundle.name, packages=_requirements(bundle)))
    if not bundle.weights:
        print("It holds no weights (models/model.pt): they must be trained or imported before it can segment.")
    return 0


def _version(bundle: Bundle) -> str:
    found = bundle.metadata.get("version")
    if not isinstance(found, str) or not VERSION.fullmatch(found):
        raise UsageError(
            f"{bundle.config('metadata')}: found version {found!r}; allowed: text such as 0.1.0, of letters, digits "
            "and . + _ -, as it becomes part of a file's name; fix: state it there"
        )
    return found


def _requirements(bundle: Bundle) -> str:
    """What ``pip install`` must bring, as the model zoo reads it from the metadata."""
    stated = bundle.metadata
    versions = {name: stated.get(f"{key}_version") for name, key in MAIN_PACKAGES.items()}
    versions |= stated.get("required_packages_version", {})
    return " ".join(f"{name}=={version}" for name, version in versions.items() if version)


def _files(root: Path, bundle: Bundle) -> Iterator[tuple[Path, Path]]:
    """What is packed of a folder, and its name below that in the zip."""
    is_whole = all(path.is_file() for path in published_hashes(bundle.folder))
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.is_file() and not LEFT_OUT.intersection(name.parts):
            yield path, Path(PACKED_LISTING) if name == Path(LISTING) and is_whole else name
