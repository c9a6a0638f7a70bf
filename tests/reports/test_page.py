# SPDX-License-Identifier: Apache-2.0
"""The page holds what was measured, is one file where cases are few, and can't be broken by a name."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pranet_monai.apps.bundle_run import finish_run
from pranet_monai.reports import CaseResult, RunReport, create_kind
from pranet_monai.reports.charts import box_plot
from pranet_monai.reports.markup import Markup, element, join
from pranet_monai.reports.measures import METRICS

from tests.reports.rows import add_case, add_failure

AFFINE = np.diag([2.0, 2.0, 5.0, 1.0])
VOID = {"br", "img", "input", "link", "meta", "line", "rect", "circle"}
DICE = next(measure for measure in METRICS if measure.key == "dice")


class Page(HTMLParser):
    """Collects elements and checks that they nest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID or (tag == "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text.append(data.strip())

    @property
    def data(self) -> dict[str, Any]:
        """What the script draws the cases from."""
        (script,) = [script for script in self.scripts if script.startswith("var caseData")]
        return data_of(script)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]


def data_of(script: str) -> dict[str, Any]:
    return json.loads(json.loads(script.removeprefix("var caseData = ").rstrip(";\n")))


def volume(*labels: int) -> np.ndarray:
    """One block of 4 × 4 × 2 voxels per label, none touching the border."""
    mask = np.zeros((24, 8, 4), np.uint8)
    for label in labels:
        mask[2 + 7 * (label - 1) : 6 + 7 * (label - 1), 2:6, 1:3] = label
    return mask


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("run")
    report = RunReport(folder, "acdc")
    image = np.random.default_rng(0).normal(100, 20, (24, 8, 4))
    add_case(report, "good", volume(1, 2, 3), AFFINE, image, reference=volume(1, 2, 3))
    add_case(report, "worst", volume(1), AFFINE, image, reference=volume(1, 2, 3))
    add_case(report, "middle", volume(1, 2), AFFINE, image, reference=volume(1, 2, 3))
    add_failure(report, "<b>evil</b>", "a & b < c")
    report.finish({"options": {"note": "</script><script>alert(1)</script>"}})
    return Page(folder / "report" / "index.html")


def test_data_hold_every_case_in_natural_order(tmp_path: Path, evaluated: Page) -> None:
    assert evaluated.data["cases"] == ["<b>evil</b>", "good", "middle", "worst"]
    assert evaluated.data["status"] == ["failed", "ok", "ok", "ok"]
    assert evaluated.data["texts"] == {"0": {"reason": "a & b < c"}}
    report = RunReport(tmp_path, "acdc", previews=False)
    for name in ("Case10", "case9", "b/case10", "1"):
        add_case(report, name, volume(3), AFFINE)
    report.finish()
    assert Page(tmp_path / "report" / "index.html").data["cases"] == ["1", "b/case10", "case9", "Case10"]


def test_page_is_one_file(evaluated: Page) -> None:
    none, *pictures = evaluated.data["pictures"]
    assert none is None and len(pictures) == 3
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in pictures)
    for tag in ("script", "link", "img"):
        for found in evaluated.all(tag):
            assert not (found.get("src") or found.get("href") or "data:").startswith(("http", "/", "."))


def test_names_and_options_are_escaped(evaluated: Page) -> None:
    assert "<b>evil</b>" in evaluated.text
    assert "a & b < c" in evaluated.text
    assert not evaluated.all("b", **{"class": "evil"})
    assert len(evaluated.all("script")) == 2, "the data and what draws them"
    assert not any("<" in script for script in evaluated.scripts if script.startswith("var caseData"))


