# SPDX-License-Identifier: Apache-2.0
"""The logic behind each command, callable from Python; ``run(args)`` gives its exit code, see ``commands``."""
