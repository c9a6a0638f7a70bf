# SPDX-License-Identifier: Apache-2.0
"""What each command asks for, apart from what it does, so that ``--help`` and completion load nothing heavy.

A command ``check-data`` is two modules of one name: here ``commands/check_data.py`` with ``SUMMARY``, ``EXAMPLE`` and
``add_arguments(parser)``, which may import nothing beyond the standard library and the light modules of this package,
and ``apps/check_data.py`` with ``run(args) -> int``, which is imported when the command runs.
"""

COMMANDS = (
    "segment",
    "merge",
    "view",
    "new-bundle",
    "train",
    "evaluate",
    "compare",
    "info",
    "install",
    "calibrate",
    "check-data",
    "phantom",
    "pack",
    "export",
    "label-app",
    "import-checkpoint",
    "bundle-weights",
    "build-bundles",
)
"""In the order in which the list of commands shows them."""
