# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.transforms import Compose
from pranet_monai.data.labels import LabelMap
from pranet_monai.engines.case_dataset import CaseDataset, CaseLoader
from pranet_monai.errors import BadCaseError, UsageError, reason_of
from pranet_monai.forms import FORMS
from pranet_monai.forms.provenance import Provenance
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.reports import RunReport
from pranet_monai.reports.case_result import CaseResult
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.storage.tables import write_csv
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import SaveMaskd

ORGAN = LabelMap("demo", {0: "background", 1: "organ"}, {0: (0, 0, 0), 1: (9, 9, 9)})
VOLUME = FORMS["volume_file"]


def save(path: Path, shape: tuple[int, ...] = (20, 20, 5)) -> str:
    array = np.random.default_rng(0).integers(0, 2, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(array, np.diag([1.5, 1.5, 8, 1])), path)
    return str(path)


def save_mask_of(image: str, case: str, out: Path) -> Path:
    item = LoadCased("image")({"image": image, "case": case})
    SaveMaskd("image", out, ORGAN)({**item, "image": item["image"].to(torch.uint8)})
    return RunFolder(out).mask(case, VOLUME)


def mask_is_whole(mask: str | Path, image: str | Path) -> bool:
    return VOLUME.mask_is_whole(Path(mask), {"image": str(image)}, ORGAN, Provenance(file_sha256(image)))


def test_good_bad_and_broken_cases_come_out_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.nii").write_text("no image")
    data = [
        {"case": "a", "image": save(tmp_path / "a.nii.gz"), "label": "a_gt.nii.gz"},
        {"case": "b", "image": str(tmp_path / "b.nii")},
        {"case": "c", "label": "c_gt.nii", "error": "c_gt.nii: found a label without its image"},
        {"case": "d", "image": save(tmp_path / "d.nii.gz", (4, 4))},
    ]
    batches = list(CaseLoader(CaseDataset(data, LoadCased("image"))))
    assert [batch["case"] for batch in batches] == ["a", "b", "c", "d"]
    assert batches[0]["image"].shape == (1, 20, 20, 5) and batches[0]["label"] == "a_gt.nii.gz"
    assert batches[1]["error"].startswith(f"{tmp_path / 'b.nii'}: found 8 bytes")
    assert batches[2]["error"] == "c_gt.nii: found a label without its image"
    assert batches[3]["image"].shape == (1, 4, 4, 1)


def test_whatever_breaks_in_the_loader_is_a_reason(tmp_path: Path) -> None:
    def transform(item: dict[str, Any]) -> dict[str, Any]:
        raise MemoryError("50 GiB")

    (item,) = CaseLoader(CaseDataset([{"case": "memory", "image": ""}], transform))
    assert item["error"] == "MemoryError: 50 GiB"


def test_keyboard_interrupt_is_no_reason(tmp_path: Path) -> None:
    def transform(item: dict[str, Any]) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CaseDataset([{"case": "a", "image": ""}], transform)[0]


