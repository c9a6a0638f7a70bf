# SPDX-License-Identifier: Apache-2.0
"""Quality of a mask, estimated without a reference from the pass that made it."""

from pranet_monai.quality.calibration import Calibration, read_calibration, write_calibration
from pranet_monai.quality.evidence import Evidence, segment_with_evidence
from pranet_monai.quality.judge import Judgement, QualityJudge

__all__ = [
    "Calibration",
    "Evidence",
    "Judgement",
    "QualityJudge",
    "read_calibration",
    "segment_with_evidence",
    "write_calibration",
]
