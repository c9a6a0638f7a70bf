# SPDX-License-Identifier: Apache-2.0
"""Bundles as a user runs them: a folder with good and bad volumes through ``python -m monai.bundle run``."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigWorkflow
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from pranet_monai.__main__ import main
from pranet_monai.data.labels import get_label_map
from pranet_monai.forms.label_table import read_label_table

from .conftest import BUNDLES_TO_RUN, copy_with_random_weights, read_json

# 1.3 x 1.5 x 8 mm, first axis to the left, turned by 20 degrees about the second
_TURN = np.array([[-np.cos(0.35), 0, np.sin(0.35)], [0, 1, 0], [np.sin(0.35), 0, np.cos(0.35)]])
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3], OBLIQUE[:3, 3] = _TURN * [1.3, 1.5, 8.0], [30.0, -20.0, 5.0]


def command(bundle: Path, *options: str, config: str = "inference.json") -> list[str]:
    run = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(bundle / "configs" / config)]
    return [*run, "--bundle_root", str(bundle), *options]


def run_here(bundle: Path, dataset: Path, output: Path, config: str = "inference.json", **options: object) -> int:
    """The same run inside this process, which saves the imports; returns the exit code."""
    files = [str(bundle / "configs" / "inference.json")]
    if config != "inference.json":
        files.append(str(bundle / "configs" / config))
    try:
        workflow = ConfigWorkflow(
            config_file=files,
            workflow_type="inference",
            logging_file=False,
            bundle_root=str(bundle),
            dataset_dir=str(dataset),
            output_dir=str(output),
            **options,
        )
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def image_like(shape: tuple[int, ...], affine: np.ndarray = OBLIQUE, seed: int = 0) -> nib.Nifti1Image:
    array = np.random.default_rng(seed).integers(0, 800, shape).astype(np.int16)
    return nib.Nifti1Image(array, affine)


def organs_of(bundle: Path) -> Mapping[str, tuple[int, ...]]:
    """What the bundle's report measures: name → class numbers."""
    return get_label_map(read_json(bundle / "configs" / "inference.json")["label_map"]["name"]).organs


def rows_of(output: Path) -> dict[str, dict[str, str]]:
    with (output / "report" / "cases.csv").open(newline="", encoding="utf-8") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module", params=BUNDLES_TO_RUN)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_with_random_weights(request.param, tmp_path_factory.mktemp("bundle"))


GOOD = {"plain": (40, 36, 3), "site_b/turned": (3, 40, 36), "flat": (40, 36), "cine": (40, 36, 3, 2)}
BAD = {
    "truncated": "can't be read",
    "words": "can't be read",
    "holes": "2 NaN and 1 infinite voxels",
    "nothing": "axis of size 0",
    "nowhere": "affine",
    "labels/lonely": "label without its image",
}


