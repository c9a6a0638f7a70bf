# SPDX-License-Identifier: Apache-2.0
"""The page in a browser, opened from its folder: with many cases it stays quick, and sorts, filters and unfolds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pranet_monai.reports import CaseResult, MeasuredRow, RunReport

from tests.reports.rows import add_case, add_failure
from tests.reports.test_page import AFFINE, volume

pytestmark = pytest.mark.e2e

ORGANS = ("right_ventricle", "myocardium", "left_ventricle")
EVIL = "<img src=x onerror=document.title='broken'>'\"&</script><script>document.title='broken'</script>"


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A window that may reach nothing but files, and in which no script may fail."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda sent: troubles.extend([sent.url] * (not sent.url.startswith(("file:", "data:")))))
    yield page
    page.close()
    assert troubles == []


def open_report(page: Any, output: Path) -> float:
    """Opens the report of a run; seconds of the processor until its cases stand there, however busy the machine is."""
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.set_default_timeout(60_000)
    page.goto((output / "report" / "index.html").as_uri())
    page.wait_for_selector("tr.case")
    measured = {metric["name"]: metric["value"] for metric in tools.send("Performance.getMetrics")["metrics"]}
    return float(measured["TaskDuration"])


def shown(page: Any) -> list[str]:
    return page.eval_on_selector_all("tr.case", "rows => rows.map(row => row.dataset.case)")


def cells(page: Any, column: str) -> list[str]:
    return page.eval_on_selector_all(f"tr.case td[data-column={column}]", "cells => cells.map(cell => cell.innerText)")


def scored(number: int, rng: np.random.Generator) -> CaseResult:
    """A case as the runner gives it, with metrics; each tenth lacks an organ."""
    name, organs = f"site{number % 7}/case{number}", []
    for organ in ORGANS:
        missed = number % 10 == 0 and organ == "myocardium"
        dice = 0.0 if missed else float(rng.beta(20, 2))
        sizes = {"volume_ml": 100 * dice, "reference_volume_ml": 100.0, "voxels": 1000, "reference_voxels": 1000}
        scores = {
            "dice": dice,
            "iou": dice / (2 - dice),
            "hd95_mm": 40 * (1 - dice),
            "assd_mm": 9 * (1 - dice),
            "nsd": dice,
        }
        state = {"organ": organ, "status": "missed" if missed else "ok", "touches_border": number % 3 == 0}
        organs.append({**state, **scores, **sizes})
    return CaseResult(name, "ok", seconds=1.0, rows=[MeasuredRow(name, organs, has_reference=True)])


def report_of(folder: Path, count: int) -> RunReport:
    report, rng = RunReport(folder, "acdc", previews=False), np.random.default_rng(0)
    for number in range(count):
        report.add(CaseResult(f"bad{number}", "failed", "no voxels") if number % 10 == 1 else scored(number, rng))
    return report


@pytest.mark.parametrize("count", [3000, *(pytest.param(count, marks=pytest.mark.slow) for count in (20_000, 100_000))])
def test_many_cases_open_sort_and_filter(page: Any, tmp_path: Path, count: int) -> None:
    report = report_of(tmp_path, count)
    linked = report.paths.preview("site0/case0")
    linked.parent.mkdir(parents=True)
    Image.new("RGB", (30, 20)).save(linked)
    started = time.process_time()
    report.finish()
    assert time.process_time() - started < 120
    assert (tmp_path / "report" / "index.html").stat().st_size < 5e6
    assert 0 < open_report(page, tmp_path) < 3
    assert len(shown(page)) == 200, "rows in the page, of all these cases"
    assert page.inner_text("#count") == f"{count} of {count} cases; here are 1 to 200"

    means = [float(text) for text in cells(page, "mean")]
    assert means == sorted(means) and cells(page, "myocardium")[0].startswith("0.000"), "worst first"
    page.click("th[data-sort=left_ventricle] button")
    page.click("th[data-sort=left_ventricle] button")
    best = [float(text) for text in cells(page, "left_ventricle")]
    assert best == sorted(best, reverse=True) and best[0] > 0.99

    page.fill("#search", "SITE0 case70")
    wanted = {f"site0/case{n}" for n in range(0, count, 7) if n % 10 != 1 and str(n).startswith("70")}
    assert set(shown(page)) == wanted or len(shown(page)) == 200 < len(wanted)
    assert page.inner_text("#count").startswith(f"{len(wanted)} of {count} cases")
    page.fill("#search", "")
    page.select_option("#status", "failed")
    assert page.inner_text("#count").startswith(f"{count // 10} of {count} cases")
    page.click("th[data-sort=case] button")
    assert shown(page)[:3] == ["bad1", "bad11", "bad21"]
    page.click("#pager [data-step=last]")
    assert shown(page)[-1] == f"bad{count - 9}"
    page.select_option("#status", "missed")
    page.select_option("#organ", "myocardium")
    assert set(cells(page, "myocardium")) == {"0.000\nmissed"}
    assert page.inner_text("#count").startswith(f"{len(range(0, count, 10))} of {count} cases")

    page.fill("#search", "site0/case0")
    assert shown(page) == ["site0/case0"]
    page.click("tr.case button")
    assert page.eval_on_selector("tr.detail img", "image => image.decode().then(() => image.naturalWidth)") == 30
    page.fill("#search", "site0/case70")
    assert page.locator("tr.detail:not([hidden]) img").count() == 0, "no broken picture where none was drawn"


def test_few_cases_are_one_file(page: Any, tmp_path: Path) -> None:
    """The page alone, moved elsewhere, shows the pictures; names run nothing; the keyboard unfolds."""
    report = RunReport(tmp_path / "run", "acdc")
    image = np.random.default_rng(0).normal(100, 20, (24, 8, 4))
    add_case(report, "good", volume(1, 2, 3), AFFINE, image, reference=volume(1, 2, 3))
    add_case(report, "worst", volume(1), AFFINE, image, reference=volume(1, 2, 3))
    add_failure(report, EVIL, EVIL)
    report.finish({"note": EVIL})
    (tmp_path / "alone" / "report").mkdir(parents=True)
    shutil.copy(tmp_path / "run" / "report" / "index.html", tmp_path / "alone" / "report")
    open_report(page, tmp_path / "alone")
    assert shown(page) == ["worst", "good", EVIL]
    assert page.eval_on_selector("tr.detail img", "image => image.decode().then(() => image.naturalWidth)") > 300
    assert page.is_hidden("#pager")
    page.focus("tr.case[data-case=good] button")
    page.keyboard.press("Enter")
    good = page.locator("tr.detail").nth(1)
    assert good.locator("tbody tr").nth(2).inner_text().split("\t") == [
        *("left ventricle", "1.000", "1.000", "0.0", "0.00", "1.000", "0.6", "0.6", "")
    ]
    page.locator("tr.case button").nth(2).click()
    assert page.locator("tr.detail").nth(2).inner_text() == EVIL
    page.select_option("#measure", "volume_ml")
    assert shown(page) == [EVIL, "good", "worst"] and page.is_hidden("th[data-sort=mean]")
    page.locator("[data-open=worst]").first.dispatch_event("click")
    assert page.get_attribute("tr.case[data-case=worst] button", "aria-expanded") == "true"
    assert page.title() == "Segmentation report: acdc"


def test_a_page_that_lost_its_data_says_so(page: Any, tmp_path: Path) -> None:
    report_of(tmp_path, 300).finish()
    (tmp_path / "report" / "cases.js").unlink()
    page.goto((tmp_path / "report" / "index.html").as_uri())
    assert "cases.js must lie beside this page" in page.inner_text("#count")


def test_without_a_script_the_names_stand_there(browser: Any, tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", previews=False)
    add_case(report, "good", volume(1), AFFINE)
    add_failure(report, EVIL, "a reason")
    report.finish()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "report" / "index.html").as_uri())
    said = page.inner_text("#case-list")
    assert "good\tok" in said and f"{EVIL}\tfailed\ta reason" in said and "Show" not in said
    context.close()


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_but_tables_is_wider_than_the_window(browser: Any, tmp_path: Path, width: int) -> None:
    report_of(tmp_path, 300).finish()
    page = browser.new_page(viewport={"width": width, "height": 800})
    open_report(page, tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
