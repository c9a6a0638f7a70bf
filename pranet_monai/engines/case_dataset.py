# SPDX-License-Identifier: Apache-2.0
"""Cases on their way to the network: loaded one ahead, and a bad one is an item with a reason, never an exception."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
from monai.data import Dataset, ThreadDataLoader, list_data_collate

from pranet_monai.errors import BadCaseError, UsageError
from pranet_monai.storage.tables import read_csv
from pranet_monai.transforms.files import check_gzip, is_nifti, is_photograph, mask_path, open_nifti
from pranet_monai.transforms.label_table import read_label_table
from pranet_monai.transforms.photograph import photograph_mask_is_whole

__all__ = ["CASE", "DONE_MASK", "ERROR", "CaseDataset", "CaseLoader", "mask_is_whole", "reason_of"]

CASE, ERROR, DONE_MASK = "case", "error", "done_mask"


class CaseDataset(Dataset):
    """The items of ``find_cases``, loaded and preprocessed.

    Beside what the transform makes of an item, two short forms can come out: ``{case, error}`` for a case that fails
    with that reason, and ``{case, done_mask}`` for one that an earlier run has finished.

    Args:
        data: items with ``case`` and ``image``, or with ``case`` and ``error``.
        transform: the preprocessing.
        output_dir: where masks of this run go; needed for `resume`.
        resume: leave out cases whose mask is there and whole, and, where they have a label, whose metrics are, too.

    Raises:
        UsageError: when `resume` is set without `output_dir`.
    """

    def __init__(
        self,
        data: Sequence[dict[str, str]],
        transform: Sequence[Callable] | Callable | None = None,
        output_dir: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        super().__init__(data, transform)
        if resume and output_dir is None:
            raise UsageError("resume=True: found no output_dir to look for finished masks in; fix: give output_dir")
        self.output_dir = output_dir
        self.resume = resume

    def _transform(self, index: int) -> Any:
        item = self.data[index]
        case = item[CASE]
        if ERROR in item:
            return {CASE: case, ERROR: item[ERROR]}
        try:
            if self.resume and self.output_dir is not None:
                mask = mask_path(self.output_dir, case, image=item["image"])
                if mask_is_whole(mask, item["image"]) and ("label" not in item or case in self._measured):
                    return {CASE: case, DONE_MASK: str(mask)}
            return super()._transform(index)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one case is a row of the report
            return {CASE: case, ERROR: reason_of(error)}

    @cached_property
    def _measured(self) -> set[str]:
        """Cases that an earlier run compared with their label: not if that failed, or a kill came after the mask."""
        report = Path(self.output_dir or "").expanduser() / "report"
        good = {row["case"] for row in read_csv(report / "cases.csv") if row["status"] != "failed"}
        names = good & {row["case"] for row in read_csv(report / "metrics.csv")}
        return names | {re.sub(r"_frame\d+$", "", name) for name in names}


class CaseLoader(ThreadDataLoader):
    """Loads the next case in a thread while the network works on this one: batches of one, one case ahead.

    Args:
        dataset: a :class:`CaseDataset`.
    """

    def __init__(self, dataset: CaseDataset) -> None:
        super().__init__(dataset, buffer_size=1, batch_size=1, num_workers=0, collate_fn=_collate_case)


def _collate_case(items: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        return list_data_collate(items)
    except Exception as error:  # noqa: BLE001 - out of memory here would end the loader's thread without a word
        return list_data_collate([{CASE: items[0][CASE], ERROR: reason_of(error)}])


def mask_is_whole(mask: str | Path, image: str | Path) -> bool:
    """Whether an earlier run has finished this mask: ours, readable to its last byte, and of the image's shape."""
    if not Path(mask).is_file():
        return False
    if is_photograph(image):
        return photograph_mask_is_whole(mask, image)
    try:
        check_gzip(mask)
        found = open_nifti(mask)
        same_shape = not is_nifti(image) or found.shape == open_nifti(image).shape
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError):
        return False
    return same_shape and bool(read_label_table(found))


def reason_of(error: BaseException) -> str:
    """What to tell the user: the cause beneath MONAI's wrapping, without its type where it is a message of ours."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    ours = [link for link in chain if isinstance(link, (BadCaseError, UsageError))]
    text = str(ours[0]) if ours else f"{type(chain[-1]).__name__}: {chain[-1]}"
    return " ".join(text.split())
