# SPDX-License-Identifier: Apache-2.0
"""Where servers of the tests listen."""

from __future__ import annotations

import socket


def free_port() -> int:
    """One of 127.0.0.1 on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
