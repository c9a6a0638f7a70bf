# SPDX-License-Identifier: Apache-2.0
"""Shards share one output folder; merging is by case and can be done at any time, and twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from pranet_monai.__main__ import main
from pranet_monai.data.labels import get_label_map, stated_label_map
from pranet_monai.errors import UsageError
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.forms.shard import Shard
from pranet_monai.reports import RunReport, create_kind
from pranet_monai.reports.shards import settings_of_shards, unfinished_shards
from pranet_monai.storage.tables import Row, read_csv

from tests.reports.rows import add_case, add_failure, skip
from tests.reports.test_page import AFFINE, volume

CASES = [f"case{number}" for number in range(1, 8)]


def mask_of(case: str) -> np.ndarray:
    return volume(*range(1, 1 + int(case[-1]) % 4))


def do(report: RunReport, cases: list[str]) -> None:
    image = np.zeros((24, 8, 4))
    for case in cases:
        if case == "case6":
            add_failure(report, case, "no voxels")
        else:
            add_case(report, case, mask_of(case), AFFINE, image, reference=volume(1, 2), seconds=1.0)
    report.finish({"amp": False})


def do_shard(out: Path, text: str, **options: object) -> None:
    do(RunReport(out, "acdc", shard=text, **options), Shard.parse(text).deal(CASES))  # type: ignore[arg-type]


def tables(out: Path) -> dict[str, str]:
    return {name: (out / "report" / f"{name}.csv").read_text() for name in ("cases", "metrics")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("whole")
    do(RunReport(out, "acdc"), CASES)
    return tables(out)


def test_every_case_is_in_one_shard() -> None:
    for count in range(1, 10):
        dealt = [case for number in range(count) for case in Shard(number + 1, count).deal(CASES)]
        assert sorted(dealt) == CASES
    assert Shard.parse("3/8") == Shard(3, 8) == Shard.of_folder(Shard(3, 8).folder)


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "3/", "a/b", "-1/2", ""])
def test_what_is_no_shard_says_what_is(text: str) -> None:
    with pytest.raises(UsageError, match="allowed: i/n with i from 1 to n, such as 3/8"):
        Shard.parse(text)


def slurm(task: int, first: int, last: int, count: int) -> dict[str, str]:
    names = ("ID", "MIN", "MAX", "COUNT")
    return {f"SLURM_ARRAY_TASK_{name}": str(n) for name, n in zip(names, (task, first, last, count), strict=True)}


def test_slurm_says_which_shard() -> None:
    assert Shard.parse("slurm", slurm(3, 1, 8, 8)) == Shard(3, 8)
    assert Shard.parse("slurm", slurm(0, 0, 7, 8)) == Shard(1, 8)
    with pytest.raises(UsageError, match="an array of 2 tasks from 3 to 7; allowed: one without gaps"):
        Shard.parse("slurm", slurm(3, 3, 7, 2))
    with pytest.raises(UsageError, match="found no SLURM_ARRAY_TASK_ID"):
        Shard.parse("slurm", {})


def test_merged_tables_are_those_of_one_run(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    for shard in ("2/3", "1/3", "3/3"):
        do_shard(tmp_path, shard)
    for _ in range(2):
        assert main(["merge", str(tmp_path)]) == 1, "a case failed"
        assert tables(tmp_path) == undisturbed
    report = tmp_path / "report"
    pictures = {path.name for path in (report / "previews").iterdir()}
    assert pictures == {f"{case}.png" for case in CASES if case != "case6"}
    assert (report / "index.html").is_file() and (report / "summary.json").is_file()
    run = json.loads((report / "run.json").read_text())
    assert run["cases"] == {"ok": 6, "failed": 1, "skipped": 0} and run["amp"] is False
    assert set(run["shards"]) == {"1/3", "2/3", "3/3"}
    assert run["shards"]["2/3"]["cases"] == {"ok": 2, "failed": 0, "skipped": 0}


def test_merging_meanwhile_says_what_is_missing(
    tmp_path: Path, undisturbed: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    do_shard(tmp_path, "2/3")
    begun = RunReport(tmp_path, "acdc", shard="1/3")
    add_case(begun, "case1", mask_of("case1"), AFFINE, reference=volume(1, 2), seconds=1.0)
    assert main(["merge", str(tmp_path)]) == 1
    assert (
        "2 of 3 shards haven't ended, or did so with other weights or before files came or went (1/3, 3/3)"
        in capsys.readouterr().err
    )
    assert [row["case"] for row in read_csv(tmp_path / "report" / "cases.csv")] == ["case1", "case2", "case5"]
    begun.paths.unlock()
    with FileLock(begun.paths.report / ".lock"), pytest.raises(UsageError, match="another run"):
        RunFolder(tmp_path).check_unlocked()
    do_shard(tmp_path, "1/3", resume=True)
    do_shard(tmp_path, "3/3", resume=True)
    assert unfinished_shards(tmp_path) == []
    main(["merge", str(tmp_path)])
    assert tables(tmp_path) == undisturbed


def test_what_a_shard_keeps_has_the_values_of_the_whole(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    """A run is stopped, goes on in shards, and these again in a run of its own: no value is lost on the way."""
    begun = RunReport(tmp_path, "acdc")
    for case in CASES[:4]:
        add_case(begun, case, mask_of(case), AFFINE, reference=volume(1, 2), seconds=1.0)
    begun.paths.unlock()
    for text in ("1/2", "2/2"):
        folder = RunFolder(tmp_path, Shard.parse(text))
        report = RunReport(tmp_path, "acdc", shard=text, resume=True)
        for case in Shard.parse(text).deal(CASES):
            if folder.finished_rows({"case": case, "label": ""}):
                skip(report, case)
            else:
                do_one = add_failure if case == "case6" else add_case
                arguments = ("no voxels",) if case == "case6" else (mask_of(case), AFFINE)
                more = {} if case == "case6" else {"reference": volume(1, 2), "seconds": 1.0}
                do_one(report, case, *arguments, **more)  # type: ignore[operator]
        report.finish()
    for _ in range(2):
        main(["merge", str(tmp_path)])
        again = read_csv(tmp_path / "report" / "cases.csv")
        assert [row["status"] for row in again] == ["skipped"] * 4 + ["ok", "failed", "ok"]
        assert tables(tmp_path)["metrics"] == undisturbed["metrics"]
    RunReport(tmp_path, "acdc", resume=True).finish()
    assert not (tmp_path / "report" / "shards").exists()
    final = {row["case"]: row["volume_ml_left_ventricle"] for row in read_csv(tmp_path / "report" / "cases.csv")}
    assert final == {row["case"]: row["volume_ml_left_ventricle"] for row in again if row["case"] != "case6"}


def test_a_new_division_forgets_the_former(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    for shard in ("1/2", "2/2"):
        do(RunReport(tmp_path, "acdc", shard=shard), [f"old{shard[0]}"])
    main(["merge", str(tmp_path)])
    for shard in ("1/3", "2/3", "3/3"):
        do_shard(tmp_path, shard)
    main(["merge", str(tmp_path)])
    assert tables(tmp_path) == undisturbed
    do(RunReport(tmp_path, "acdc"), CASES)
    assert not (tmp_path / "report" / "shards").exists()


def test_merging_measures_as_the_shards_did(tmp_path: Path) -> None:
    label_map = stated_label_map("own", {1: "wall", 7: "cavity"}, {"both": ["wall", "cavity"]})
    RunReport(tmp_path, label_map, kind=create_kind("volume", definition="max", protocol="paper"), shard="1/1").finish()
    found = settings_of_shards(tmp_path)
    assert found["label_map"] == label_map
    assert found["kind"].options == {
        "definition": "max",
        "tolerance_mm": 2.0,
        "missed": "diagonal",
        "protocol": "paper",
    }
    RunReport(tmp_path, "acdc", shard="1/1").finish()
    assert settings_of_shards(tmp_path)["label_map"] == get_label_map("acdc")


def test_shards_of_a_former_run_have_not_ended(tmp_path: Path) -> None:
    """A run with other weights has done one shard; the other one waits its turn, and has the former run's rows."""
    weights = [tmp_path / "old.pt", tmp_path / "new.pt"]
    for path in weights:
        path.write_text(path.name)
    for shard in ("1/2", "2/2"):
        RunReport(tmp_path, "acdc", shard=shard).finish({"weights": weights[0]})
    assert unfinished_shards(tmp_path) == []
    RunReport(tmp_path, "acdc", shard="1/2").finish({"weights": weights[1]})
    assert unfinished_shards(tmp_path) == [Shard(2, 2)]
    RunReport(tmp_path, "acdc", shard="2/2", resume=True).finish({"weights": weights[1]})
    assert unfinished_shards(tmp_path) == []


