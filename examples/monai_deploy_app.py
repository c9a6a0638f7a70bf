# SPDX-License-Identifier: Apache-2.0
"""A MONAI Deploy application of one operator: DICOM series in, DICOM segmentations and reports out.

``pip install monai-deploy-app-sdk "pranet-monai[dicom]"``, in an environment of its own, as it brings Holoscan,
and a larger stack, as Holoscan wants it::

    ulimit -s 32768
    pranet-monai pack synapse_lite --output-dir packed
    python examples/monai_deploy_app.py -i study -o results -m packed
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application, ConditionType, Operator, OperatorSpec
from pranet_monai import Segmenter
from pranet_monai.data.cases import find_cases
from pranet_monai.errors import BadCaseError

_log = logging.getLogger(__name__)


class SegmentSeries(Operator):
    """Segments every image series below a folder.

    Named output:
        segmentations: paths of the DICOM segmentations, a list.

    Args:
        fragment: the application.
        bundle: a packed bundle, loaded once when the application starts.
        input_folder: with DICOM files, in whatever heap.
        output_folder: gets ``<study>/<series>_seg.dcm`` and ``<study>/<series>_report.dcm``.
    """

    def __init__(
        self, fragment: Any, *args: Any, bundle: Path, input_folder: Path, output_folder: Path, **kwargs: Any
    ) -> None:
        self.bundle, self.input_folder, self.output_folder = bundle, input_folder, output_folder
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Whoever listens may have the paths; nobody must."""
        spec.output("segmentations").condition(ConditionType.NONE)

    def start(self) -> None:
        """Loads the bundle."""
        self.segmenter = Segmenter(self.bundle)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
        """Segments; a series that can't be segmented is named in the log."""
        written = []
        for item in find_cases(self.input_folder):
            try:
                if "error" in item:
                    raise BadCaseError(item["error"])
                written.append(self.segmenter(item).save(self.output_folder / f"{item['case']}_seg.dcm"))
            except BadCaseError as error:
                _log.error("%s: %s", item["case"], error)
        op_output.emit(written, "segmentations")


class SegmentApp(Application):
    """Runs the operator once, on the folders that the command line or the platform gives."""

    def compose(self) -> None:
        """Wires it up."""
        context = Application.init_app_context(self.argv)
        model = Path(context.model_path)
        bundle = model if model.is_file() else next(model.rglob("*.zip"))
        folders = {"input_folder": Path(context.input_path), "output_folder": Path(context.output_path)}
        self.add_operator(SegmentSeries(self, CountCondition(self, 1), bundle=bundle, **folders, name="segment"))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    SegmentApp().run()
