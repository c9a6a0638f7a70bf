# SPDX-License-Identifier: Apache-2.0
"""Measures masks of any origin against expert labels, without a network."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from monai.data import MetaTensor
from monai.utils import MetaKeys
from tqdm import tqdm

from pranet_monai.apps.mask_pairs import find_mask_pairs, match_by_name, named_volumes
from pranet_monai.data.labels import LabelMap, LabelNumbers, get_label_map
from pranet_monai.data.references import read_reference
from pranet_monai.errors import BadCaseError
from pranet_monai.metrics.masks import MissedPolicy
from pranet_monai.metrics.surface import DEFAULT_TOLERANCE_MM, HD95Definition
from pranet_monai.reports import RunReport
from pranet_monai.reports.text import results_table
from pranet_monai.transforms.load import FRAMES, read_volume

__all__ = ["evaluate", "run"]

GRID_TOLERANCE_MM = 0.05  # headers round differently


def evaluate(
    predictions: str | Path,
    labels: str | Path,
    label_map: LabelMap | str,
    *,
    output_dir: str | Path = "evaluation",
    images: str | Path | None = None,
    definition: HD95Definition = "pooled",
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    missed: MissedPolicy = "diagonal",
    protocol: Literal["paper"] | None = None,
    prediction_numbers: LabelNumbers = "classes",
    previews: bool = True,
    quiet: bool = False,
) -> tuple[dict[str, Any], int]:
    """Compare a folder of masks with a folder of labels and write the report.

    Cases are paired by name. A case that can't be measured, or has one mask only, is a failed row of the report.

    Args:
        predictions: folder of masks.
        labels: folder of the experts' masks. A file with a label table in its header, as this project writes it, holds
            class numbers; any other the data set's own numbers, unless the label map says otherwise.
        label_map: organs to measure, or the name of a known map; see also :meth:`LabelMap.of_class_numbers`.
        output_dir: gets ``report/``.
        images: folder of the images, to draw the masks on.
        definition: of HD95, "pooled" or "max".
        tolerance_mm: of NSD.
        missed: what the distances of an organ that only one of the masks holds count as.
        protocol: "paper" adds the papers' numbers under names of their own.
        prediction_numbers: what the predictions hold: "classes", those of the label map, or "raw", the data set's own.
        previews: draw a picture per case.
        quiet: show no progress bar.

    Returns:
        What :meth:`RunReport.finish` returns, and the exit code: 0, or 1 when a case failed.

    Raises:
        UsageError: when a folder can't be used, no names match, or the label map is unknown.
    """
    found = find_mask_pairs(predictions, labels)
    pictures = _pictures(images, found.pairs)
    report = RunReport(
        output_dir, label_map, definition=definition, tolerance_mm=tolerance_mm, missed=missed, protocol=protocol,
        previews=previews, dataset_dir=predictions,
    )  # fmt: skip
    for case, path in found.without_label.items():
        report.add_failure(case, f"{path}: found no label of this name in {labels}")
    for case, path in found.without_prediction.items():
        report.add_failure(case, f"{path}: found no prediction of this name in {predictions}")
    progress = tqdm(found.pairs.items(), desc="evaluate", unit="case", file=sys.stderr, disable=quiet)
    for case, (prediction, label) in progress:
        try:
            _add_case(report, case, prediction, label, pictures.get(case), prediction_numbers)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one case is a row of the report
            report.add_failure(case, error if isinstance(error, BadCaseError) else f"{type(error).__name__}: {error}")
            progress.write(f"failed: {case}: {error}", file=sys.stderr)
    options = {"predictions": predictions, "labels": labels, "images": images, "protocol": protocol}
    options |= {"prediction_numbers": prediction_numbers}
    return report.finish({"options": options | report.metric_options}), report.exit_code


def _pictures(images: str | Path | None, cases: Mapping[str, Any]) -> dict[str, Path]:
    if images is None:
        return {}
    found = named_volumes(images, "images")
    return {case: found[name] for case, name in match_by_name(cases, found).items()}


def _add_case(
    report: RunReport, case: str, prediction: Path, label: Path, picture: Path | None, numbers: LabelNumbers
) -> None:
    """Measure one pair; the frames of a cine have rows of their own."""
    start = time.perf_counter()
    loaded = read_volume(prediction)
    masks = loaded.as_tensor().numpy()
    if numbers == "raw":
        masks = report.label_map.from_raw(masks, str(prediction))
    report.label_map.validate(masks, str(prediction))
    references = read_reference(label, loaded, report.label_map)
    image = None if picture is None else _image(picture, loaded)
    affine = np.asarray(loaded.meta[MetaKeys.ORIGINAL_AFFINE], dtype=float)
    for frame, mask in enumerate(masks.astype(np.uint8)):
        report.add_case(
            f"{case}_frame{frame + 1:02d}" if FRAMES in loaded.meta else case, mask, affine,
            None if image is None else image[frame], references[frame], round(time.perf_counter() - start, 3),
        )  # fmt: skip


def _image(path: Path, mask: MetaTensor) -> np.ndarray | None:
    """The image (frames, H, W, D); ``None``, with a warning, where it can't be read or doesn't lie under the mask."""
    try:
        image = read_volume(path)
    except BadCaseError as error:
        tqdm.write(f"warning: drawn without its image: {error}", file=sys.stderr)
        return None
    affines = [np.asarray(volume.meta[MetaKeys.ORIGINAL_AFFINE], dtype=float) for volume in (image, mask)]
    if image.shape == mask.shape and np.allclose(affines[0], affines[1], atol=GRID_TOLERANCE_MM):
        return np.asarray(image.as_tensor().numpy())
    tqdm.write(
        f"warning: drawn without its image: {path}: found shape {tuple(image.shape)}, affine "
        f"{affines[0].round(3).tolist()}; the mask has {tuple(mask.shape)}, {affines[1].round(3).tolist()}",
        file=sys.stderr,
    )
    return None


def run(args: argparse.Namespace) -> int:
    """Evaluates and prints the table."""
    result, exit_code = evaluate(
        args.predictions, args.labels, get_label_map(args.label_map, args.label_numbers), output_dir=args.output,
        images=args.images, definition=args.hd95, tolerance_mm=args.tolerance_mm, missed=args.missed,
        protocol=args.protocol, prediction_numbers=args.prediction_numbers, previews=not args.no_previews,
        quiet=args.quiet,
    )  # fmt: skip
    print("\n".join(results_table(result["summary"])) if result["summary"] else "No case could be measured.")
    counts = ", ".join(f"{number} {status}" for status, number in result["cases"].items() if number)
    print(f"{counts}; report: {Path(result['report']) / 'index.html'}")
    return exit_code
