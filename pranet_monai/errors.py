# SPDX-License-Identifier: Apache-2.0
"""The two ways a run can go wrong through its input, told apart because they end differently."""


class UsageError(ValueError):
    """The whole command can't start (wrong folder, missing weights, unwritable output): exit code 2."""


class BadCaseError(ValueError):
    """One case can't be read or processed: its row in the report fails, the other cases go on, exit code 1."""
