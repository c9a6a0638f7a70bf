# SPDX-License-Identifier: Apache-2.0
"""The table of the campaign: every kind of input, in groups. A new kind is a row in one of these files."""

from __future__ import annotations

from ..kind import Command, Kind
from . import commands, damage, dicom, files, formats, headers, images, names, places, references, shapes, values

VOLUMES: dict[str, list[Kind]] = {
    "Forms of files": formats.KINDS,
    "DICOM": dicom.KINDS,
    "Types and values": values.KINDS,
    "Shapes": shapes.KINDS,
    "Places and units": places.KINDS,
    "Headers that lie": headers.KINDS,
    "Damaged and hostile files": damage.KINDS,
    "Names": names.KINDS,
    "Links, pipes, permissions": files.KINDS,
    "References": references.KINDS,
}
IMAGES: dict[str, list[Kind]] = {"RGB images": images.KINDS}
COMMANDS: dict[str, list[Command]] = {"Whole runs": commands.KINDS}
