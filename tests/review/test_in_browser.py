# SPDX-License-Identifier: Apache-2.0
"""A reviewer's hour in a browser: look, step, toggle, accept, reject, say why; without any other host."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pranet_monai.data.phantom import write_phantom
from pranet_monai.forms.reviews import Review, Reviews
from pranet_monai.storage.tables import read_csv

from tests.review.browser import SIZE, served, wait_for
from tests.review.runs import finished_run

pytestmark = pytest.mark.e2e


def opened(browser: Any, address: str, troubles: list[str]) -> Any:
    """The page, which may ask nobody but its server, and in which no script may fail."""
    page = browser.new_page(viewport=SIZE)
    page.set_default_timeout(60_000)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.extend([said.text] * (said.type == "error")))
    own = (address, "data:", "blob:")
    page.on("request", lambda sent: troubles.extend([sent.url] * (not sent.url.startswith(own))))
    page.goto(address)
    return page


def picture(page: Any) -> np.ndarray:
    page.wait_for_timeout(700)
    return np.asarray(Image.open(io.BytesIO(page.locator("#view").screenshot())).convert("RGB")).astype(int)


def difference(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the pixels that are clearly another colour."""
    return float((np.abs(before - after).max(axis=2) > 20).mean())


def test_volumes_by_keyboard(browser: Any, tmp_path: Path) -> None:
    write_phantom(tmp_path / "in", 2)
    finished_run(tmp_path / "in", tmp_path / "out")
    troubles: list[str] = []
    with served(tmp_path / "out") as server:
        page = opened(browser, server.address, troubles)
        order = [server.run.listing["cases"][index] for index in server.run.listing["order"]]
        assert wait_for(page) == order[0]
        with_mask = picture(page)
        assert with_mask.std() > 10 and len(np.unique(with_mask.reshape(-1, 3), axis=0)) > 100, "not blank"
        colourful = with_mask.max(axis=2) - with_mask.min(axis=2) > 40
        page.keyboard.press("m")
        without = picture(page)
        assert difference(with_mask, without) > 0.02 and colourful.mean() > 0.02
        assert (without.max(axis=2) - without.min(axis=2) < 12).mean() > 0.99, "the image alone is grey"
        page.keyboard.press("e")
        reference = picture(page)
        assert difference(without, reference) > 0.005 and difference(with_mask, reference) > 0.02
        page.keyboard.press("e")
        assert difference(with_mask, picture(page)) < 0.001, "mask and reference by turns"
        page.keyboard.press("q")
        assert difference(with_mask, picture(page)) > 0.05
        page.keyboard.press("q")
        page.keyboard.press("1")
        assert difference(with_mask, picture(page)) > 0.05, "one plane"

        page.keyboard.press("r")
        page.keyboard.type("leaks at the apex, a bit")
        page.keyboard.press("Enter")
        assert wait_for(page, order[1]) == order[1]
        page.keyboard.press("a")
        wait_for(page, order[2])
        page.keyboard.press("c")
        page.keyboard.type("only a remark")
        page.locator("#cases button").nth(3).click()
        wait_for(page, order[3])
        page.keyboard.press("p")
        wait_for(page, order[2])
        said = Reviews(tmp_path / "out/report")
        assert [said.get(case) for case in order] == [
            *(Review("rejected", "leaks at the apex, a bit"), Review("accepted", ""), Review("", "only a remark")),
            Review("", ""),
        ]
        assert page.inner_text("#progress") == "4 cases: 1 accepted, 1 rejected, 2 without a verdict"
        page.select_option("#filter", "rejected")
        assert page.locator("#cases button").all_text_contents() == [order[0]], "rows need not be painted yet"
        page.close()
        page = opened(browser, server.address, troubles)  # as after a break
        assert wait_for(page) == order[2], "the first one without a verdict"
        page.close()
    assert troubles == []
    assert [row["case"] for row in read_csv(tmp_path / "out/report/review.csv")] == order[:3]
    assert "rejected by a reviewer" in (tmp_path / "out/report/index.html").read_text()


def test_a_broken_file_and_a_lost_server_are_told(browser: Any, tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 5, 3), np.int16), np.eye(4))
    (tmp_path / "in").mkdir()
    nib.save(image, tmp_path / "in/a.nii.gz")
    finished_run(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in/a.nii.gz").write_bytes(b"nothing")
    with served(tmp_path / "out") as server:
        page = opened(browser, server.address, [])
        page.wait_for_selector("#trouble:not([hidden])")
        assert "a.nii.gz" in page.inner_text("#trouble")
    page.keyboard.press("a")
    page.wait_for_selector("#trouble >> text=not saved")
    page.close()
    assert set(Reviews(tmp_path / "out/report")) == set()


def test_images_in_colour(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "in/images").mkdir(parents=True)
    pixels = np.full((60, 80, 3), (200, 60, 60), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in/images/a.png")
    finished_run(tmp_path / "in", tmp_path / "out", "image", "polyp")
    troubles: list[str] = []
    with served(tmp_path / "out") as server:
        page = opened(browser, server.address, troubles)
        assert wait_for(page) == "images/a"
        with_mask = picture(page)
        page.keyboard.press("m")
        without = picture(page)
        assert difference(with_mask, without) > 0.1
        assert (np.abs(without - (200, 60, 60)).max(axis=2) < 6).mean() > 0.5
        page.keyboard.press("a")
        page.wait_for_selector("#cases button[data-verdict=accepted]")
        page.close()
    assert troubles == [] and Reviews(tmp_path / "out/report").get("images/a").verdict == "accepted"
