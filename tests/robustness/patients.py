# SPDX-License-Identifier: Apache-2.0
"""A folder of all that a run writes rows and masks of, and what must not depend on how a run came to its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pranet_monai.storage.tables import Row, read_csv

from .heart import block, save, voxels

TELLS_OF_TIME = ("seconds", "network_seconds", "status", "reason")


def write_patients(folder: Path, count: int = 6) -> Path:
    """Volumes with and without reference, one of them in a sub-folder, a cine with its reference, and a bad file."""
    (folder / "ward").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        noisy = voxels() + rng.integers(0, 20, voxels().shape).astype(np.int16)
        save(folder / "ward" if number == 1 else folder, noisy, name=f"p{number}.nii.gz")
        if number % 2:
            save(folder / "ward" if number == 1 else folder, block().astype(np.uint8), name=f"p{number}_gt.nii.gz")
    cine = np.stack([block(), block()], -1)
    save(folder, np.where(cine, 90, 5).astype(np.int16), name="cine.nii.gz")
    save(folder, cine.astype(np.uint8), name="cine_gt.nii.gz")
    (folder / "bad.nii.gz").write_bytes(b"no volume")
    return folder


def outcome(output: Path) -> dict[str, object]:
    """Rows, metrics, masks and pictures of a run; of the rows what tells of the time and the order is left out."""
    report = output / "report"
    files = [path for path in output.rglob("*") if path.is_file() and path.suffix in (".gz", ".png")]
    return {
        "cases": by_case(report / "cases.csv"),
        "metrics": by_case(report / "metrics.csv"),
        "files": {path.relative_to(output).as_posix(): path.read_bytes() for path in files},
        "hidden": [path for path in output.rglob(".*") if path.name not in (".lock", ".cases.json")],
    }


def by_case(table: Path) -> dict[tuple[str, str], Row]:
    return {
        (row["case"], str(row.get("organ"))): {name: row[name] for name in row if name not in TELLS_OF_TIME}
        for row in read_csv(table)
    }


def check_whole(output: Path) -> None:
    """What holds at any moment: a row that says "ok" has its mask, and no mask is half."""
    import nibabel as nib

    for row in read_csv(output / "report" / "cases.csv"):
        name = row["case"].split("_frame")[0]
        if row["status"] != "failed":
            assert (output / f"{name}_seg.nii.gz").is_file(), row["case"]
    for mask in output.rglob("[!.]*_seg.nii.gz"):
        np.asarray(nib.load(mask).dataobj)
