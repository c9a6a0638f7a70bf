# SPDX-License-Identifier: Apache-2.0
"""Draws README's picture, ``docs/images/overview.png``: what a run over a phantom leaves, the overlay and the page.

    pranet-monai phantom sample && pranet-monai segment sample results --bundle acdc
    python docs/_site/front_picture.py results

No patient's data is in it. Around the cards the picture is transparent, so that it suits light and dark pages.
"""

from __future__ import annotations

import argparse
from base64 import b64encode
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

PICTURE = Path(__file__).resolve().parents[1] / "images" / "overview.png"
CASE = "phantom001_ED"
SLICES = (450, 32, 900, 442)  # four of its picture, the two ventricles at their largest
CARDS = """<!doctype html>
<style>
body {{ margin: 0; padding: 4px; width: 1170px; position: relative }}
img {{ display: block; border-radius: 10px; border: 1px solid #8a94a0 }}
img + img {{ position: absolute; right: 4px; bottom: 4px; height: 340px }}
</style>
<body><img src="data:image/png;base64,{page}"><img src="data:image/png;base64,{overlay}">
"""


def draw(results: Path, chromium: str | None) -> None:
    """Puts the picture of one case beside the page of all."""
    (overlay,) = (results / "report" / "previews").rglob(f"{CASE}.png")
    slices = BytesIO()
    Image.open(overlay).crop(SLICES).save(slices, "png")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = _top_of_page(browser, (results / "report" / "index.html").resolve())
        view = browser.new_page(viewport={"width": 1800, "height": 800})
        cards = {"page": page, "overlay": slices.getvalue()}
        view.set_content(CARDS.format(**{name: b64encode(png).decode() for name, png in cards.items()}))
        view.locator("body").screenshot(path=PICTURE, omit_background=True)
        browser.close()
    Image.open(PICTURE).save(PICTURE, optimize=True)


def _top_of_page(browser: Browser, path: Path) -> bytes:
    view = browser.new_page(viewport={"width": 1120, "height": 655}, color_scheme="light")
    view.goto(path.as_uri())
    view.wait_for_timeout(500)
    return view.screenshot()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="output folder of the run")
    parser.add_argument("--chromium", help="a Chromium of this machine (default: playwright's own)")
    arguments = parser.parse_args()
    draw(arguments.results, arguments.chromium)