def write_mixed_folder(folder: Path) -> None:
    """Every good and every bad kind of volume, named as in the two tables above."""
    for sub in ("site_b", "labels"):
        (folder / sub).mkdir(parents=True)
    plain = image_like(GOOD["plain"])
    nib.save(plain, folder / "plain.nii.gz")
    turn = ornt_transform(io_orientation(plain.affine), axcodes2ornt(("S", "R", "A")))
    nib.save(plain.as_reoriented(turn), folder / "site_b" / "turned.nii.gz")
    nib.save(image_like(GOOD["flat"]), folder / "flat.nii.gz")
    nib.save(image_like(GOOD["cine"]), folder / "cine.nii.gz")

    whole = (folder / "plain.nii.gz").read_bytes()
    (folder / "truncated.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "words.nii").write_text("this is no volume")
    holes = np.zeros(GOOD["plain"], np.float32)
    holes[0, 0], holes[1, 1, 1] = [np.nan, np.nan, 0], np.inf
    nib.save(nib.Nifti1Image(holes, OBLIQUE), folder / "holes.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((40, 0, 3), np.int16), OBLIQUE), folder / "nothing.nii.gz")
    nowhere = image_like(GOOD["plain"])
    nowhere.header.set_sform(np.diag([1.0, 0.0, 1.0, 1.0]), code=1)
    nowhere.header.set_qform(None, code=0)
    nib.save(nib.Nifti1Image(nowhere.dataobj, None, nowhere.header), folder / "nowhere.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), OBLIQUE), folder / "labels" / "lonely.nii.gz")


@pytest.fixture(scope="module")
def mixed_run(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, str, int]]:
    """Dataset, output, what was said, and the exit code of one run of the real command over all kinds of cases."""
    folder = tmp_path_factory.mktemp("mixed")
    write_mixed_folder(folder / "data")
    options = ("--dataset_dir", "data", "--output_dir", "out")
    done = subprocess.run(command(bundle, *options), cwd=folder, capture_output=True, text=True, timeout=300)
    yield folder / "data", folder / "out", done.stdout + done.stderr, done.returncode


def test_exit_code_says_that_cases_failed(mixed_run: tuple[Path, Path, str, int]) -> None:
    _, output, said, code = mixed_run
    assert code == 1, said
    assert "Traceback" not in said
    assert str(Path(output.name) / "report" / "index.html") in said


def test_the_front_door_makes_the_same_files(
    bundle: Path, mixed_run: tuple[Path, Path, str, int], tmp_path: Path
) -> None:
    """``pranet-monai segment``: byte for byte the masks of ``monai.bundle run``, the same rows, the same exit code."""
    data, output, _, code = mixed_run
    assert main(["segment", str(data), str(tmp_path / "out"), "--bundle", str(bundle), "--quiet"]) == code
    masks, others = ({p.relative_to(o): p.read_bytes() for p in o.rglob("*_seg.*")} for o in (output, tmp_path / "out"))
    assert masks == others and len(masks) == len(GOOD)
    columns = ("status", "touches_border", *(f"voxels_{name}" for name in organs_of(bundle)))
    ours, theirs = (
        {case: [row.get(column) for column in columns] for case, row in rows_of(folder).items()}
        for folder in (output, tmp_path / "out")
    )
    assert ours == theirs


@pytest.mark.parametrize("case", GOOD)
def test_mask_lies_on_the_grid_of_its_image(mixed_run: tuple[Path, Path, str, int], case: str) -> None:
    data, output, _, _ = mixed_run
    image, mask = nib.load(data / f"{case}.nii.gz"), nib.load(output / f"{case}_seg.nii.gz")
    assert mask.shape == image.shape
    assert mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(mask.affine, image.affine)
    for code in ("qform_code", "sform_code"):
        assert mask.header[code] == image.header[code]


def test_mask_turns_with_its_image(mixed_run: tuple[Path, Path, str, int]) -> None:
    _, output, _, _ = mixed_run
    plain, turned = nib.load(output / "plain_seg.nii.gz"), nib.load(output / "site_b" / "turned_seg.nii.gz")
    back = turned.as_reoriented(ornt_transform(io_orientation(turned.affine), io_orientation(plain.affine)))
    np.testing.assert_array_equal(np.asarray(back.dataobj), np.asarray(plain.dataobj))
    if len(np.unique(np.asarray(plain.dataobj))) == 1:
        pytest.skip("random weights see one class everywhere: the comparison says nothing")


def test_label_names_are_in_the_header(bundle: Path, mixed_run: tuple[Path, Path, str, int]) -> None:
    metadata = read_json(bundle / "configs" / "metadata.json")
    names = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    expected = {int(index): name for index, name in names.items() if index != "0"}
    assert read_label_table(nib.load(mixed_run[1] / "plain_seg.nii.gz")) == expected


@pytest.mark.parametrize("case", BAD)
def test_bad_case_is_a_row_with_its_reason(mixed_run: tuple[Path, Path, str, int], case: str) -> None:
    _, output, said, _ = mixed_run
    row = rows_of(output)[case]
    assert row["status"] == "failed"
    assert case in row["reason"]
    assert BAD[case] in row["reason"]
    assert f"failed: {case}" in said


def test_every_case_has_its_rows_and_no_half_file_is_left(mixed_run: tuple[Path, Path, str, int]) -> None:
    _, output, _, _ = mixed_run
    rows = rows_of(output)
    frames = {"cine_frame01", "cine_frame02"}
    assert rows.keys() == (GOOD.keys() - {"cine"}) | frames | BAD.keys()
    files = {
        str(path.relative_to(output)) for path in output.rglob("*") if "report" not in path.parts and path.is_file()
    }
    assert files == {f"{case}_seg.nii.gz" for case in GOOD} | {".cases.json"}


def test_volumes_are_those_of_the_mask(bundle: Path, mixed_run: tuple[Path, Path, str, int]) -> None:
    _, output, _, _ = mixed_run
    mask = nib.load(output / "plain_seg.nii.gz")
    row = rows_of(output)["plain"]
    voxel_ml = abs(np.linalg.det(mask.affine[:3, :3])) / 1000
    for name, indices in organs_of(bundle).items():
        voxels = int(np.isin(np.asarray(mask.dataobj), indices).sum())
        assert int(row[f"voxels_{name}"]) == voxels
        assert float(row[f"volume_ml_{name}"]) == pytest.approx(voxels * voxel_ml, rel=1e-5)


def test_labels_give_metrics(bundle: Path, labelled_volumes: Path, tmp_path: Path) -> None:
    assert run_here(bundle, labelled_volumes, tmp_path / "out") == 0
    summary = read_json(tmp_path / "out" / "report" / "summary.json")
    assert summary["cases"] == 4
    with (tmp_path / "out" / "report" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * len(organs_of(bundle))
    assert {"dice", "hd95_mm"} <= rows[0].keys()


def test_evaluate_needs_a_label_for_every_image(bundle: Path, labelled_volumes: Path, tmp_path: Path) -> None:
    only_images = labelled_volumes / "images"
    folder = tmp_path / "data"
    folder.mkdir()
    for path in only_images.iterdir():
        (folder / path.name).symlink_to(path)
    assert run_here(bundle, folder, tmp_path / "out", config="evaluate.json") == 1
    assert all("no label" in row["reason"] for row in rows_of(tmp_path / "out").values())


@pytest.mark.parametrize(
    ("case", "message"),
    [("missing", "no such folder"), ("empty", "found no volume"), ("output_is_a_file", "can't be written")],
)
def test_wrong_use_ends_with_two(
    bundle: Path, labelled_volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "output_is_a_file").write_text("")
    dataset = labelled_volumes if case == "output_is_a_file" else tmp_path / case
    output = tmp_path / case if case == "output_is_a_file" else tmp_path / "out"
    assert run_here(bundle, dataset, output) == 2
    said = capsys.readouterr().err
    assert message in said
    assert case in said
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_output_ends_with_two(
    bundle: Path, labelled_volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert run_here(bundle, labelled_volumes, tmp_path / "locked" / "out") == 2
    assert "without write permission" in capsys.readouterr().err


def test_missing_weights_end_with_two_and_say_how_to_get_them(
    bundle: Path, labelled_volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(tmp_path / "models" / "none.pt")
    assert run_here(bundle, labelled_volumes, tmp_path / "out", **{"checkpointloader#load_path": weights}) == 2
    said = capsys.readouterr().err
    assert "none.pt" in said
    official = read_json(bundle / "configs" / "inference.json")["official_checkpoint"]
    assert (f"import-checkpoint {official}" if official else "fix: train") in said
    assert "pranet-monai train" in said


def test_misspelt_option_ends_with_two(bundle: Path, labelled_volumes: Path, tmp_path: Path) -> None:
    options = ("--dataset_dir", str(labelled_volumes), "--output_dri", str(tmp_path))
    done = subprocess.run(command(bundle, *options), capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "did you mean --output_dir" in done.stderr


def test_killed_run_goes_on(bundle: Path, tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    cases = [f"case{number}" for number in range(6)]
    for number, case in enumerate(cases):
        nib.save(image_like((40, 36, 2), seed=number), data / f"{case}.nii.gz")
    options = ("--dataset_dir", str(data), "--output_dir", str(output))
    process = subprocess.Popen(command(bundle, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first = output / "case0_seg.nii.gz"
    deadline = time.monotonic() + 120
    while not first.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()

    finished = {path.name: path.stat().st_mtime_ns for path in output.glob("*_seg.nii.gz")}
    assert 0 < len(finished) < len(cases), "the run must be killed half-way for this test to say something"
    for name in finished:
        np.asarray(nib.load(output / name).dataobj)  # every file under its own name is whole

    assert run_here(bundle, data, output, resume=True, **{"report#previews": False}) == 0
    rows = rows_of(output)
    assert sorted(rows) == cases
    for case in cases:
        mask = output / f"{case}_seg.nii.gz"
        kept = mask.name in finished
        # a mask whose row the kill has cost is measured again: "ok", as a case that wasn't begun
        assert rows[case]["status"] in (("skipped", "ok") if kept else ("ok",))
        assert not kept or mask.stat().st_mtime_ns == finished[mask.name]
        image = nib.load(mask)
        voxel_ml = abs(np.linalg.det(image.affine[:3, :3])) / 1000
        for organ, classes in organs_of(bundle).items():
            voxels = np.isin(np.asarray(image.dataobj), classes).sum()
            assert float(rows[case][f"volume_ml_{organ}"]) == pytest.approx(voxels * voxel_ml, rel=1e-5)
