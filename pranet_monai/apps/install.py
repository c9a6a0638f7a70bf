# SPDX-License-Identifier: Apache-2.0
"""A bundle from a zip or a folder into the user's data folder, where every command finds it by name."""

from __future__ import annotations

import argparse

from pranet_monai.bundle_store import all_bundles, install_bundle

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Installs and says what to type from now on."""
    bundle = install_bundle(args.source, args.force)
    print(f"installed: {bundle.folder}")
    print("The zip's own copy of the code was left out: the installed pranet_monai runs it.")
    (first,) = (known for known in all_bundles() if known.name == bundle.name)
    if first.folder != bundle.folder:
        print(f"But --bundle {bundle.short_name} still means {first.folder}, which is found first ({first.place}).")
    elif bundle.weights:
        print(f"use: pranet-monai segment INPUT OUTPUT --bundle {bundle.short_name}")
    else:
        print("It holds no weights: pranet-monai info bundles says how to get them.")
    return 0
