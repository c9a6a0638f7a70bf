# SPDX-License-Identifier: Apache-2.0
"""Which cases a reviewer sees, in which order, and what becomes of what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import LABEL_MAPS
from pranet_monai.engines.case_dataset import FINISHED_ROWS, CaseDataset
from pranet_monai.errors import UsageError
from pranet_monai.forms import form_of
from pranet_monai.forms.reviews import Review, Reviews
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.reports import RunReport
from pranet_monai.review import ReviewedRun
from pranet_monai.storage.tables import CaseTable, read_csv

from tests.data.samples import write_nifti
from tests.review.runs import finished_run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, name in enumerate(("a", "sub/b", "c")):
        write_nifti(tmp_path / f"in/{name}.nii.gz", np.full((4, 5, 3), number, np.int16), np.eye(4))
    return tmp_path / "in"


@pytest.fixture
def output(images: Path, tmp_path: Path) -> Path:
    finished_run(images, tmp_path / "out")
    return tmp_path / "out"


def change(table: Path, **columns: dict[str, object]) -> None:
    """Sets cells: column → case → value."""
    rows = read_csv(table)
    for column, values in columns.items():
        for row in rows:
            row[column] = values[row["case"]]
    new = CaseTable(table, list(rows[0]))
    for row in rows:
        new.put(row["case"], [row])


def test_the_doubtful_come_first(output: Path) -> None:
    expected = {"a": 0.7, "c": 0.9, "sub/b": 0.8}
    organs = {f"expected_dice_{organ}": expected for organ in LABEL_MAPS["acdc"].organs}
    change(output / "report/cases.csv", review=dict.fromkeys(expected, False) | {"c": True}, **organs)
    listing = ReviewedRun(output).listing
    assert [listing["cases"][index] for index in listing["order"]] == ["c", "a", "sub/b"]


def test_failed_cases_and_lost_masks_are_left_out(output: Path) -> None:
    change(output / "report/cases.csv", status={"a": "failed", "c": "ok", "sub/b": "ok"})
    (output / "c_seg.nii.gz").unlink()
    assert ReviewedRun(output).listing["cases"] == ["sub/b"]


def test_both_folders_may_move_together(images: Path, output: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for folder in (images, output):
        shutil.move(folder, tmp_path / "elsewhere" / folder.name)
    run = ReviewedRun(tmp_path / "elsewhere/out")
    assert run["sub/b"].available == ["image", "mask", "unsure"]
    assert str(tmp_path) not in (tmp_path / "elsewhere/out/.cases.json").read_text()


def test_images_that_moved_alone_are_named(images: Path, output: Path, tmp_path: Path) -> None:
    images.rename(tmp_path / "new")
    assert "image" not in ReviewedRun(output)["a"].available
    run = ReviewedRun(output.rename(tmp_path / "out2"), tmp_path / "new")
    assert "image" in run["a"].available


def test_what_is_said_is_on_disk_at_once(output: Path) -> None:
    run = ReviewedRun(output)
    run.put("sub/b", "rejected", "007  \n the\tapex ")
    run.put("a", "accepted", "")
    run.put("c", "", "=HYPERLINK(1)")
    table = output / "report/review.csv"
    assert [row["case"] for row in read_csv(table)] == ["sub/b", "a", "c"]
    said = Reviews(output / "report")
    assert said.get("sub/b") == Review("rejected", "007 the apex") and said.get("c") == Review("", "=HYPERLINK(1)")
    assert "'=HYPERLINK" in table.read_text()
    run.put("a", "", "")
    assert set(Reviews(output / "report")) == {"sub/b", "c"}
    assert Reviews(output / "report").get("a") == Review("", "")


def test_a_table_changed_often_has_no_empty_lines_in_the_end(output: Path) -> None:
    """A spreadsheet would show each of them as a row."""
    run = ReviewedRun(output)
    for verdict in ("accepted", "rejected", "", "accepted"):
        run.put("a", verdict, "")  # type: ignore[arg-type]
    run.close()
    text = (output / "report" / "review.csv").read_text()
    assert text.count("\n") == 2 and "\na,accepted," in text


def test_characters_that_no_file_can_hold_are_left_out(output: Path) -> None:
    """Half of an emoji, as a text field cuts it off at its longest, and a NUL, that older Pythons can't read."""
    run = ReviewedRun(output)
    assert (
        run.put("a", "accepted", "g\u00fct \ud83d\0 \u0645\u06cc\u200c\u062e").comment
        == "g\u00fct \u0645\u06cc\u200c\u062e"
    )
    run.put("c", "rejected", "")
    run.close()
    assert set(Reviews(output / "report")) == {"a", "c"}


