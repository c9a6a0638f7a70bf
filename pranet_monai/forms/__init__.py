# SPDX-License-Identifier: Apache-2.0
"""Forms of files: how cases are stored. Finding, reading and writing of each is one object of the table."""

from __future__ import annotations

from pathlib import Path

from pranet_monai.errors import UsageError
from pranet_monai.forms.array_file import ArrayFile
from pranet_monai.forms.base import Form, Frames, Item, KindName
from pranet_monai.forms.dicom import DicomSeries
from pranet_monai.forms.rgb_image import RGBImage
from pranet_monai.forms.search import Search
from pranet_monai.forms.volume_file import VolumeFile

__all__ = ["FORMS", "KINDS", "Form", "Frames", "Item", "KindName", "Search", "form_of", "forms_of"]

FORMS: dict[str, Form] = {form.name: form for form in (VolumeFile(), ArrayFile(), DicomSeries(), RGBImage())}
KINDS: tuple[KindName, ...] = ("volume", "image")


def forms_of(kind: str) -> list[Form]:
    """The forms in which cases of a kind are stored.

    Raises:
        UsageError: an unknown kind; lists the known ones.
    """
    if kind not in KINDS:
        raise UsageError(f"kind={kind!r}: allowed are {', '.join(map(repr, KINDS))}")
    return [form for form in FORMS.values() if form.kind == kind]


def form_of(item: Item, kind: KindName = "volume") -> Form:
    """The form of a case: as its item says, else by the path of its image, as MONAI Label gives it.

    A path that no form knows counts as a file of a volume or image; reading it raises the error.
    """
    if "form" in item:
        return FORMS[item["form"]]
    path = Path(str(item["image"]))
    forms = [*forms_of(kind), *FORMS.values()]
    return next((form for form in forms if form.takes(path)), forms[0])
