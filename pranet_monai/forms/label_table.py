# SPDX-License-Identifier: Apache-2.0
"""Names and colours of classes inside a NIfTI header, so that a mask explains itself wherever it is opened.

The table is the XML label table of the Caret/CIFTI tools in an extension with code 0, as TotalSegmentator writes it.
Readers that don't know it skip it: the NIfTI-1 standard makes extensions optional (nibabel, ITK, 3D Slicer, ITK-SNAP).
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

import nibabel as nib

__all__ = ["label_table_extension", "read_label_table"]

_CODE = 0
_ROOT = "CaretExtension"


def label_table_extension(
    labels: Mapping[int, str], colors: Mapping[int, tuple[int, int, int]] | None = None
) -> nib.nifti1.Nifti1Extension:
    """Makes the header extension of a mask.

    Args:
        labels: class number → name; background is left out of the table.
        colors: class number → red, green, blue in 0…255.
    """
    root = ElementTree.Element(_ROOT)
    volume = ElementTree.SubElement(root, "VolumeInformation", Index="0")
    table = ElementTree.SubElement(volume, "LabelTable")
    for number, name in labels.items():
        if number == 0:
            continue
        rgb = colors[number] if colors else (255, 255, 255)
        shades = {shade: f"{part / 255:.4f}" for shade, part in zip(("Red", "Green", "Blue"), rgb)}
        entry = ElementTree.SubElement(table, "Label", {"Key": str(number), **shades, "Alpha": "1"})
        entry.text = name
    ElementTree.SubElement(volume, "VolumeType").text = "Label"
    return nib.nifti1.Nifti1Extension(_CODE, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def read_label_table(image: nib.Nifti1Image) -> dict[int, str]:
    """Class number → name from the header of a mask; empty when it holds no label table.

    Raises:
        ValueError: it holds one that can't be read.
    """
    for extension in image.header.extensions:
        content = extension.content if isinstance(extension.content, bytes) else b""
        if _ROOT.encode() in content:
            try:
                root = ElementTree.fromstring(content.rstrip(b"\0 "))
                return {int(label.attrib["Key"]): label.text or "" for label in root.iter("Label")}
            except (ElementTree.ParseError, KeyError) as error:
                raise ValueError(f"its table of classes can't be read: {error}") from error
    return {}
