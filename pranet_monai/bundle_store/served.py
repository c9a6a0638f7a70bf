# SPDX-License-Identifier: Apache-2.0
"""The bundles that a MONAI Label app serves, and which of their weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pranet_monai.bundle_store.bundle import WEIGHTS, Bundle
from pranet_monai.errors import UsageError

__all__ = ["MODELS", "TRAINED", "check_serves", "served_bundles", "weights_files", "weights_line"]

MODELS = "model"
"""The folder of an app that holds its bundles; MONAI Label's own name for it."""

TRAINED = Path("models/model_trained.pt")
"""Where a training puts its weights, beside the shipped ones."""


def check_serves(bundle: Bundle) -> None:
    """Look whether MONAI Label can serve a bundle.

    Raises:
        UsageError: it segments RGB images, has no weights, or its files aren't those that were published.
    """
    config = json.loads(bundle.config("inference").read_text(encoding="utf-8"))
    if config["cases"]["kind"] != "volume":
        raise UsageError(
            f"bundle {bundle.short_name}: found one for RGB images; allowed in a MONAI Label app: bundles for volumes; "
            f"fix: pranet-monai segment IMAGES RESULTS --bundle {bundle.short_name}"
        )
    if bundle.weights is None:
        raise UsageError(f"bundle {bundle.short_name}: found no {WEIGHTS}; fix: pranet-monai info bundles says how")
    bundle.check()


def served_bundles(app: str | Path, names: Sequence[str] = ()) -> list[Bundle]:
    """The bundles of an app, by name.

    Args:
        app: its folder.
        names: of those that are wanted, short or in full; all by default.

    Raises:
        UsageError: there are none, one of the names isn't there, or one can't be served.
    """
    folder = Path(app) / MODELS
    there = [Bundle(path) for path in sorted(folder.glob("*")) if Bundle.is_one(path)]
    for name in names:
        if not any(name in (bundle.name, bundle.short_name) for bundle in there):
            known = ", ".join(bundle.short_name for bundle in there) or "none"
            raise UsageError(f"--conf models {name}: found no such bundle in {folder}; here are {known}")
    wanted = [bundle for bundle in there if not names or {bundle.name, bundle.short_name} & set(names)]
    if not wanted:
        raise UsageError(f"{folder}: found no bundle; fix: make the app again with pranet-monai label-app")
    for bundle in wanted:
        check_serves(bundle)
    return wanted


def weights_files(bundle: Bundle) -> list[str]:
    """Names of the weights in ``models/``; those of the last training come first, where there was one."""
    return [path.name for path in (TRAINED, WEIGHTS) if (bundle.folder / path).is_file()]


def weights_line(bundle: Bundle, name: str) -> str:
    """Which weights these are, for people."""
    if name != TRAINED.name:
        return f"the bundle's own weights, version {bundle.metadata.get('version')}"
    time = datetime.fromtimestamp((bundle.folder / TRAINED).stat().st_mtime)
    return f"weights trained here, {time:%Y-%m-%d %H:%M} ({TRAINED})"