def test_another_mask_wants_a_new_look(images: Path, output: Path) -> None:
    """The same mask made again keeps its review; a new run never throws reviews away."""
    run = ReviewedRun(output)
    for case in ("a", "c"):
        run.put(case, "accepted", "fine")
    finished_run(images, output, seed=0)
    assert not Reviews(output / "report").get("a").is_outdated
    finished_run(images, output, seed=1)
    assert Reviews(output / "report").get("a") == Review("accepted", "fine", is_outdated=True)


def test_resume_does_rejected_cases_again(images: Path, output: Path) -> None:
    run = ReviewedRun(output)
    run.put("a", "rejected", "")
    run.put("c", "accepted", "")

    def finished() -> set[str]:
        items = find_cases(images, output_dir=output)
        done = CaseDataset(items, lambda item: item, output, resume=True, label_map="acdc")
        return {item["case"] for item in (done[index] for index in range(len(done))) if FINISHED_ROWS in item}

    assert finished() == {"c", "sub/b"}
    finished_run(images, output, seed=1, resume=True)
    assert finished() == {"a", "c", "sub/b"}, "the new mask of a wasn't rejected"


def test_a_rejected_frame_has_its_cine_done_again(tmp_path: Path) -> None:
    write_nifti(tmp_path / "in/x.nii.gz", np.zeros((4, 5, 3, 2), np.int16), np.eye(4))
    finished_run(tmp_path / "in", tmp_path / "out")
    ReviewedRun(tmp_path / "out").put("x_frame02", "rejected", "")
    (item,) = find_cases(tmp_path / "in", output_dir=tmp_path / "out")
    folder = RunFolder(tmp_path / "out")
    assert folder.finished_mask(item, form_of(item), LABEL_MAPS["acdc"]) is None


def test_the_report_shows_what_was_said(output: Path) -> None:
    run = ReviewedRun(output)
    run.put("a", "rejected", "leaks <b>")
    run.put("c", "accepted", "")
    run.close()
    page = (output / "report/index.html").read_text()
    data = json.loads(json.loads(page.partition("var caseData = ")[2].partition(";\n")[0]))
    assert data["flags"][""] == {"accepted": [1], "rejected": [0]}
    assert data["texts"]["0"] == {"comment": "leaks <b>"}
    assert "rejected by a reviewer" in page


def test_two_reviewers_would_overwrite_each_other(output: Path) -> None:
    first = ReviewedRun(output)
    with pytest.raises(UsageError, match="already open for review"):
        ReviewedRun(output)
    first.close()
    ReviewedRun(output).close()


def test_folders_that_are_no_run(tmp_path: Path, output: Path) -> None:
    with pytest.raises(UsageError, match="found no .cases.json"):
        ReviewedRun(tmp_path)
    (output / ".cases.json").write_text("{}")
    with pytest.raises(UsageError, match="can't be read"):
        ReviewedRun(output)


def test_shards_leave_one_list(images: Path, tmp_path: Path) -> None:
    """All of them find all cases; the first one writes the list, so that no two write at once."""
    items = find_cases(images)
    for shard in ("2/2", "1/2"):
        report = RunReport(tmp_path / "out", "acdc", dataset_dir=images, items=items, shard=shard)
        assert (tmp_path / "out/.cases.json").is_file() == (shard == "1/2")
        report.finish()
