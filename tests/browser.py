# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, whose graphics card is software."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright import sync_api as playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


class NoBrowserError(Exception):
    """There is no Chromium, or it doesn't start."""


@contextmanager
def chromium() -> Iterator[Any]:
    """This machine's own, else playwright's.

    Raises:
        NoBrowserError: there is neither.
    """
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    with playwright.sync_playwright() as play:
        try:
            browser = play.chromium.launch(executable_path=found, args=_ARGUMENTS)
        except playwright.Error as error:
            raise NoBrowserError(str(error)) from error
        yield browser
        browser.close()
