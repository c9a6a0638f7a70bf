# SPDX-License-Identifier: Apache-2.0
"""The logic behind each command, callable from Python; a command's module has ``add_arguments`` and ``run``."""
