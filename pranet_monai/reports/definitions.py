# SPDX-License-Identifier: Apache-2.0
"""What each number of a report means, in words that stand beside the numbers."""

from __future__ import annotations

__all__ = ["definitions"]

HD95 = {
    "pooled": "95th percentile of the surface distances of both directions taken together (medpy, the papers), mm",
    "max": "the larger of the two directed 95th percentiles of surface distances (MONAI, Metrics Reloaded), mm",
}
MISSED = {
    "diagonal": "counts with the diagonal of the volume as its HD95 and ASSD",
    "inf": "counts with an infinite HD95 and ASSD, which leaves their mean undefined",
    "nan": "leaves HD95 and ASSD, and their mean, undefined",
}


def definitions(definition: str, tolerance_mm: float, missed: str) -> dict[str, str]:
    """Describe the metrics of a report.

    Args:
        definition: of HD95, "pooled" or "max".
        tolerance_mm: of NSD.
        missed: policy for an organ that only one of the masks holds.

    Returns:
        Name of the metric or rule → its definition.
    """
    return {
        "grid": "all metrics are computed on the whole 3D volume; distances use the voxel size in the file's "
        "header, with perpendicular axes (a tilted gantry's are not: there distances are approximate)",
        "dice": "2 |P∩R| / (|P| + |R|), 0 to 1; higher is better",
        "iou": "|P∩R| / |P∪R|, 0 to 1; higher is better",
        "hd95_mm": f"{definition}: {HD95[definition]}; lower is better",
        "assd_mm": "mean of the surface distances of both directions taken together, mm; lower is better",
        "nsd": f"share of both surfaces that lies within {tolerance_mm:g} mm of the other, 0 to 1; higher is better",
        "volume_ml": "voxels of the organ times the volume of a voxel, the affine's determinant; an organ at the edge "
        "of the volume is flagged",
        "missed": f"an organ that only the reference holds: Dice, IoU and NSD 0; {MISSED[missed]}",
        "false_positive": f"an organ that only the prediction holds: Dice, IoU and NSD 0; {MISSED[missed]}",
        "both_empty": "an organ that neither holds is left out of the mean and counted",
        "ci95": "95 % percentile bootstrap interval of the mean over the cases",
        "overall": "mean over the cases of a case's mean over its organs",
    }
