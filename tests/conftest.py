# SPDX-License-Identifier: Apache-2.0
"""Fixtures for every test: calm threads, and the optional folder of real volumes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

TEST_DATA_VARIABLE = "PRANET_MONAI_TEST_DATA"


def pytest_configure() -> None:
    """One thread here and in the commands that tests start: small tensors gain nothing from more, and waiting threads
    eat a busy machine's time."""
    torch.set_num_threads(int(os.environ.setdefault("OMP_NUM_THREADS", "1")))
    # a shell ignores Ctrl-C for what it starts in the background, and the commands that tests start would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real labelled volumes, which the project may not contain; tests that want it skip without it."""
    folder = os.environ.get(TEST_DATA_VARIABLE)
    if not folder:
        pytest.skip(f"set {TEST_DATA_VARIABLE} to a folder of real volumes to run this test")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"{TEST_DATA_VARIABLE}={folder} is not a folder")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium; tests that want it skip without one."""
    from tests.browser import NoBrowserError, chromium

    try:
        with chromium() as found:
            yield found
    except NoBrowserError:
        pytest.skip("finds no Chromium (apt install chromium, or playwright install chromium)")


class SignalStack(ctypes.Structure):
    """``stack_t`` of Linux."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


NO_STACK = SignalStack(None, 2, 0)  # SS_DISABLE


@pytest.fixture(autouse=True)
def no_handler_of_ended_children() -> Iterator[None]:
    """A data loader with workers handles SIGCHLD for the rest of the process. Once some library has let go of the stack
    that Python's handlers run on, the next child that ends would end the whole test run by a segmentation fault."""
    if sys.platform == "linux":  # handlers run on the stack that all else runs on
        ctypes.CDLL(None).sigaltstack(ctypes.byref(NO_STACK), None)
    yield
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
