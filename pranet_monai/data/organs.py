# SPDX-License-Identifier: Apache-2.0
"""The only list of organs: the colour and the code in DICOM that each has in every data set.

Names here say what they are in any context: "anterior_hippocampus". A data set that calls it "anterior" says so in its
:class:`~pranet_monai.data.labels.LabelMap`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ORGANS", "OWN_SCHEME", "Organ", "OrganCode", "code_of"]

OWN_SCHEME = "99PRANET"
"""Of codes that no standard has: DICOM wants the names of private schemes to begin with 99."""

_RIGHT, _LEFT = ("24028007", "Right"), ("7771000", "Left")
_ANTERIOR, _POSTERIOR = ("255549009", "Anterior"), ("255551008", "Posterior")
_KIDNEY = ("64033007", "Kidney")
_NEOPLASM, _CYST = ("108369006", "Neoplasm"), ("367643001", "Cyst")


class OrganCode(NamedTuple):
    """What an organ is called in DICOM.

    Attributes:
        value: its code.
        meaning: its name there.
        modifier: code and name of a side or a part; empty where there is none.
        is_lesion: whether it is a morphologically abnormal structure, and no anatomical one.
        region: code and name of where a lesion lies.
        scheme: SNOMED CT, or this project's own for what no table here knows.
    """

    value: str
    meaning: str
    modifier: tuple[str, str] = ("", "")
    is_lesion: bool = False
    region: tuple[str, str] = ("", "")
    scheme: str = "SCT"


class Organ(NamedTuple):
    """What is the same of an organ in every data set."""

    color: tuple[int, int, int]
    code: OrganCode


# Neighbours in the body differ in hue and in lightness, so that overlays stay readable in print and for colour-blind
# readers.
ORGANS: dict[str, Organ] = {
    "right_ventricle": Organ((86, 180, 233), OrganCode("53085002", "Right ventricle")),
    "myocardium": Organ((240, 228, 66), OrganCode("74281007", "Myocardium")),
    "left_ventricle": Organ((213, 94, 0), OrganCode("87878005", "Left ventricle")),
    "anterior_hippocampus": Organ((230, 159, 0), OrganCode("5366008", "Hippocampus", _ANTERIOR)),
    "posterior_hippocampus": Organ((0, 114, 178), OrganCode("5366008", "Hippocampus", _POSTERIOR)),
    "hippocampus": Organ((230, 159, 0), OrganCode("5366008", "Hippocampus")),
    "liver": Organ((178, 79, 58), OrganCode("10200004", "Liver")),
    "spleen": Organ((148, 103, 189), OrganCode("78961009", "Spleen")),
    "right_kidney": Organ((0, 158, 115), OrganCode(*_KIDNEY, _RIGHT)),
    "left_kidney": Organ((86, 180, 233), OrganCode(*_KIDNEY, _LEFT)),
    "gallbladder": Organ((166, 216, 84), OrganCode("28231008", "Gallbladder")),
    "oesophagus": Organ((255, 187, 120), OrganCode("32849002", "Esophagus")),
    "stomach": Organ((240, 228, 66), OrganCode("69695003", "Stomach")),
    "aorta": Organ((227, 26, 28), OrganCode("15825003", "Aorta")),
    "inferior_vena_cava": Organ((31, 96, 196), OrganCode("64131007", "Inferior vena cava")),
    "pancreas": Organ((255, 127, 0), OrganCode("15776009", "Pancreas")),
    "right_adrenal_gland": Organ((27, 120, 55), OrganCode("23451007", "Adrenal gland", _RIGHT)),
    "left_adrenal_gland": Organ((127, 205, 187), OrganCode("23451007", "Adrenal gland", _LEFT)),
    "duodenum": Organ((231, 138, 195), OrganCode("38848004", "Duodenum")),
    "bladder": Organ((255, 255, 153), OrganCode("89837001", "Urinary bladder")),
    # one class of AMOS for either organ: the code is that of what holds both
    "prostate_or_uterus": Organ((117, 112, 179), OrganCode("12921003", "Pelvis")),
    "kidney": Organ((0, 158, 115), OrganCode(*_KIDNEY)),
    "tumour": Organ((213, 94, 0), OrganCode(*_NEOPLASM, is_lesion=True)),
    "kidney_tumour": Organ((213, 94, 0), OrganCode(*_NEOPLASM, is_lesion=True, region=_KIDNEY)),
    "cyst": Organ((86, 180, 233), OrganCode(*_CYST, is_lesion=True)),
    "kidney_cyst": Organ((86, 180, 233), OrganCode(*_CYST, is_lesion=True, region=_KIDNEY)),
    "colon_polyp": Organ((0, 200, 83), OrganCode("68496003", "Polyp of colon", is_lesion=True)),
}


def code_of(organ: str) -> OrganCode:
    """The code of a class by its name; one of this project's own scheme where the table doesn't know it."""
    known = ORGANS.get(organ)
    return known.code if known else OrganCode(organ, organ.replace("_", " "), scheme=OWN_SCHEME)
