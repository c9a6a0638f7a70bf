# SPDX-License-Identifier: Apache-2.0
"""``python -m pranet_monai COMMAND``: exit code 0 all good, 1 some cases failed, 2 wrong use."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from pranet_monai import __version__
from pranet_monai.errors import UsageError

__all__ = ["main"]

# command → module in pranet_monai.apps, and what the list of commands says of it
COMMANDS = {
    "evaluate": ("evaluate", "measure masks of any origin against expert labels"),
    "compare": ("compare", "test whether two evaluations of the same cases differ"),
    "build-bundles": ("build_bundles", "write the bundles' configs from their fragments"),
    "import-checkpoint": ("import_checkpoint", "turn the authors' checkpoint into a bundle's weights"),
    "bundle-weights": ("bundle_weights", "put trained weights into a bundle, checked and with their hash"),
    "info": ("info", "list networks and backbones with sizes, checkpoints and licences"),
    "check-data": ("check_data", "say what of a data set is missing or odd, and how to get it"),
    "phantom": ("phantom", "draw a sample of cardiac MR volumes with labels, no patient data"),
    "pack": ("pack", "make one zip of a bundle that runs where this package isn't installed"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: of the command line, by default those of the process.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m pranet_monai",
        description="Segmentation networks with reverse attention for MONAI: evaluation and tools.",
        epilog="Segmenting itself is done by a bundle: python -m monai.bundle run, see README.md.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if given[:1] == [name]:  # only the module of this command is imported: --help of the rest stays instant
            app = import_module(f"pranet_monai.apps.{module}")
            app.add_arguments(command)
            command.set_defaults(run=app.run)
    args = parser.parse_args(given)
    try:
        return int(args.run(args))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; finished cases are kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
