# SPDX-License-Identifier: Apache-2.0
"""``pranet-monai COMMAND``, or ``python -m pranet_monai``: exit code 0 all good, 1 some cases failed, 2 wrong use.

130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from pranet_monai import __version__
from pranet_monai.apps.endings import exit_code_of, stoppable
from pranet_monai.apps.streams import lasting_streams, unprinted
from pranet_monai.commands import COMMANDS
from pranet_monai.errors import UsageError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: of the command line, by default those of the process.

    Returns:
        The exit code.
    """
    with lasting_streams():
        code = _run(arguments)
        if error := unprinted():
            print(f"error: what this command prints can't be written ({error.strerror})", file=sys.stderr)
        return 1 if error and code == 0 else code


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what could come next
        import argcomplete

        argcomplete.autocomplete(parser)
    args = parser.parse_args(arguments)
    _share_the_cores()
    try:
        with stoppable():
            app = import_module(f"pranet_monai.apps.{_module(args.command)}")
            return int(app.run(args))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:  # outside of the work itself, which says what is kept
        print("\nstopped", file=sys.stderr)
        return exit_code_of(stop)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as for all wrong use; argparse would show the usage of all options above it."""
        self.exit(2, f"error: {' '.join(message.split())}; help: {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pranet-monai",
        description="Segment volumes and images with bundles, evaluate masks, train and share bundles.",
        epilog="Help of a command: pranet-monai COMMAND --help",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        about = import_module(f"pranet_monai.commands.{_module(name)}")
        command = commands.add_parser(
            name,
            help=about.SUMMARY,
            description=f"{about.SUMMARY[0].upper()}{about.SUMMARY[1:]}.",
            epilog=f"example:\n  {about.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        about.add_arguments(command)
    return parser


def _share_the_cores() -> None:
    """GNU OpenMP's threads spin at most microseconds for each other, unless the user has said otherwise.

    Their own default is milliseconds: beside another program that keeps the cores busy, nearly all time goes into
    spinning for a thread that isn't running. OpenMP reads the variable when torch loads it, and so must find it before.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "3000"  # on a quiet machine as fast as their default; 1000 isn't


def _module(command: str) -> str:
    return command.replace("-", "_")


if __name__ == "__main__":
    sys.exit(main())
