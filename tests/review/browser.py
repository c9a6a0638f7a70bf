# SPDX-License-Identifier: Apache-2.0
"""A review in a browser.

``python -m tests.review.browser RESULTS docs/images/view.png`` takes the picture for the docs, of a run of README's
sample with ``--quality-map``; with ``--dark`` it takes ``view_dark.png``.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pranet_monai.review import ReviewedRun, ReviewServer

from tests.browser import chromium

SIZE = {"width": 1280, "height": 800}


@contextmanager
def served(output: Path, **options: Any) -> Iterator[ReviewServer]:
    run = ReviewedRun(output)
    with ReviewServer(run, **options) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            run.close()


def wait_for(page: Any, case: str | None = None) -> str:
    """Until a case stands there whole; its name."""
    wanted = '[data-shown]:not([data-shown=""])' if case is None else f"[data-shown='{case}']"
    page.wait_for_selector(f"body{wanted}", state="attached", timeout=180_000)
    page.wait_for_timeout(500)  # NiiVue draws with the next picture of the screen
    return str(page.get_attribute("body", "data-shown"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dark", action="store_true")
    args = parser.parse_args()
    with chromium() as browser, served(args.results) as server:
        page = browser.new_page(viewport=SIZE, color_scheme="dark" if args.dark else "light")
        page.goto(server.address)
        wait_for(page)
        page.screenshot(path=args.picture)


if __name__ == "__main__":
    main()
