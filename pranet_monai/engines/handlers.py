# SPDX-License-Identifier: Apache-2.0
"""Handlers of ``CaseEvaluator``: the report's rows and the progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from ignite.engine import Events
from monai.data import MetaTensor
from monai.utils import CommonKeys, MetaKeys
from tqdm import tqdm

from pranet_monai.data.labels import LabelMap, get_label_map
from pranet_monai.data.references import read_reference
from pranet_monai.engines.case_dataset import CASE, DONE_MASK
from pranet_monai.engines.case_evaluator import CaseEvaluator, CaseEvents
from pranet_monai.transforms.files import open_nifti
from pranet_monai.transforms.load import FRAMES, ORIGINAL_SHAPE

if TYPE_CHECKING:
    from pranet_monai.reports import RunReport

__all__ = ["ProgressHandler", "ReportHandler"]


class ReportHandler:
    """Hands each case to the report as it ends.

    A 4D cine becomes a row per frame, ``<case>_frame01``, …, counted from 1 as in ACDC's file names, so that the table
    shows volumes over time. A case with a label file gets its metrics, on the grid of the file.

    Args:
        report: takes the rows.
        label_map: the classes, or their name.
    """

    def __init__(self, report: RunReport, label_map: str | LabelMap) -> None:
        self.report = report
        self.label_map = get_label_map(label_map)

    def attach(self, engine: CaseEvaluator) -> None:
        """Listens to how cases end."""
        engine.add_event_handler(CaseEvents.CASE_COMPLETED, self.completed)
        engine.add_event_handler(CaseEvents.CASE_FAILED, self.failed)
        engine.add_event_handler(CaseEvents.CASE_SKIPPED, self.skipped)

    def completed(self, engine: CaseEvaluator) -> None:
        """Measures the mask, against the label where there is one."""
        item, prediction = engine.state.batch[0], engine.state.output[0][CommonKeys.PRED]
        affine = np.asarray(prediction.meta[MetaKeys.ORIGINAL_AFFINE], dtype=float)
        masks = prediction.numpy(force=True).astype(np.uint8, copy=False)
        images = _as_in_file(item[CommonKeys.IMAGE])
        label = item.get(CommonKeys.LABEL)
        references = read_reference(label, prediction, self.label_map) if label else None
        seconds = engine.state.seconds / len(masks)
        for channel, name in enumerate(_row_names(item[CASE], prediction)):
            self.report.add_case(
                name,
                masks[channel],
                affine,
                image=images[channel],
                reference=None if references is None else references[channel],
                seconds=seconds,
            )

    def failed(self, engine: CaseEvaluator) -> None:
        """Notes why the case failed."""
        self.report.add_failure(engine.state.case, engine.state.reason)

    def skipped(self, engine: CaseEvaluator) -> None:
        """Notes that an earlier run has finished the case."""
        case, mask = engine.state.case, engine.state.batch[DONE_MASK][0]
        shape = open_nifti(mask).shape
        if len(shape) < 4:
            self.report.skip(case, mask)
            return
        for frame in range(shape[3]):
            self.report.skip(_frame_name(case, frame, shape[3]))


class ProgressHandler:
    """A progress bar on stderr, and a line for each case that fails.

    Args:
        quiet: no bar; the failures are still named.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def attach(self, engine: CaseEvaluator) -> None:
        """Listens to how cases end."""
        engine.add_event_handler(Events.STARTED, self.started)
        for event in CaseEvents:
            engine.add_event_handler(event, self.ended)
        engine.add_event_handler(CaseEvents.CASE_FAILED, self.failed)
        engine.add_event_handler(Events.COMPLETED, self.finished)

    def started(self, engine: CaseEvaluator) -> None:
        """Draws the empty bar."""
        self.bar = tqdm(total=engine.state.epoch_length, desc="cases", unit="case", file=sys.stderr, disable=self.quiet)

    def ended(self, engine: CaseEvaluator) -> None:
        """Moves on by one case."""
        self.bar.set_postfix_str(engine.state.case, refresh=False)
        self.bar.update()

    def failed(self, engine: CaseEvaluator) -> None:
        """Writes the reason above the bar."""
        self.bar.write(f"failed: {engine.state.case}: {engine.state.reason}", file=sys.stderr)

    def finished(self, engine: CaseEvaluator) -> None:
        """Leaves the full bar on the screen."""
        self.bar.close()


def _row_names(case: str, prediction: MetaTensor) -> Iterator[str]:
    """One name for a volume, one per frame for a cine."""
    if FRAMES not in prediction.meta:
        yield case
        return
    frames = np.asarray(prediction.meta[FRAMES]).astype(int).tolist()
    count = int(np.asarray(prediction.meta[ORIGINAL_SHAPE])[3])
    yield from (_frame_name(case, frame, count) for frame in frames)


def _frame_name(case: str, frame: int, count: int) -> str:
    return f"{case}_frame{frame + 1:0{max(2, len(str(count)))}d}"


def _as_in_file(image: MetaTensor) -> np.ndarray:
    """The preprocessed image (frames, H, W, D) with its axes back in the order and direction of the file."""
    wanted = nib.io_orientation(np.asarray(image.meta[MetaKeys.ORIGINAL_AFFINE]))
    turn = nib.orientations.ornt_transform(nib.io_orientation(np.asarray(image.affine)), wanted)
    array = image.numpy(force=True)
    return np.stack([nib.orientations.apply_orientation(frame, turn) for frame in array])
