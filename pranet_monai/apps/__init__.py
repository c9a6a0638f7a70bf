# SPDX-License-Identifier: Apache-2.0
"""The logic behind each command; every module has ``add_arguments(parser)`` and ``run(args)``, and can be called from Python."""
