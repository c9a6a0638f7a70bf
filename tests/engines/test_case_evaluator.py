# SPDX-License-Identifier: Apache-2.0
"""The whole loop with a network that thresholds: every bad case of the README, each beside a good one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from monai.inferers import Inferer
from monai.transforms import Compose, Invertd, Orientationd
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import get_label_map
from pranet_monai.engines.case_dataset import CaseDataset, CaseLoader
from pranet_monai.engines.case_evaluator import CaseEvaluator
from pranet_monai.engines.handlers import ProgressHandler, ReportHandler
from pranet_monai.forms import FORMS
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.reports import RunReport
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import SaveMaskd

ACDC = get_label_map("acdc")
AFFINE = np.diag([-1.5, -1.5, 8, 1])


class Threshold(Inferer):
    """Class 1 above 0.5; breaks on volumes whose middle is 666."""

    def __call__(self, inputs: torch.Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        if float(inputs.max()) == 666:
            raise RuntimeError("CUDA error: the device went away")
        return (network(inputs) > 0.5).to(torch.uint8)


def mask_path(out: Path, case: str) -> Path:
    return RunFolder(out).mask(case, FORMS["volume_file"])


def evaluator(
    data: Path,
    out: Path,
    resume: bool = False,
    quiet: bool = True,
    weights: Path | None = None,
    workers: int = 0,
    then: Sequence[Callable[[Any], Any]] = (),
) -> tuple[CaseEvaluator, RunReport]:
    cases = find_cases(data, labels="optional", output_dir=out)
    preprocessing = Compose([LoadCased("image"), Orientationd("image", "RAS", labels=None)])
    postprocessing = Compose(
        [Invertd("pred", transform=preprocessing, orig_keys="image"), SaveMaskd("pred", out, ACDC, weights), *then]
    )
    report = RunReport(out, ACDC, resume=resume, previews=False)
    engine = CaseEvaluator(
        device="cpu",
        val_data_loader=CaseLoader(CaseDataset(cases, preprocessing, out, resume, ACDC, weights), workers),
        network=torch.nn.Identity(),
        inferer=Threshold(),
        postprocessing=postprocessing,
        val_handlers=[ReportHandler(report), ProgressHandler(quiet)],
        measurer=report.measurer,
    )
    return engine, report


def run(data: Path, out: Path, **options: Any) -> pd.DataFrame:
    """Runs the folder and gives cases.csv, by case."""
    engine, report = evaluator(data, out, **options)
    engine.run()
    report.finish()
    table = pd.read_csv(out / "report" / "cases.csv", keep_default_na=False).set_index("case")
    assert set(engine.failures) == set(table.index[table.status == "failed"])
    assert report.exit_code == int(bool(engine.failures))
    return table


def save(path: Path, array: np.ndarray | None = None, affine: np.ndarray = AFFINE) -> Path:
    if array is None:
        array = np.random.default_rng(0).integers(0, 2, (6, 7, 5))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.float32), affine), path)
    return path


def truncated(folder: Path) -> None:
    path = save(folder / "bad.nii.gz")
    path.write_bytes(path.read_bytes()[:-40])


def text_file(folder: Path) -> None:
    (folder / "bad.nii").write_text("see letter")


def nans(folder: Path) -> None:
    save(folder / "bad.nii", np.full((4, 4, 4), np.nan))


def empty_axis(folder: Path) -> None:
    save(folder / "bad.nii", np.zeros((4, 0, 4)))


def singular_affine(folder: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), None)
    image.header.set_sform(np.diag([1.0, 1, 0, 1]), code=1)
    nib.save(image, folder / "bad.nii")


def network_error(folder: Path) -> None:
    save(folder / "bad.nii", np.full((4, 4, 4), 666))


def label_of_another_grid(folder: Path) -> None:
    save(folder / "bad.nii")
    save(folder / "bad_gt.nii", np.zeros((6, 7, 4)))


def unknown_label(folder: Path) -> None:
    save(folder / "bad.nii")
    save(folder / "bad_gt.nii", np.full((6, 7, 5), 7))


def mask_in_the_way(folder: Path) -> None:
    save(folder / "bad.nii")
    (folder / "out" / "bad_seg.nii.gz").mkdir(parents=True)


BAD = {
    truncated: "can't be read",
    text_file: "found 10 bytes that can't be read",
    nans: "found 64 NaN",
    empty_axis: "axis of size 0",
    singular_affine: "gives voxels no place in space",
    network_error: "RuntimeError: CUDA error: the device went away",
    label_of_another_grid: "bad_gt.nii: found labels of shape (6, 7, 4)",
    unknown_label: "found label values outside of acdc: 7 (210 voxels)",
    mask_in_the_way: "bad_seg.nii.gz: found a folder of this name",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_a_bad_case_is_a_row_and_the_folder_goes_on(tmp_path: Path, make: Callable[[Path], None]) -> None:
    out = tmp_path / "out"
    make(tmp_path)
    save(tmp_path / "a.nii.gz")
    save(tmp_path / "ward" / "z.nii.gz")
    table = run(tmp_path, out)
    assert table.status.to_dict() == {"a": "ok", "bad": "failed", "ward/z": "ok"}
    assert BAD[make] in table.reason["bad"]
    costs_metrics_alone = make in (label_of_another_grid, unknown_label)
    assert (table.voxels_right_ventricle["bad"] != "") == costs_metrics_alone == (out / "bad_seg.nii.gz").is_file()
    assert nib.load(out / "ward" / "z_seg.nii.gz").shape == (6, 7, 5)
    assert not list(out.rglob(".*")), "half a file was left"


def test_label_without_image_is_a_row(tmp_path: Path) -> None:
    save(tmp_path / "a.nii")
    save(tmp_path / "b_gt.nii")
    table = run(tmp_path, tmp_path / "out")
    assert table.status.to_dict() == {"a": "ok", "b_gt": "failed"}
    assert "b_gt.nii: found a label without its image" in table.reason["b_gt"]


def test_masks_and_volumes_of_good_cases(tmp_path: Path) -> None:
    array = np.zeros((6, 7, 5))
    array[1:4, 2:4, 1:3] = 1
    save(tmp_path / "x.nii.gz", array, np.diag([2.0, -1.5, 8, 1])[[1, 0, 2, 3]])
    row = run(tmp_path, tmp_path / "out").loc["x"]
    assert np.array_equal(np.asarray(nib.load(tmp_path / "out" / "x_seg.nii.gz").dataobj), array)
    assert row.voxels_right_ventricle == 12
    assert row.volume_ml_right_ventricle == pytest.approx(12 * 2 * 1.5 * 8 / 1000)


def test_metrics_are_taken_on_the_grid_of_the_file(tmp_path: Path) -> None:
    prediction, label = np.zeros((2, 8, 9, 5))
    prediction[2:6, 3:5, 1:3] = 1  # 16 voxels
    label[2:6, 3:5, 2:4] = 1  # 16 voxels, 8 in common
    turned = np.array([[0, 0, 8.0, 5], [-1.5, 0, 0, 6], [0, 2.0, 0, 7], [0, 0, 0, 1]])
    save(tmp_path / "x.nii.gz", prediction, turned)
    save(tmp_path / "x_gt.nii.gz", label, turned)
    run(tmp_path, tmp_path / "out")
    metrics = pd.read_csv(tmp_path / "out" / "report" / "metrics.csv").set_index("organ")
    assert metrics.dice["right_ventricle"] == pytest.approx(0.5)
    assert metrics.hd95_mm["right_ventricle"] == pytest.approx(8.0), "one slice apart along the third axis, in mm"
    assert json.loads((tmp_path / "out" / "report" / "summary.json").read_text())


def test_a_cine_has_a_row_per_frame_and_one_mask(tmp_path: Path) -> None:
    cine = np.zeros((6, 7, 5, 3))
    for frame in range(3):
        cine[: frame + 1, 0, 0, frame] = 1
    save(tmp_path / "p1_4d.nii.gz", cine)
    save(tmp_path / "slice.nii", np.ones((6, 7)))
    table = run(tmp_path, tmp_path / "out")
    volumes = table.voxels_right_ventricle
    assert [volumes[f"p1_4d_frame0{frame}"] for frame in (1, 2, 3)] == [1, 2, 3]
    assert volumes["slice"] == 42
    assert np.array_equal(np.asarray(nib.load(tmp_path / "out" / "p1_4d_seg.nii.gz").dataobj), cine)
    assert nib.load(tmp_path / "out" / "slice_seg.nii.gz").shape == (6, 7)
    again = run(tmp_path, tmp_path / "out", resume=True)
    assert set(again.status) == {"skipped"} and set(again.index) == set(table.index)


def test_frames_that_nobody_has_labelled_have_volumes_and_no_metrics(tmp_path: Path) -> None:
    cine = np.ones((6, 7, 5, 3))
    save(tmp_path / "p1.nii.gz", cine)
    cine[..., [0, 2]] = 0
    save(tmp_path / "p1_gt.nii.gz", cine)
    table = run(tmp_path, tmp_path / "out")
    assert set(table.voxels_right_ventricle) == {210}
    assert set(table.remark) == {"reference: 2 of 3 frames hold no class and count as not labelled"}
    metrics = pd.read_csv(tmp_path / "out" / "report" / "metrics.csv").set_index(["case", "organ"])
    assert set(metrics.index.get_level_values("case")) == {"p1_frame02"}
    assert metrics.dice["p1_frame02", "right_ventricle"] == 1
    assert set(run(tmp_path, tmp_path / "out", resume=True).status) == {"skipped"}


def test_a_cine_and_files_named_as_its_frames_keep_their_rows(tmp_path: Path) -> None:
    cine = np.zeros((6, 7, 5, 2))
    cine[0] = 1
    save(tmp_path / "q.nii.gz", cine)
    save(tmp_path / "q_frame01.nii.gz", np.ones((6, 7, 5)))
    volumes = run(tmp_path, tmp_path / "out").voxels_right_ventricle.astype(int).to_dict()
    assert volumes == {"q (cine)_frame01": 35, "q (cine)_frame02": 35, "q_frame01": 210}
    again = run(tmp_path, tmp_path / "out", resume=True)
    assert set(again.status) == {"skipped"} and again.voxels_right_ventricle.astype(int).to_dict() == volumes


def test_progress_goes_to_stderr_and_failures_even_when_quiet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text_file(tmp_path)
    save(tmp_path / "a.nii")
    run(tmp_path, tmp_path / "out", quiet=False)
    shown = capsys.readouterr()
    assert "2/2" in shown.err and "failed: bad: " in shown.err and shown.out == ""
    run(tmp_path, tmp_path / "out", quiet=True)
    shown = capsys.readouterr()
    assert "2/2" not in shown.err and "failed: bad: " in shown.err
