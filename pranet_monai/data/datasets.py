# SPDX-License-Identifier: Apache-2.0
"""The data sets that this project knows: classes, splits, the forms in which people hold them, and where they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pranet_monai.data.layouts import ArrayFiles, Form, PhotographFiles, SliceFolders, VolumeFiles
from pranet_monai.errors import UsageError

__all__ = ["DATA_SETS", "DataSet", "FoundCases", "Layout", "find_data_set", "get_data_set"]


@dataclass(frozen=True)
class Layout:
    """One way in which people hold a data set.

    Attributes:
        example: path of an image, as people see it.
        form: how its files are found and read.
        pattern: what the path of a case below the folder, without extension, ends with. Its groups are used by
            `patient`; a group ``part`` says to which part a case belongs by its folder.
        patient: name of the patient as the splits spell it; empty where the names of the files don't tell.
        label_map: of these files, where they number the classes otherwise than the data set's own files.
        folders: what `pattern` calls ``part`` → labelled cases in it.
    """

    example: str
    form: Form
    pattern: str
    patient: str = "{patient}"
    label_map: str = ""
    folders: Mapping[str, int] = field(default_factory=dict)

    def find(self, folder: Path) -> tuple[list[dict[str, str]], list[str]]:
        """The cases of this layout below a folder, and the names of cases that it doesn't know."""
        pattern = re.compile(rf"(?:.*?/)??{self.pattern}")  # lazy: what is optional in the pattern goes first
        known, unknown = [], []
        for item in self.form.find(folder):
            match = pattern.fullmatch(item["case"])
            if match is None:
                unknown.append(item["case"])
                continue
            named = {"patient": self.patient.format(**match.groupdict()), "part": match.groupdict().get("part")}
            known.append(item | {key: value for key, value in named.items() if value})
        return known, unknown


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: key in :data:`DATA_SETS`.
        title: what it is.
        label_map: its classes.
        layouts: how people hold it; the first that fits a folder counts.
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


@dataclass(frozen=True)
class FoundCases:
    """What of a data set lies in a folder.

    Attributes:
        layout: how it lies there.
        label_map: name of the classes of its label files.
        cases: items with ``case``, ``image``, ``label`` where there is one, ``error`` where a label has no image,
            ``patient`` and ``part`` where the names tell.
        unknown: other files of this form, which aren't the data set's.
    """

    layout: Layout
    label_map: str
    cases: list[dict[str, str]]
    unknown: list[str]


def get_data_set(name: str) -> DataSet:
    """Looks up a data set.

    Raises:
        UsageError: when the name is unknown; lists the known ones.
    """
    if name not in DATA_SETS:
        raise UsageError(f"data set {name!r} is unknown; known: {', '.join(DATA_SETS)}")
    return DATA_SETS[name]


def find_data_set(name: str, folder: str | Path) -> FoundCases:
    """Finds the cases of a data set in a folder, in whatever of its layouts they lie there.

    Args:
        name: key in :data:`DATA_SETS`.
        folder: with the data somewhere below it.

    Returns:
        Its ``cases`` go to :func:`~pranet_monai.data.splits.cases_of_split` and
        :class:`~pranet_monai.data.slices.SliceDataset` like those of ``find_cases``, with ``layout.form.loader()`` in
        place of ``LoadVolumed`` and ``ClassNumbersd`` of its ``label_map``.

    Raises:
        UsageError: when the folder isn't there or holds none of the layouts; lists them, and how to get the data.
    """
    data_set, root = get_data_set(name), Path(folder).expanduser()
    if not root.is_dir():
        raise UsageError(f"{root}: found no such folder; fix: give the folder that holds {data_set.title}")
    for layout in data_set.layouts:
        cases, unknown = layout.find(root)
        if cases:
            return FoundCases(layout, layout.label_map or data_set.label_map, cases, unknown)
    examples = "; ".join(layout.example for layout in data_set.layouts)
    raise UsageError(
        f"{root}: found nothing of {data_set.title}; allowed: files such as {examples}; fix: give the folder that "
        f"holds them, or get the data: {data_set.source}"
    )


_ACDC = DataSet(
    name="acdc",
    title="ACDC, cine cardiac MR",
    label_map="acdc",
    splits=("acdc_70_10_20", "acdc_100_50"),
    layouts=(
        Layout(
            "training/patient001/patient001_frame01.nii.gz + …_gt.nii.gz, imagesTr/patient001_ED.nii.gz + labelsTr/…",
            VolumeFiles(),
            r"(?P<patient>patient\d{3})_(frame\d{2}|ED|ES)(_0000)?",
        ),
        Layout(
            # their numbers aren't those of ACDC's patients, as far as anybody has written down, so no split fits them
            "train/case_001_sliceED_0.npz, test/case_002_volume_ED.npz",
            ArrayFiles(),
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
        Layout("img/img0001.nii.gz + label/label0001.nii.gz", VolumeFiles(), r"(?P<patient>img\d{4})"),
        Layout(
            "averaged-training-images/DET0000101_avg.nii.gz + averaged-training-labels/DET0000101_avg_seg.nii.gz",
            VolumeFiles(),
            r"averaged-(training|testing)-images/(?P<patient>DET\d{7})_avg",
        ),
        Layout(
            "train_npz/case0005_slice000.npz, test_vol_h5/case0001.npy.h5",
            ArrayFiles(axcodes="LAS"),
            r"((?P<part>train_npz|test_vol_h5)/)?case(?P<number>\d{4})(_slice\d{3})?",
            patient="img{number}",
            label_map="synapse8_transunet",
            folders={"train_npz": 2211, "test_vol_h5": 12},
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
            VolumeFiles(),
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
        Layout("imagesTr/chaos_01.nii.gz + labelsTr/chaos_01.nii.gz", VolumeFiles(), r"(?P<patient>chaos_\d{2})"),
        Layout(
            "MR/1/T2SPIR/DICOM_anon/*.dcm + MR/1/T2SPIR/Ground/*.png",
            SliceFolders("DICOM_anon", "Ground"),
            r"(?P<number>\d{1,2})/T2SPIR",
            patient="chaos_{number:0>2}",
            label_map="chaos_mr_png",
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
            VolumeFiles(),
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
            VolumeFiles(),
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
    title="the polyp collections of PraNet, colonoscopy photographs",
    label_map="polyp",
    layouts=(
        Layout(
            "TrainDataset/image/1.png + TrainDataset/masks/1.png, TestDataset/Kvasir/images/1.png + …/masks/1.png",
            PhotographFiles(),
            rf"(?P<part>{'|'.join(_POLYP_SETS)})/.*",
            patient="",
            folders=_POLYP_SETS,
        ),
        Layout("images/name.jpg + masks/name.jpg", PhotographFiles(), ".*", patient=""),
    ),
    source="https://github.com/DengPingFan/PraNet (TrainDataset.zip, TestDataset.zip)",
    licence="each collection its own; Kvasir-SEG (https://datasets.simula.no/kvasir-seg/): research and education",
)

DATA_SETS: dict[str, DataSet] = {
    record.name: record for record in (_ACDC, _SYNAPSE, _KITS, _CHAOS, _HIPPOCAMPUS, _AMOS, _POLYP)
}
