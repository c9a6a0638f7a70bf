# SPDX-License-Identifier: Apache-2.0
"""The report of a run: rows on disk as cases finish, summary, previews and page at the end."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np

from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.errors import UsageError
from pranet_monai.metrics import case_metrics, summarise
from pranet_monai.metrics.masks import MissedPolicy
from pranet_monai.metrics.paper import PAPER_VOLUME_NOTE, paper_case_metrics, summarise_paper
from pranet_monai.metrics.surface import DEFAULT_TOLERANCE_MM, HD95Definition
from pranet_monai.reports.cardiac import CARDIAC_COLUMNS, ORGANS, cardiac_rows
from pranet_monai.reports.cardiac_page import write_patient_pages
from pranet_monai.reports.definitions import definitions
from pranet_monai.reports.measures import VOLUMES
from pranet_monai.reports.page import write_page
from pranet_monai.reports.previews import draw_preview
from pranet_monai.reports.run_info import environment, weights_record
from pranet_monai.reports.views import voxel_sizes
from pranet_monai.storage.tables import CaseTable, Row, read_csv, write_atomically, write_csv, write_json

__all__ = ["RunReport"]

CASE_COLUMNS = ["case", "status", "reason", "seconds"]
ORGAN_COLUMNS = ["voxels", "volume_ml", "touches_border"]
METRIC_COLUMNS = [
    *("case", "organ", "status", "dice", "iou", "hd95_mm", "assd_mm", "nsd"),
    *("volume_ml", "reference_volume_ml", "voxels", "reference_voxels", "touches_border"),
]
PAPER_COLUMNS = ["paper_dice", "paper_iou", "paper_hd95_voxels", "paper_assd_voxels"]
KEPT = "kept from an earlier run"


class RunReport:
    """Collects what a run did, in ``<output_dir>/report``.

    ``cases.csv`` and ``metrics.csv`` are rewritten whole after each case, under another name first: a killed run
    leaves every finished row. :meth:`finish` adds ``summary.json``, ``run.json`` and ``index.html``.

    Args:
        output_dir: folder of the run.
        label_map: organs to measure, or the name of a known map.
        definition: of HD95, "pooled" or "max".
        tolerance_mm: of NSD.
        missed: what the distances of an organ that only one of the masks holds count as.
        protocol: "paper" adds the papers' numbers, faults included, under names of their own.
        window: centre and width of the previews' grey scale; chosen from the image where ``None``.
        previews: draw a picture per case.
        dataset_dir: folder that the names of the cases are relative to; ACDC keeps there which frame is ED and ES.
        resume: keep the rows of an earlier run in the same folder, save those of failed cases.

    Raises:
        UsageError: when the folder can't be written, or the label map is unknown.
    """

    vocabulary = VOLUMES
    organ_columns = ORGAN_COLUMNS
    metric_columns = METRIC_COLUMNS

    def __init__(
        self,
        output_dir: str | Path,
        label_map: LabelMap | str,
        *,
        definition: HD95Definition = "pooled",
        tolerance_mm: float = DEFAULT_TOLERANCE_MM,
        missed: MissedPolicy = "diagonal",
        protocol: Literal["paper"] | None = None,
        window: tuple[float, float] | None = None,
        previews: bool = True,
        dataset_dir: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        self.folder = Path(output_dir) / "report"
        if protocol not in (None, "paper"):
            raise UsageError(f"protocol={protocol!r}: allowed are None and 'paper'")
        self.label_map = get_label_map(label_map)
        self.protocol = protocol
        self.metric_options: dict[str, Any] = {"definition": definition, "tolerance_mm": tolerance_mm, "missed": missed}
        self.window = window
        self.previews = previews
        self.dataset_dir = None if dataset_dir is None else Path(dataset_dir).expanduser()
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._cases, self._metrics = self._open_tables(resume)

    @property
    def exit_code(self) -> int:
        """0 when every case is good, 1 when some failed."""
        return int(any(row["status"] == "failed" for row in self._cases.rows))

    def add_case(
        self,
        case: str,
        prediction: np.ndarray,
        affine: np.ndarray | None,
        image: np.ndarray | None = None,
        reference: np.ndarray | None = None,
        seconds: float | None = None,
    ) -> None:
        """Measure, draw and record a finished case.

        Args:
            case: its name, ``sub/folder/stem``.
            prediction: label indices (H, W, D), on the grid of the input file.
            affine: voxel index to mm, shape (4, 4); ``None`` for a photograph stored as (column, row, 1): 1 mm pixels.
            image: grey values (H, W, D) or colours (H, W, D, 3), for the preview.
            reference: expert's label indices (H, W, D); gives the case its rows of metrics.
            seconds: time that the case took.

        Raises:
            BadCaseError: when reference and prediction don't fit together, or hold labels outside the map.
        """
        organs = self._measure(prediction, affine, reference)
        self._record(case, organs, prediction, affine, image, reference, seconds)

    def _record(
        self,
        case: str,
        organs: list[Row],
        prediction: np.ndarray,
        affine: np.ndarray | None,
        image: np.ndarray | None,
        reference: np.ndarray | None,
        seconds: float | None,
    ) -> None:
        """Draw and write down what was measured; the arrays as in :meth:`add_case`."""
        if self.previews:
            legend = {row["organ"]: self._legend_note(row) for row in organs}
            png = draw_preview(case, prediction, affine, self.label_map, image, reference, self.window, legend)
            write_atomically(self.preview_path(case), png)
        # Metrics first: a case that cases.csv calls good then has its rows, whenever the run is killed.
        if reference is None:
            self._metrics.drop([case])
        else:
            self._metrics.put(case, [{"case": case, **organ} for organ in organs])
        row: Row = {"case": case, "status": "ok", "reason": "", "seconds": seconds}
        row |= {f"{name}_{organ['organ']}": organ[name] for organ in organs for name in self.organ_columns}
        self._cases.put(case, [row])

    def add_failure(self, case: str, reason: str | Exception) -> None:
        """Record a case that couldn't be processed, with a reason that a person can act on."""
        self._metrics.drop([case])
        self.preview_path(case).unlink(missing_ok=True)
        reason = " ".join(str(reason).split()) or type(reason).__name__
        self._cases.put(case, [{"case": case, "status": "failed", "reason": reason}])

    def skip(self, case: str, mask: str | Path | None = None) -> None:
        """Record a case that an earlier run has finished.

        Its former rows stay. Where there are none (their report was deleted), the mask is measured again.

        Args:
            case: its name.
            mask: the mask that the earlier run has written.
        """
        if case not in self._cases and mask is not None:
            self._measure_again(case, mask)
        former = self._cases[case][0] if case in self._cases else {"case": case}
        self._cases.put(case, [{**former, "status": "skipped", "reason": KEPT}])

    def _measure_again(self, case: str, mask: str | Path) -> None:
        volume = nib.Nifti1Image.from_filename(mask)
        self.add_case(case, np.asarray(volume.dataobj), volume.affine)

    def absorb(self, folder: Path) -> None:
        """Take over the rows and pictures of a report on other cases of the same run, and remove its folder.

        A run on several devices has a report per process until it ends.

        Args:
            folder: the ``report`` folder of another process.
        """
        metrics = CaseTable(folder / "metrics.csv", self._metrics.columns)
        for row in read_csv(folder / "cases.csv"):
            case = row["case"]
            if row["status"] == "skipped" and case in self._cases:  # our row knows more than a mask measured again
                self.skip(case)
                continue
            preview = folder / "previews" / f"{case}.png"
            if preview.is_file():
                self.preview_path(case).parent.mkdir(parents=True, exist_ok=True)
                os.replace(preview, self.preview_path(case))
            if case in metrics:
                self._metrics.put(case, metrics[case])
            self._cases.put(case, [row])
        shutil.rmtree(folder)

    def finish(self, run_info: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Write ``summary.json`` (where references were given), ``run.json`` and ``index.html``.

        A label map of the heart's chambers adds ``cardiac.csv`` and a page per patient.

        Args:
            run_info: what the caller knows of the run: ``options``, ``weights`` (a path, recorded with its hash) ...

        Returns:
            ``report`` (the folder), ``cases`` (count per status) and ``summary`` (or ``None``).
        """
        counts = dict.fromkeys(("ok", "failed", "skipped"), 0)
        for row in self._cases.rows:
            counts[row["status"]] += 1
        rows = self._metrics.rows
        summary = None
        if rows:
            summary = self._summary(rows)
            write_json(self.folder / "summary.json", summary)
        run = self._run_record(dict(run_info or {}), counts)
        write_json(self.folder / "run.json", run)
        cardiac = self._write_cardiac(rows)
        write_page(self.folder, self.label_map, self._cases.rows, rows, summary, run, cardiac, self.vocabulary)
        return {"report": str(self.folder), "cases": counts, "summary": summary}

    def _summary(self, rows: list[Row]) -> dict[str, Any]:
        """What ``summary.json`` says of the rows of metrics."""
        summary = {"definitions": definitions(**self.metric_options), **summarise(rows)}
        if self.protocol == "paper":
            summary["paper"] = {"note": PAPER_VOLUME_NOTE, **summarise_paper(rows)}
        return summary

    def _write_cardiac(self, metrics: list[Row]) -> list[Row]:
        if not set(ORGANS.values()) <= set(self.label_map.organs):
            return []
        rows = cardiac_rows(self._cases.rows, metrics, self.dataset_dir)
        if rows:
            write_csv(self.folder / "cardiac.csv", rows, CARDIAC_COLUMNS)
            write_patient_pages(self.folder, rows)
        return rows

    def preview_path(self, case: str) -> Path:
        """Where the picture of a case lies."""
        return self.folder / "previews" / f"{case}.png"

    def _open_tables(self, resume: bool) -> tuple[CaseTable, CaseTable]:
        """Cases and metrics; nothing of an earlier run may stand beside their rows but what they agree with."""
        stale = ["summary.json", "run.json", "index.html", "cardiac.csv", "patients"]
        stale += [] if resume else ["cases.csv", "metrics.csv", "previews"]
        columns = [f"{name}_{organ}" for organ in self.label_map.organs for name in self.organ_columns]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for path in (self.folder / name for name in stale):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            cases = CaseTable(self.folder / "cases.csv", CASE_COLUMNS + columns)
            cases.drop([row["case"] for row in cases.rows if row["status"] == "failed"])
            cases.write()
        except OSError as error:
            raise UsageError(
                f"output folder {self.folder} can't be written ({error.strerror or error}); "
                "choose a folder that you may write to"
            ) from error
        paper = PAPER_COLUMNS if self.protocol == "paper" else []
        return cases, CaseTable(self.folder / "metrics.csv", self.metric_columns + paper)

    def _measure(self, prediction: np.ndarray, affine: np.ndarray | None, reference: np.ndarray | None) -> list[Row]:
        affine = np.eye(4) if affine is None else affine
        # the determinant, as a tilted gantry shears the voxels: their edges alone would say too much
        spacing, voxel_ml = voxel_sizes(affine), abs(float(np.linalg.det(affine[:3, :3]))) / 1000
        organs, labels = self.label_map.organs, list(self.label_map.labels)
        rows = case_metrics(
            prediction, reference, organs, spacing, labels=labels, voxel_ml=voxel_ml, **self.metric_options
        )
        if self.protocol == "paper" and reference is not None:
            paper = paper_case_metrics(prediction, reference, organs)
            rows = [row | as_in_paper for row, as_in_paper in zip(rows, paper, strict=True)]
        return rows

    def _run_record(self, run_info: dict[str, Any], counts: Mapping[str, int]) -> Row:
        weights = run_info.pop("weights", None)
        return {
            "started": self._started.isoformat(timespec="seconds"),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 3),
            "cases": dict(counts),
            "label_map": self.label_map.name,
            "weights": weights_record(weights) if isinstance(weights, (str, Path)) else weights,
            **environment(),
            **run_info,
            "seconds_per_case": {row["case"]: row.get("seconds") for row in self._cases.rows},
        }

    def _legend_note(self, row: Row) -> str:
        """What the preview's legend says beside an organ."""
        size = self.vocabulary.size
        value = row[size.key]
        note = f"{value:.1f} {size.unit}" if value < 10 and size.decimals else f"{value:.0f} {size.unit}"
        if "dice" in row:
            note += f" (expert {row[f'reference_{size.key}']:.0f})"
            note += f" · Dice {row['dice']:.2f}" if row["dice"] == row["dice"] else ""
        return note