def test_resume_leaves_out_whole_masks_only(tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = [{"case": f"ward/{name}", "image": save(tmp_path / f"{name}.nii.gz")} for name in "abcd"]
    whole = save_mask_of(data[0]["image"], "ward/a", out)
    half = save_mask_of(data[1]["image"], "ward/b", out)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    other = RunFolder(out).mask("ward/c", VOLUME)
    other.write_bytes(save_mask_of(save(tmp_path / "small.nii", (4, 4, 4)), "small", out).read_bytes())

    def kinds(resume: bool) -> list[str]:
        dataset = CaseDataset(data, LoadCased("image"), output_dir=out, resume=resume, label_map=ORGAN)
        items = [dataset[index] for index in range(4)]
        return [next(key for key in ("finished_rows", "finished_mask", "image") if key in item) for item in items]

    assert kinds(resume=True) == ["finished_mask", "image", "image", "image"], "the mask is there, its row is not"
    assert kinds(resume=False) == ["image"] * 4
    (item,) = CaseLoader(CaseDataset(data[:1], LoadCased("image"), output_dir=out, resume=True, label_map=ORGAN))
    assert item["finished_mask"] == str(whole) and item["image"].shape == (1, 20, 20, 5)
    write_csv(out / "report" / "cases.csv", [{"case": "ward/a", "status": "ok"}], ["case", "status"])
    assert kinds(resume=True) == ["finished_rows", "image", "image", "image"]
    (item,) = CaseLoader(CaseDataset(data[:1], None, output_dir=out, resume=True, label_map=ORGAN))
    assert item == {"case": "ward/a", "finished_rows": ["ward/a"]}
    with pytest.raises(UsageError, match="found no output_dir or no label_map"):
        CaseDataset(data, resume=True)


def test_a_case_whose_maps_are_missing_is_done_again(tmp_path: Path) -> None:
    """As by ``segment --resume --save-probabilities`` after a run without maps; those of a former mask don't count."""
    out, folder = tmp_path / "out", RunFolder(tmp_path / "out")
    data = [{"case": "a", "image": save(tmp_path / "a.nii.gz")}]
    mask = save_mask_of(data[0]["image"], "a", out)
    write_csv(out / "report" / "cases.csv", [{"case": "a", "status": "ok"}], ["case", "status"])

    def is_kept(**maps: bool) -> bool:
        return "finished_rows" in CaseDataset(data, None, out, resume=True, label_map=ORGAN, **maps)[0]

    assert is_kept() and not is_kept(save_probabilities=True) and not is_kept(quality_map=True)
    for path in (folder.probabilities("a", VOLUME), folder.quality_map("a", VOLUME)):
        path.touch()
    assert is_kept(save_probabilities=True, quality_map=True)
    os.utime(mask, (time.time() + 60,) * 2)
    assert is_kept() and not is_kept(save_probabilities=True) and not is_kept(quality_map=True), "of a former mask"


def test_a_case_whose_reference_has_changed_is_measured_again(tmp_path: Path) -> None:
    """By a corrected file, by another person's, or with its numbers read in another way."""
    data = [{"case": "a", "image": save(tmp_path / "a.nii.gz"), "label": save(tmp_path / "a_gt.nii.gz")}]
    item = data[0]
    save_mask_of(item["image"], "a", tmp_path / "out")
    report = RunReport(tmp_path / "out", ORGAN)
    empty = np.zeros((20, 20, 5), np.uint8)
    measured = report.measurer.measure("a", empty, np.eye(4), None, empty)
    for _ in range(2):  # again, as after a correction
        report.add(CaseResult("a", "ok", rows=[measured], reference=VOLUME.reference_fingerprint(item, ORGAN)))
    report.finish()
    assert "\n\n" not in (tmp_path / "out" / "report" / "metrics.csv").read_text(), "the former rows leave no gap"

    def is_kept(label_map: LabelMap = ORGAN) -> bool:
        found = CaseDataset(data, lambda item: {}, tmp_path / "out", resume=True, label_map=label_map)[0]
        assert found.keys() & {"finished_rows", "finished_mask"}, "its mask stays in any case"
        return "finished_rows" in found

    assert is_kept()
    assert not is_kept(replace(ORGAN, raw_values={0: 0, 2: 1})), "with its numbers read in another way"
    item["label"] = save(tmp_path / "other_gt.nii.gz", (20, 20, 4))
    assert not is_kept(), "another person's"
    item["label"] = str(tmp_path / "a_gt.nii.gz")
    assert is_kept()
    save(tmp_path / "a_gt.nii.gz", (20, 20, 6))
    assert not is_kept(), "corrected"


@pytest.mark.parametrize("missing", [1, 8, 100])
def test_mask_cut_anywhere_is_not_whole(tmp_path: Path, missing: int) -> None:
    image = save(tmp_path / "x.nii.gz")
    mask = save_mask_of(image, "x", tmp_path)
    assert mask_is_whole(mask, image)
    whole = mask.read_bytes()
    mask.write_bytes(whole[:-missing])
    assert not mask_is_whole(mask, image)
    mask.write_bytes(whole[:40] + b"\xff" * 20 + whole[60:])
    assert not mask_is_whole(mask, image), "damaged inside"


def test_mask_of_another_program_is_not_whole(tmp_path: Path) -> None:
    image = save(tmp_path / "x.nii.gz")
    mask = save_mask_of(image, "y", tmp_path / "out")
    other = LabelMap("other", {0: "background", 1: "another_organ"}, {0: (0, 0, 0), 1: (9, 9, 9)})
    made_by = Provenance(file_sha256(image))
    assert VOLUME.mask_is_whole(mask, {"image": image}, ORGAN, made_by)
    assert not VOLUME.mask_is_whole(mask, {"image": image}, other, made_by), "of other classes"
    assert not VOLUME.mask_is_whole(mask, {"image": image}, ORGAN, Provenance(made_by.image, "abc")), "of other weights"
    assert not VOLUME.mask_is_whole(mask, {"image": image}, ORGAN, Provenance("abc")), "of another image"
    moved = nib.Nifti1Image(np.zeros((20, 20, 5), np.int16), np.diag([1.5, 1.5, 6, 1]))
    nib.save(moved, tmp_path / "moved.nii.gz")
    assert not VOLUME.mask_is_whole(mask, {"image": str(tmp_path / "moved.nii.gz")}, ORGAN, made_by), "of another place"
    assert not mask_is_whole(save(tmp_path / "x_seg.nii.gz"), image)
    assert not mask_is_whole(tmp_path / "nothing.nii.gz", image)
    (tmp_path / "broken.nii").write_text("no image")
    assert not mask_is_whole(save_mask_of(image, "x", tmp_path / "out"), tmp_path / "broken.nii")


def test_reason_is_the_cause_beneath_monais_wrapping() -> None:
    def fail(_: object) -> None:
        raise BadCaseError("x.nii: found\n nothing")

    with pytest.raises(RuntimeError) as wrapped:
        Compose([fail])({"x": 1})
    assert "applying transform" in str(wrapped.value)
    assert reason_of(wrapped.value) == "x.nii: found nothing"
    assert reason_of(ZeroDivisionError("division by zero")) == "ZeroDivisionError: division by zero"
