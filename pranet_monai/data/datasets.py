# SPDX-License-Identifier: Apache-2.0
"""The data sets that this project knows: classes, splits, the layouts in which they are stored, and where to get
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pranet_monai.errors import UsageError
from pranet_monai.forms import FORMS, Form

__all__ = ["DATA_SETS", "DataSet", "Layout", "get_data_set"]


@dataclass(frozen=True)
class Layout:
    """One layout in which a data set is stored.

    Attributes:
        example: path of an image, as people see it.
        form_name: how its files are stored, a key of ``FORMS``.
        pattern: what the path of a case below the folder, without extension, ends with. Its groups are used by
            `patient`; a group ``part`` says to which part a case belongs by its folder.
        patient: name of the patient as the splits spell it; empty where the names of the files don't tell.
        folders: what `pattern` calls ``part`` → labelled cases in it.
        hints: what a reader must know of these files: ``label_map``, where they number the classes otherwise than the
            data set's own files, and what the form names.
    """

    example: str
    form_name: str
    pattern: str
    patient: str = "{patient}"
    folders: Mapping[str, int] = field(default_factory=dict)
    hints: Mapping[str, Any] = field(default_factory=dict)

    @property
    def form(self) -> Form:
        """How its files are found and read."""
        return FORMS[self.form_name]

    def recognise(self, item: Mapping[str, Any]) -> dict[str, Any] | None:
        """``patient``, ``part`` and the reading hints of a case; None where it isn't of this layout."""
        pattern = rf"(?:.*?/)??{self.pattern}"  # lazy: what is optional in the pattern goes first
        match = re.fullmatch(pattern, item["case"]) if item["form"] == self.form_name else None
        if match is None:
            return None
        named = {"patient": self.patient.format(**match.groupdict()), "part": match.groupdict().get("part")}
        return {key: value for key, value in named.items() if value} | dict(self.hints)


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: key in :data:`DATA_SETS`.
        title: what it is.
        label_map: its classes.
        layouts: how it is stored; the first that fits a folder counts.
        source: how to get it.
        licence: its terms.
        splits: committed splits by patient; the first is this project's own choice.
    """

    name: str
    title: str
    label_map: str
    layouts: tuple[Layout, ...]
    source: str
    licence: str
    splits: tuple[str, ...] = ()

    def reading_hints(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """What the first layout that knows a case says of it; nothing of a case that none knows."""
        return next((hints for layout in self.layouts if (hints := layout.recognise(item)) is not None), {})


def get_data_set(name: str) -> DataSet:
    """Looks up a data set.

    Raises:
        UsageError: when the name is unknown; lists the known ones.
    """
    if name not in DATA_SETS:
        raise UsageError(f"data set {name!r} is unknown; known: {', '.join(DATA_SETS)}")
    return DATA_SETS[name]


_ACDC = DataSet(
    name="acdc",
    title="ACDC, cine cardiac MR",
    label_map="acdc",
    splits=("acdc_70_10_20", "acdc_100_50"),
    layouts=(
        Layout(
            "training/patient001/patient001_frame01.nii.gz + …_gt.nii.gz, imagesTr/patient001_ED.nii.gz + labelsTr/…",
            "volume_file",
            r"(?P<patient>patient\d{3})_(frame\d{2}|ED|ES)(_0000)?",
        ),
        Layout(
            # their numbers aren't those of ACDC's patients, as far as anybody has written down, so no split fits them
            "train/case_001_sliceED_0.npz, test/case_002_volume_ED.npz",
            "array_file",
            r"(?P<part>train|valid|test)/(?P<patient>case_\d{3})_(slice|volume)_?E[DS](_\d+)?",
        ),
    ),
    source="https://www.creatis.insa-lyon.fr/Challenge/acdc/databases.html (100 + 50 patients)",
    licence="CC BY-NC-SA 4.0; cite Bernard et al., IEEE TMI 37(11), 2018",
)

_SYNAPSE = DataSet(
    name="synapse",
    title="Synapse multi-atlas abdominal CT (BTCV)",
    label_map="synapse8",
    splits=("synapse_15_3_12", "synapse_18_12"),
    layouts=(
        Layout("img/img0001.nii.gz + label/label0001.nii.gz", "volume_file", r"(?P<patient>img\d{4})"),
        Layout(
            "imagesTr/case0005.nii.gz + labelsTr/case0005.nii.gz",
            "volume_file",
            r"case(?P<number>\d{4})",
            patient="img{number}",
        ),
        Layout(
            "averaged-training-images/DET0000101_avg.nii.gz + averaged-training-labels/DET0000101_avg_seg.nii.gz",
            "volume_file",
            r"averaged-(training|testing)-images/(?P<patient>DET\d{7})_avg",
        ),
        Layout(
            "train_npz/case0005_slice000.npz, test_vol_h5/case0001.npy.h5",
            "array_file",
            r"((?P<part>train_npz|test_vol_h5)/)?case(?P<number>\d{4})(_slice\d{3})?",
            patient="img{number}",
            folders={"train_npz": 2211, "test_vol_h5": 12},
            # TransUNet's files hold the window of -125 to 275 HU as 0 to 1
            hints={"label_map": "synapse8_transunet", "axcodes": "LAS", "intensity": (400.0, -125.0)},
        ),
    ),
    source=(
        "register at https://www.synapse.org (syn3193805), join the challenge, and take Abdomen/RawData.zip; the "
        "papers' preprocessed files come from the authors of TransUNet (https://github.com/Beckschen/TransUNet)"
    ),
    licence="the terms of Synapse: for research, may not be passed on; cite Landman et al., MICCAI 2015",
)

_KITS = DataSet(
    name="kits23",
    title="KiTS23, kidney tumours on CT",
    label_map="kits23",
    splits=("kits23_70_10_20",),
    layouts=(
        Layout(
            "case_00000/imaging.nii.gz + case_00000/segmentation.nii.gz",
            "volume_file",
            r"(?P<patient>case_\d{5})(/imaging|_0000)?",
        ),
    ),
    source="https://github.com/neheller/kits23, whose command kits23_download_data fetches the images",
    licence="CC BY-NC-SA 4.0; cite Heller et al., arXiv:2307.01984, 2023",
)

_CHAOS = DataSet(
    name="chaos_mr",
    title="CHAOS, abdominal MR (T2-SPIR)",
    label_map="chaos_mr",
    splits=("chaos_mr_5fold",),
    layouts=(
        Layout("imagesTr/chaos_01.nii.gz + labelsTr/chaos_01.nii.gz", "volume_file", r"(?P<patient>chaos_\d{2})"),
        Layout(
            "MR/1/T2SPIR/DICOM_anon/*.dcm + MR/1/T2SPIR/Ground/*.png",
            "dicom",
            r"(?P<number>\d{1,2})/T2SPIR",
            patient="chaos_{number:0>2}",
            hints={"label_map": "chaos_mr_png"},
        ),
    ),
    source="https://doi.org/10.5281/zenodo.3431873, CHAOS_Train_Sets.zip (20 labelled subjects)",
    licence="CC BY-SA 4.0; cite Kavur et al., Medical Image Analysis 69, 2021",
)

_HIPPOCAMPUS = DataSet(
    name="hippocampus",
    title="Medical Segmentation Decathlon, Task04 Hippocampus, MR",
    label_map="hippocampus",
    splits=("hippocampus_160_40",),
    layouts=(
        Layout(
            "imagesTr/hippocampus_001.nii.gz + labelsTr/hippocampus_001.nii.gz",
            "volume_file",
            r"(?P<patient>hippocampus_\d{3})(_0000)?",
        ),
    ),
    source="http://medicaldecathlon.com, Task04_Hippocampus.tar",
    licence="CC BY-SA 4.0; cite Antonelli et al., Nature Communications 13, 2022",
)

_AMOS = DataSet(
    name="amos",
    title="AMOS22, abdominal CT and MR",
    label_map="amos15",
    layouts=(
        Layout(
            "imagesTr/amos_0001.nii.gz + labelsTr/amos_0001.nii.gz",
            "volume_file",
            r"((?P<part>imagesTr|imagesVa|imagesTs)/)?(?P<patient>amos_\d{4})(_0000)?",
            folders={"imagesTr": 240, "imagesVa": 120},
        ),
    ),
    source="https://doi.org/10.5281/zenodo.7262581 (240 + 120 labelled volumes; numbers from 0501 on are MR)",
    licence="CC BY 4.0; cite Ji et al., NeurIPS Datasets and Benchmarks, 2022",
)

_POLYP_SETS = {
    "TrainDataset": 1450, "CVC-300": 60, "CVC-ClinicDB": 62, "Kvasir": 100, "CVC-ColonDB": 380,
    "ETIS-LaribPolypDB": 196,
}  # fmt: skip

_POLYP = DataSet(
    name="polyp",
    title="the polyp collections of PraNet, colonoscopy images",
    label_map="polyp",
    splits=("polyp_official",),
    layouts=(
        Layout(
            # its frames of CVC-ClinicDB are named by that collection's numbers, which the split gives three digits
            "TrainDataset/image/1.png + TrainDataset/masks/1.png",
            "rgb_image",
            r"(?P<part>TrainDataset)/images?/(?P<number>\d{1,3})",
            patient="{number:0>3}",
            folders={"TrainDataset": 1450},
        ),
        Layout(
            "TrainDataset/image/cju.png + TrainDataset/masks/cju.png, TestDataset/Kvasir/images/1.png + …/masks/1.png",
            "rgb_image",
            rf"(?P<part>{'|'.join(_POLYP_SETS)})/.*",
            patient="",
            folders=_POLYP_SETS,
        ),
        Layout("images/name.jpg + masks/name.jpg", "rgb_image", ".*", patient=""),
    ),
    source="https://github.com/DengPingFan/PraNet (TrainDataset.zip, TestDataset.zip)",
    licence="each collection its own; Kvasir-SEG (https://datasets.simula.no/kvasir-seg/): research and education",
)

DATA_SETS: dict[str, DataSet] = {
    record.name: record for record in (_ACDC, _SYNAPSE, _KITS, _CHAOS, _HIPPOCAMPUS, _AMOS, _POLYP)
}
