# SPDX-License-Identifier: Apache-2.0
"""One function processes one case: network, mask, measures and picture. All schedules of cases call it."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer, SimpleInferer
from monai.networks.utils import eval_mode
from monai.utils import CommonKeys
from pranet_monai.data.labels import get_label_map
from pranet_monai.engines.case_dataset import CASE, ERROR, FINISHED_MASK, FINISHED_ROWS, ITEM, LOADING_SECONDS
from pranet_monai.errors import BadCaseError, NetworkError, full_disk_in, reason_of
from pranet_monai.forms import form_of
from pranet_monai.forms.grid import FRAMES, original_affine, references_by_frame
from pranet_monai.forms.remarks import remarks_of, remarks_of_error
from pranet_monai.inferers import WatchableInferer
from pranet_monai.quality import Evidence, QualityJudge, segment_with_evidence
from pranet_monai.reports.case_result import CaseMeasurer, CaseResult, MeasuredRow
from pranet_monai.transforms.save import PROBABILITIES, QUALITY_MAP

__all__ = ["EVIDENCE", "NETWORK_SECONDS", "CaseRunner"]

_log = logging.getLogger(__name__)

NETWORK_SECONDS = "network_seconds"
"""How long the network took for a case, in any process."""
_WAITING_SECONDS = "waiting_seconds"  # that a case in another process stood in line for the network

EVIDENCE = "evidence"
"""The key of what a mask's quality is judged by."""

Answer = Callable[[torch.Tensor], dict[str, Any]]
"""From a preprocessed image (C, H, W, D) or (C, H, W) to ``pred`` and whatever else the network gives."""


