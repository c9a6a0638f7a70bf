# SPDX-License-Identifier: Apache-2.0
"""Names and numbers that help texts show without loading what they belong to; a test holds the two together."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

__all__ = ["DATA_SETS", "FORMATS", "LABEL_MAPS", "METRICS", "PRECISIONS", "RUNTIMES", "TOLERANCE_MM", "Known"]

DATA_SETS = ("acdc", "synapse", "kits23", "chaos_mr", "hippocampus", "amos", "polyp")
METRICS = ("dice", "iou", "hd95_mm", "assd_mm", "nsd")
RUNTIMES = ("auto", "torch", "compile", "onnx", "openvino", "tensorrt")
PRECISIONS = ("fp32", "bf16")
FORMATS = ("torchscript", "onnx", "openvino", "tensorrt")
"""In which networks are exported."""
TOLERANCE_MM = 2.0
"""Of NSD, unless told."""


class Known:
    """The names in a table of another module, which is imported when they are first used; for modules that load
    quickly.

    Args:
        module: dotted path.
        table: a mapping in it.
    """

    def __init__(self, module: str, table: str) -> None:
        self._module, self._table = module, table

    def __iter__(self) -> Iterator[str]:
        return iter(getattr(import_module(self._module), self._table))

    def __contains__(self, name: object) -> bool:
        return name in list(self)


LABEL_MAPS = Known("pranet_monai.data.labels", "LABEL_MAPS")
