# SPDX-License-Identifier: Apache-2.0
"""Measures masks of any origin against references, without a network."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from pranet_monai.apps.endings import full_disk_exits
from pranet_monai.apps.mask_pairs import find_mask_pairs, kind_of_masks, match_by_name, named_images, with_hints
from pranet_monai.bundle_store import find_bundle
from pranet_monai.data.labels import LabelMap, LabelNumbers, get_label_map
from pranet_monai.errors import BadCaseError, full_disk_in, reason_of, unwrapped
from pranet_monai.forms import Item, KindName, form_of
from pranet_monai.forms.grid import original_affine, references_by_frame
from pranet_monai.forms.remarks import remarks_of, remarks_of_error, with_remarks
from pranet_monai.reports import KINDS, CaseMeasurer, CaseResult, MeasuredRow, RunReport, create_kind
from pranet_monai.reports.text import results_table
from tqdm import tqdm

__all__ = ["evaluate", "run"]


def evaluate(
    predictions: str | Path,
    labels: str | Path,
    label_map: LabelMap | str,
    *,
    output_dir: str | Path = "evaluation",
    images: str | Path | None = None,
    kind: KindName | None = None,
    prediction_numbers: LabelNumbers = "classes",
    previews: bool = True,
    quiet: bool = False,
    **options: Any,
) -> tuple[dict[str, Any], int]:
    """Compare a folder of masks with a folder of references and write the report.

    Cases are paired by name. A case that can't be measured, or has one mask only, is a failed row of the report.

    Args:
        predictions: folder of masks.
        labels: folder of the reference masks, in any form. A file with a label table in its header, as this project
            writes it, holds class numbers; any other the data set's own numbers, unless the label map says otherwise.
        label_map: organs to measure, or the name of a known map; see also :meth:`LabelMap.of_class_numbers`.
        output_dir: gets ``report/``.
        images: folder of the images, to draw the masks on.
        kind: "volume" or "image"; by default what the predictions are.
        prediction_numbers: what the predictions hold: "classes", those of the label map, or "raw", the data set's own.
        previews: draw a picture per case.
        quiet: show no progress bar.
        options: how the kind measures: of volumes ``definition`` of HD95, ``tolerance_mm`` of NSD, ``missed`` and
            ``protocol``, see :class:`~pranet_monai.reports.VolumeKind`.

    Returns:
        What :meth:`RunReport.finish` returns, and the exit code: 0, or 1 when a case failed.

    Raises:
        UsageError: when a folder can't be used, no names match, the label map is unknown, or the kind has no use for
            an option.
    """
    kind = kind_of_masks(predictions) if kind is None else kind
    how = create_kind(kind, **options)
    found = find_mask_pairs(predictions, labels, kind)
    pictures = {} if images is None else named_images(images, kind)
    picture_of = {case: pictures[name] for case, name in match_by_name(found.pairs, pictures).items()}
    report = RunReport(
        output_dir, label_map, kind=how, previews=previews, dataset_dir=predictions, given=[labels, images]
    )
    for case, item in found.without_label.items():
        report.add(CaseResult(case, "failed", f"{item['label']}: found no label of this name in {labels}"))
    for case, item in found.without_prediction.items():
        report.add(CaseResult(case, "failed", f"{item['label']}: found no prediction of this name in {predictions}"))
    progress = tqdm(found.pairs.items(), desc="evaluate", unit="case", file=sys.stderr, disable=quiet)
    for case, (prediction, label) in progress:
        result = _compare(report.measurer, case, prediction, label, picture_of.get(case), prediction_numbers)
        report.add(result)
        if result.status == "failed":
            progress.write(f"failed: {case}: {result.reason}", file=sys.stderr)
    facts = {"predictions": predictions, "labels": labels, "images": images, "prediction_numbers": prediction_numbers}
    return report.finish({"options": facts | how.options}), report.exit_code


def _compare(
    measurer: CaseMeasurer, case: str, prediction: Item, label: Item, picture: Item | None, numbers: LabelNumbers
) -> CaseResult:
    """Measures one pair; the frames of a cine have rows of their own."""
    start = time.perf_counter()
    try:
        label = with_hints(label, measurer.label_map.name)
        reference = form_of(label).reference_fingerprint(label, measurer.label_map)
        loaded = form_of(prediction).read_prediction(prediction)
        with with_remarks(remarks_of(loaded)):
            rows = _measure(measurer, case, prediction, loaded, label, picture, numbers)
    except Exception as error:  # whatever is wrong with one case is a row of the report
        if full_disk := full_disk_in(error):  # no case after this one could be better
            raise full_disk from error
        return CaseResult(case, "failed", reason_of(error), remarks=remarks_of_error(error))
    seconds = round((time.perf_counter() - start) / len(rows), 3)
    return CaseResult(case, "ok", seconds=seconds, rows=rows, remarks=remarks_of(loaded), reference=reference)


def _measure(
    measurer: CaseMeasurer,
    case: str,
    prediction: Item,
    loaded: MetaTensor,
    label: Item,
    picture: Item | None,
    numbers: LabelNumbers,
) -> list[MeasuredRow]:
    form, label_map = form_of(prediction), measurer.label_map
    masks = loaded.numpy(force=True)
    if form.kind == "volume":
        masks = label_map.from_raw(masks, prediction["label"]) if numbers == "raw" else masks
        label_map.validate(masks, prediction["label"])
        masks = masks.astype(np.uint8)
    classes = form_of(label).read_reference(label, loaded, get_label_map(label.get("label_map", label_map)))
    references = references_by_frame(classes, loaded)
    images = None if picture is None else _image(picture, loaded)
    affine = original_affine(loaded) if form.kind == "volume" else None
    return [
        measurer.measure(name, masks[index], affine, None if images is None else images[index], references[index])
        for index, name in enumerate(measurer.folder.row_names({"case": case}, loaded))
    ]


def _image(item: Item, mask: MetaTensor) -> np.ndarray | None:
    """The image, frame by frame; ``None``, with a warning, where it can't be read or doesn't lie under the mask."""
    form = form_of(item)
    try:
        image = form.read_image(item)
        form.check_same_grid(mask, image)
    except BadCaseError as error:
        tqdm.write(f"warning: drawn without its image: {error}", file=sys.stderr)
        return None
    return form.as_in_file(image)


def _classes(args: argparse.Namespace) -> LabelMap | str:
    """Those of a known map, or of a bundle."""
    if args.bundle is None:
        return str(args.label_map)
    config = ConfigParser()
    config.read_config(find_bundle(args.bundle).config("inference"))
    with unwrapped():
        label_map: LabelMap = config.get_parsed_content("label_map")
    return label_map


def run(args: argparse.Namespace) -> int:
    """Evaluates and prints the table."""
    given = {
        "definition": args.hd95,
        "tolerance_mm": args.tolerance_mm,
        "missed": args.missed,
        "protocol": args.protocol,
    }
    with full_disk_exits("then run it again"):
        result, exit_code = evaluate(
            args.predictions, args.labels, get_label_map(_classes(args), args.label_numbers), output_dir=args.output,
            images=args.images, prediction_numbers=args.prediction_numbers, previews=not args.no_previews,
            quiet=args.quiet, **{name: value for name, value in given.items() if value is not None},
        )  # fmt: skip
    summary, vocabulary = result["summary"], KINDS[result["kind"]].vocabulary
    print("\n".join(results_table(summary, vocabulary)) if summary else "No case could be measured.")
    counts = ", ".join(f"{number} {status}" for status, number in result["cases"].items() if number)
    print(f"{counts}; report: {Path(result['report']) / 'index.html'}")
    if result["left_out"]:
        print(result["left_out"], file=sys.stderr)
    return exit_code