class CaseRunner:
    """Processes cases, one at a time. A fault of one case is in its result; a fault of all cases is raised.

    Args:
        network: in any mode, with its weights.
        measurer: measures and draws; None leaves that out.
        inferer: default: the network on the whole input.
        postprocessing: the transforms that make labels, turn them back, save and so on.
        device: where the network runs.
        quality: estimates the quality of the masks; None leaves that out.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        measurer: CaseMeasurer | None,
        inferer: Inferer | None = None,
        postprocessing: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        device: torch.device | str = "cpu",
        quality: QualityJudge | None = None,
    ) -> None:
        self.network = network
        self.measurer = measurer
        self.inferer = SimpleInferer() if inferer is None else inferer
        self.postprocessing = postprocessing
        self.device = torch.device(device)
        self.quality = quality if quality is not None and quality.gathers else None
        self._ask: Answer | None = None

    def asking(self, ask: Answer) -> CaseRunner:
        """The same runner for another process, without the network: another process gives its answers.

        Args:
            ask: what :meth:`answer` is there.
        """
        runner = copy.copy(self)
        runner.network, runner.inferer, runner._ask = torch.nn.Identity(), SimpleInferer(), ask
        return runner

    def run(self, item: Mapping[str, Any]) -> CaseResult:
        """Processes one case.

        Args:
            item: of a ``CaseDataset``.

        Returns:
            What became of it.

        Raises:
            NetworkError: the network can't be run as asked, with this case or any other.
        """
        case, started = item[CASE], time.perf_counter() - item.get(LOADING_SECONDS, 0.0)
        try:
            if ERROR in item:
                raise BadCaseError(item[ERROR])
            if FINISHED_ROWS in item:
                return CaseResult(case, "skipped", rows=[MeasuredRow(name) for name in item[FINISHED_ROWS]])
            done = self._finished(item)
            if done is None:
                done = self.segment(item)
            result = self._measured(item, done)
            started += done.get(_WAITING_SECONDS, 0.0)
        except NetworkError:
            raise
        except Exception as error:  # whatever is wrong with one case is a row of the report
            if full_disk := full_disk_in(error):  # no case after this one could be better
                raise full_disk from error
            _log.debug("case %s failed", case, exc_info=True)
            remarks = _all_remarks(item.get(CommonKeys.IMAGE), item, remarks_of_error(error))
            return CaseResult(case, "failed", reason_of(error), remarks=remarks)
        rows, network = max(1, len(result.rows)), done.get(NETWORK_SECONDS)
        network_seconds = None if network is None else network / rows
        return replace(result, seconds=(time.perf_counter() - started) / rows, network_seconds=network_seconds)

    def segment(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The network's answer on one preprocessed case, through the postprocessing, under ``pred``.

        Where its quality is judged, what that is done by is under ``evidence``.

        Args:
            item: with ``image`` (C, H, W, D) or (C, H, W).
        """
        asked = time.perf_counter()
        answer = (self._ask or self.answer)(item[CommonKeys.IMAGE])
        waiting = time.perf_counter() - asked - answer[NETWORK_SECONDS]
        done: Mapping[str, Any] = {**item, **answer, _WAITING_SECONDS: waiting}
        return dict(done if self.postprocessing is None else self.postprocessing(done))

    def answer(self, image: torch.Tensor) -> dict[str, Any]:
        """What the network gives for a preprocessed image (C, H, W, D) or (C, H, W): ``pred``, and how long it took."""
        started = time.perf_counter()
        with eval_mode(self.network):
            answer = self._answer(image.to(self.device)[None])
        return {**answer, NETWORK_SECONDS: time.perf_counter() - started}

    def _answer(self, image: torch.Tensor) -> dict[str, Any]:
        if self.quality is None:
            return {CommonKeys.PRED: self.inferer(image, self.network)[0]}
        answer, evidence, confidence = segment_with_evidence(
            cast(WatchableInferer, self.inferer), image, self.quality.network, self.quality.wants_map
        )
        maps = {} if confidence is None else {QUALITY_MAP: confidence[0]}
        return {CommonKeys.PRED: answer[0], EVIDENCE: evidence, **maps}

    def _finished(self, item: Mapping[str, Any]) -> dict[str, Any] | None:
        """A mask of an earlier run in place of the network's answer, where it is all that is measured."""
        if FINISHED_MASK not in item or self.measurer is None or self.quality is not None:
            return None  # a mask alone doesn't say how sure the network was
        if self.measurer.kind.takes_probabilities and CommonKeys.LABEL in item:
            return None
        mask = form_of(item[ITEM]).read_mask({**item[ITEM], "label": item[FINISHED_MASK]})
        if FRAMES in item[CommonKeys.IMAGE].meta:
            frames = np.asarray(item[CommonKeys.IMAGE].meta[FRAMES]).astype(int)
            mask = MetaTensor(mask.as_tensor()[frames], meta={**mask.meta, FRAMES: frames})
        return {**item, CommonKeys.PRED: mask}

    def _measured(self, item: Mapping[str, Any], done: Mapping[str, Any]) -> CaseResult:
        """A row for the case, or for each frame of a cine; a bad reference costs the metrics, not the volumes."""
        if self.measurer is None:
            return CaseResult(item[CASE], "ok")
        references, reason, bad_reference = None, "", []
        reference = form_of(item[ITEM]).reference_fingerprint(item[ITEM], self.measurer.label_map)
        if CommonKeys.LABEL in item:
            label_map = get_label_map(item.get("label_map", self.measurer.label_map))
            try:
                classes = form_of(item[ITEM]).read_reference(item[ITEM], done[CommonKeys.PRED], label_map)
                references = references_by_frame(classes, done[CommonKeys.PRED])
            except BadCaseError as error:
                reason, bad_reference = str(error), [f"reference: {remark}" for remark in error.remarks]
        rows = self._rows(self.measurer, item, done, references)
        remarks = _all_remarks(item[CommonKeys.IMAGE], done[CommonKeys.PRED], bad_reference)
        status: Literal["failed", "ok"] = "failed" if reason else "ok"
        return CaseResult(item[CASE], status, reason, rows=rows, remarks=remarks, reference=reference)

    def _rows(
        self,
        measurer: CaseMeasurer,
        item: Mapping[str, Any],
        done: Mapping[str, Any],
        references: Sequence[np.ndarray | None] | None,
    ) -> list[MeasuredRow]:
        form, prediction = form_of(item[ITEM]), done[CommonKeys.PRED]
        takes_probabilities = measurer.kind.takes_probabilities
        measured = done.get(PROBABILITIES, prediction) if takes_probabilities else prediction
        masks = measured.numpy(force=True) if takes_probabilities else _class_numbers(prediction)
        affine = original_affine(prediction) if form.kind == "volume" else None
        images = form.as_in_file(item[CommonKeys.IMAGE])
        rows = [
            measurer.measure(
                name, masks[index], affine, images[index], None if references is None else references[index]
            )
            for index, name in enumerate(measurer.folder.row_names(item[ITEM], prediction))
        ]
        evidence: Evidence | None = done.get(EVIDENCE)
        if self.quality is None or not self.quality.is_on or evidence is None:
            return rows
        judged = [self.quality.judge(evidence, frame, row.organs, masks[frame].size) for frame, row in enumerate(rows)]
        for paths, one in zip(measurer.folder.dicom([row.name for row in rows]), judged):
            form.note_quality(paths, one.expected_dice)
        return [row.judged(one.expected_dice, one.review) for row, one in zip(rows, judged)]


def _class_numbers(prediction: torch.Tensor) -> np.ndarray:
    return np.asarray(prediction.numpy(force=True).astype(np.uint8, copy=False))


def _all_remarks(*sources: Any) -> list[str]:
    """The remarks on a case, each once: of what was loaded and made, of an item that failed, or a list of them."""
    found = [source if isinstance(source, list) else remarks_of(source) for source in sources]
    return list(dict.fromkeys(remark for remarks in found for remark in remarks))