def test_shards_that_found_other_cases_have_not_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file came between them: of the new list each does other cases, so that some would be done by none."""
    now = ["case0", *CASES]

    def do_listed(text: str, listed: list[str], resume: bool = False) -> None:
        report = RunReport(tmp_path, "acdc", shard=text, items=[{"case": case} for case in listed], resume=resume)
        do(report, [case for case in Shard.parse(text).deal(listed) if case != "case6"])

    do_listed("1/2", CASES)
    do_listed("2/2", now)
    assert len(set(CASES) - {row["case"] for text in ("1of2", "2of2") for row in rows_of(tmp_path, text)}) > 1
    assert main(["merge", str(tmp_path)]) == 1
    assert (
        "1 of 2 shards haven't ended, or did so with other weights or before files came or went (1/2)"
        in capsys.readouterr().err
    )
    do_listed("1/2", now, resume=True)
    assert main(["merge", str(tmp_path)]) == 0
    done = {row["case"] for row in read_csv(tmp_path / "report" / "cases.csv")}
    assert done == set(now) - {"case6"}


def rows_of(out: Path, shard: str) -> list[Row]:
    return read_csv(out / "report" / "shards" / shard / "cases.csv")


def test_no_shard_begins_within_a_whole_run(tmp_path: Path) -> None:
    """It would take the rows away that the whole run has written."""
    whole = RunReport(tmp_path, "acdc")
    add_case(whole, "case1", mask_of("case1"), AFFINE)
    before = whole.paths.cases_table.read_bytes()
    with pytest.raises(UsageError, match="found another run that is writing into it"):
        RunReport(tmp_path, "acdc", shard="1/2")
    assert whole.paths.cases_table.read_bytes() == before
    whole.finish()
    shard = RunReport(tmp_path, "acdc", shard="1/2")
    add_case(shard, "case1", mask_of("case1"), AFFINE)
    with pytest.raises(UsageError, match=r"found another run \(shard 1/2\) that is writing into it"):
        RunReport(tmp_path, "acdc")
    assert shard.finish()["cases"]["ok"] == 1 and len(read_csv(shard.paths.cases_table)) == 1


def test_nothing_to_merge_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(tmp_path)]) == 2
    assert "found no shards in report/shards" in capsys.readouterr().err
