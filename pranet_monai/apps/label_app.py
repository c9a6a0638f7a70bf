# SPDX-License-Identifier: Apache-2.0
"""A folder that ``monailabel start_server --app`` takes: copies of bundles, and the file that Label looks for."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pranet_monai.bundle_store import find_bundle, install_bundle
from pranet_monai.bundle_store.served import MODELS, check_serves
from pranet_monai.errors import UsageError
from pranet_monai.storage.atomic import atomic_write

__all__ = ["make_label_app", "run"]

MAIN = "main.py"
MAIN_TEXT = '''# SPDX-License-Identifier: Apache-2.0
"""Made by pranet-monai label-app: MONAI Label looks here for the app, which serves the bundles in model/."""

from pranet_monai.label.app import LabelApp

__all__ = ["LabelApp"]
'''
START = """\
Start it in an environment with MONAI Label (this package's extra [label]); STUDIES is your folder of volumes:

python -m monailabel.main start_server --uvicorn_app pranet_monai.label.server:app \\
    --app {app} --studies STUDIES --host 127.0.0.1

MONAI Label asks for no password. Without --host it listens on every network of this machine; without --uvicorn_app any
web page that is open in a browser here may read the studies and change their labels."""


def make_label_app(folder: str | Path, bundles: Sequence[str | Path]) -> Path:
    """Makes the folder of an app.

    The bundles in it are copies, so that trainings of the server leave the originals alone.

    Args:
        folder: the app's, which must not be one yet.
        bundles: names, folders or packed zips, see :func:`~pranet_monai.bundle_store.find_bundle`; one that is there
            twice is taken once.

    Returns:
        The folder, absolute.

    Raises:
        UsageError: the folder is there already, or a bundle is missing, has no weights or isn't for volumes, or two
            have one name.
    """
    app = Path(folder).expanduser().resolve()
    found = {bundle.folder.resolve(): bundle for bundle in map(find_bundle, bundles)}
    names = Counter(folder.name for folder in found)
    for bundle in found.values():
        check_serves(bundle)
    if twice := next((name for name, count in names.items() if count > 1), None):
        raise UsageError(
            f"--bundle: found two bundles called {twice}; allowed: one of each name; fix: name one of them"
        )
    if app.exists() and not (app.is_dir() and not any(app.iterdir())):
        raise UsageError(f"{folder}: found a file or folder there already; allowed: a new folder; fix: name another")
    for bundle in found.values():
        install_bundle(bundle.folder, folder=app / MODELS)
    with atomic_write(app / MAIN) as partial:
        partial.write_text(MAIN_TEXT, encoding="utf-8")
    return app


def run(args: argparse.Namespace) -> int:
    """Makes the app and says how to start it."""
    app = make_label_app(args.folder, args.bundle)
    print(f"made: {app}")
    print(START.format(app=shlex.quote(str(app))))
    return 0