def test_data_hold_every_measure(evaluated: Page) -> None:
    _, good, middle, worst = range(4)
    values = {key: columns["left_ventricle"] for key, columns in evaluated.data["values"].items()}
    assert (values["dice"][good], values["volume_ml"][good]) == (1, 0.64)
    assert evaluated.data["reference"]["values"]["left_ventricle"][good] == 0.64
    assert values["dice"][worst] == 0
    assert evaluated.data["flags"]["left_ventricle"]["missed"] == [middle, worst]
    assert values["hd95_mm"][middle] == pytest.approx(np.sqrt(48**2 + 16**2 + 20**2), abs=1e-3)
    assert all(column[0] is None for column in values.values()), "of the failed case"


def test_mean_of_a_case_counts_its_missed_organs(evaluated: Page) -> None:
    assert evaluated.data["values"]["dice"]["mean"] == [None, 1, pytest.approx(2 / 3, abs=1e-5), 0.33333]
    assert "mean" not in evaluated.data["values"]["volume_ml"], "neither way is better"


def test_infinite_and_undefined_distances_are_told_apart(tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", kind=create_kind("volume", missed="inf"), previews=False)
    add_case(report, "a", volume(1), AFFINE, reference=volume(1, 3))
    report.finish()
    values = Page(tmp_path / "report" / "index.html").data["values"]["hd95_mm"]
    assert values == {
        "right_ventricle": [0],
        "myocardium": [None],
        "left_ventricle": ["Infinity"],
        "mean": ["Infinity"],
    }


def test_many_cases_lie_beside_the_page(tmp_path: Path) -> None:
    """As a script, for a page opened from a folder may read nothing else; one that a smaller run doesn't leave."""
    report = RunReport(tmp_path, "acdc", previews=False)
    measured = report.measurer.measure("", volume(1, 2), AFFINE)
    for number in range(500):
        bad = number % 2 == 1
        rows = [] if bad else [replace(measured, name=f"c{number}")]
        report.add(CaseResult(f"c{number}", "failed" if bad else "ok", "bad" * bad, rows=rows))
    report.finish({"note": list(range(1000))})
    page = Page(tmp_path / "report" / "index.html")
    assert page.all("script", src="cases.js") and len(page.all("script")) == 2
    data = data_of((tmp_path / "report" / "cases.js").read_text())
    assert data["cases"] == [f"c{number}" for number in range(500)] and data["pictures"] is None
    assert len(page.all("tr")) == 1 + 3 + 1 + 100 + 1, "organs, the first failures, headings"
    assert "The first 100 of 250; all are in the table of cases below, by their status." in page.text
    assert '"note": "1000 entries, see run.json"' in " ".join(page.text)
    assert json.loads((tmp_path / "report" / "run.json").read_text())["note"] == list(range(1000))
    RunReport(tmp_path, "acdc")
    assert not (tmp_path / "report" / "cases.js").exists()


def test_filters_are_labelled(evaluated: Page) -> None:
    assert {found["id"] for found in evaluated.all("select")} == {"status", "organ", "measure"}
    assert len(evaluated.all("label")) == 4
    values = {found["value"] for found in evaluated.all("option")}
    assert {"ok", "failed", "missed", "left_ventricle", "hd95_mm", "volume_ml"} <= values


def test_definitions_stand_on_the_page(evaluated: Page) -> None:
    text = " ".join(evaluated.text)
    assert len(evaluated.all("dt")) == len(evaluated.all("dd")) > 15
    assert "pooled: 95th percentile" in text
    assert "diagonal of the volume" in text


def test_page_without_references_shows_volumes(tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", previews=False)
    add_case(report, "a", volume(3), AFFINE)
    report.finish()
    page = Page(tmp_path / "report" / "index.html")
    assert "Volumes per organ" in page.text
    assert not [option for option in page.all("option") if option["value"] in ("dice", "missed")]
    assert page.data["values"]["volume_ml"]["left_ventricle"] == [0.64]
    assert page.data["reference"] is None


def test_paper_numbers_have_a_table_of_their_own(tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", kind=create_kind("volume", protocol="paper"), previews=False)
    add_case(report, "a", volume(1), AFFINE, reference=volume(1, 3))
    report.finish()
    page = Page(tmp_path / "report" / "index.html")
    assert "The same masks by the papers' protocol" in page.text
    assert "HD95 (paper), voxels" in page.text


def test_page_of_an_empty_run_is_whole(tmp_path: Path) -> None:
    RunReport(tmp_path, "acdc").finish()
    assert "No case was processed." in Page(tmp_path / "report" / "index.html").text


def test_markup_escapes_text_and_keeps_markup() -> None:
    inner = element("b", "x < y")
    assert inner == "<b>x &lt; y</b>"
    assert element("p", inner, 1, class_="a", hidden=True, title=None) == '<p class="a" hidden><b>x &lt; y</b>1</p>'
    assert element("line", x1=0, aria_label='"') == '<line x1="0" aria-label="&quot;"/>'
    assert join("<", Markup("<br/>")) == "&lt;<br/>"


def test_box_plot_draws_quartiles_where_numpy_puts_them() -> None:
    values = [("a", 0.5), ("b", 0.6), ("c", 0.7), ("d", 0.8), ("e", 1.0)]
    svg = box_plot(DICE, {"left_ventricle": values}, {"left_ventricle": "red"})
    # the axis runs from 0.5 at x = 128 to 1 at x = 504; quartiles 0.6 and 0.8
    assert 'class="box"' in svg
    assert f'x="{128 + 376 * 0.2:.1f}"' in svg
    assert f'width="{376 * 0.4:.1f}"' in svg
    assert svg.count("<circle") == 5


def test_box_plot_of_many_shows_who_stands_apart() -> None:
    """0.4 to 0.6 evenly: the whiskers reach all of them, but not the two far below and the one far above."""
    values = [(f"c{i}", 0.4 + 0.2 * i / 999) for i in range(1000)] + [("low", 0.0), ("lower", -0.1), ("high", 1.0)]
    svg = box_plot(DICE, {"left_ventricle": values}, {"left_ventricle": "red"})
    assert re.findall('data-open="(.*?)"', svg) == ["lower", "low", "high"]


def test_assets_are_packaged() -> None:
    config = ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg")
    assert "reports/assets/*" in config["options.package_data"]["pranet_monai"]


def test_remarks_are_shown_and_can_be_filtered(tmp_path: Path) -> None:
    report = RunReport(tmp_path, "acdc", previews=False)
    measured = report.measurer.measure("a", volume(1), AFFINE)
    report.add(CaseResult("a", "ok", rows=[measured], remarks=["first <b>", "second"]))
    add_case(report, "plain", volume(1), AFFINE)
    report.add(CaseResult("bad", "failed", "no voxels", remarks=["third"]))
    report.finish()
    page = Page(tmp_path / "report" / "index.html")
    a, bad, _ = range(3)
    assert page.data["texts"][str(a)] == {"remark": "first <b>; second"}
    assert page.data["texts"][str(bad)] == {"reason": "no voxels", "remark": "third"}
    assert page.data["flags"][""] == {"remark": [a, bad]}
    assert page.all("option", value="remark")


def test_without_remarks_there_is_no_filter_for_them(evaluated: Page) -> None:
    assert not evaluated.all("option", value="remark")


def test_files_that_are_no_cases_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a.nii.gz", "b.vtk", "c.vtk"):
        (tmp_path / "data" / name).write_bytes(b"")
    report = RunReport(tmp_path / "out", "acdc", previews=False, dataset_dir=tmp_path / "data")
    add_case(report, "a", volume(1), AFFINE)
    finish_run(report, {})
    sentence = "left out: 2 .vtk files (b.vtk, c.vtk): of no kind that this run reads"
    assert capsys.readouterr().err == sentence + "\n"
    assert sentence in Page(tmp_path / "out" / "report" / "index.html").text
    run = json.loads((tmp_path / "out" / "report" / "run.json").read_text())
    assert run["left_out"] == {".vtk": ["b.vtk", "c.vtk"]}
