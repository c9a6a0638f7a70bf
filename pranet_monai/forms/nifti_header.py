# SPDX-License-Identifier: Apache-2.0
"""Headers that say too little, or contradict themselves: what they are taken for, and the remark that says so."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.openers import ImageOpener
from pranet_monai.errors import BadCaseError
from pranet_monai.storage.memory import readable_bytes

__all__ = ["check_offset", "header_remarks", "millimetres", "trailing_remark", "with_voxels_behind_header"]

MAX_HEADER_BYTES = 64 << 20
"""Of a header with its extensions; nibabel reads them whole."""

MAX_SPACING_RATIO = 0.01
"""By which two statements of one voxel size may differ; headers round differently."""

_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # NIfTI's codes of metre and micron; all others count as mm, also "unknown"
_UNIT_NAMES = {1: "metres", 3: "microns"}


def check_offset(path: str | Path) -> None:
    """Refuses a header so long that reading it would take memory by the gigabyte.

    Raises:
        BadCaseError: when the voxels are said to begin beyond :data:`MAX_HEADER_BYTES`.
        OSError: when the file can't be opened.
    """
    header = _unchecked_header(path)
    if header is not None and not 0 <= (offset := float(header["vox_offset"])) <= MAX_HEADER_BYTES:
        raise BadCaseError(
            f"{path}: found a header that puts its voxels {offset:.6g} bytes into the file; allowed: up to "
            f"{readable_bytes(MAX_HEADER_BYTES)}; fix: export it again"
        )


def with_voxels_behind_header(image: nib.spatialimages.SpatialImage) -> nib.spatialimages.SpatialImage:
    """A single file's image that doesn't take the header for voxels, where ``vox_offset`` is 0.

    The standard lets no voxel of a single file begin before its header's end; nibabel reads from byte 0 all the same.
    """
    former: Any = image.dataobj
    if not isinstance(image, nib.Nifti1Image) or former.offset >= image.header.single_vox_offset:
        return image
    described = (former.shape, former.dtype, image.header.single_vox_offset, former.slope, former.inter)
    proxy = nib.arrayproxy.ArrayProxy(image.file_map["image"].filename, described)
    return type(image)(proxy, image.affine, image.header, image.extra, image.file_map)


def millimetres(image: nib.spatialimages.SpatialImage) -> np.ndarray:
    """Voxel to RAS mm, 4 x 4 float64, whatever the header's unit of length is."""
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _MM_PER_UNIT.get(_unit(image), 1.0)
    return affine


def header_remarks(path: str | Path, image: nib.spatialimages.SpatialImage) -> list[str]:
    """What was assumed about an image by its header.

    Args:
        path: of the file with the header.
        image: opened by nibabel, which has silently repaired it already.
    """
    if not isinstance(image, nib.Nifti1Pair):
        if isinstance(image, nib.AnalyzeImage) and not _has_matrix(image):
            return [
                "an Analyze header doesn't say where left and right are: taken as nibabel does, first axis to the left"
            ]
        return []
    header = _unchecked_header(path)
    if header is None:
        return []
    remarks = []
    if _unit(image) in _UNIT_NAMES:
        name = _UNIT_NAMES[_unit(image)]
        remarks.append(
            f"lengths of the header are in {name}: converted to mm, {_lengths(millimetres(image))} per voxel"
        )
    remarks += _spacing_remarks(image, header)
    if isinstance(image, nib.Nifti1Image) and not header["vox_offset"]:
        remarks.append(f"vox_offset is 0: voxels read from byte {image.header.single_vox_offset}, behind the header")
    return remarks


def trailing_remark(image: nib.spatialimages.SpatialImage, trailing: int) -> list[str]:
    """The remark on a file that holds more than its header claims; less than a slice more counts as padding.

    Args:
        image: as its header describes it.
        trailing: bytes behind the last voxel.
    """
    slice_bytes = math.prod(image.shape[:2]) * image.get_data_dtype().itemsize
    if not isinstance(image, nib.AnalyzeImage) or not slice_bytes or trailing < slice_bytes:
        return []
    return [
        f"the file holds {trailing} bytes behind the {' x '.join(map(str, image.shape))} voxels that its header "
        f"claims, enough for {trailing // slice_bytes} more slices: left out"
    ]


def _spacing_remarks(image: nib.Nifti1Pair, header: nib.Nifti1Header) -> list[str]:
    axes = min(3, len(image.shape))
    sizes = np.asarray(header["pixdim"][1:4], dtype=float)[:axes]
    has_sform, has_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    missing = bool((sizes == 0).any())
    if not has_sform:
        remarks = []
        if missing:
            remarks.append(
                f"the header gives voxels of {_numbers(sizes)} and no sform: 0 was taken as 1 mm, lengths and "
                "volumes are not reliable"
            )
        if not has_qform:
            remarks.append("the header has neither sform nor qform: first axis taken as right to left")
        return remarks
    by_sform = np.linalg.norm(image.affine[:3, :3], axis=0)[:axes]
    if (
        not missing
        and np.isfinite(sizes).all()
        and not np.allclose(by_sform, np.abs(sizes), rtol=MAX_SPACING_RATIO, atol=0)
    ):
        other = "qform" if has_qform else "pixdim"
        return [
            f"sform and {other} disagree: voxels of {_numbers(by_sform)} and {_numbers(np.abs(sizes))}; the sform was "
            "used"
        ]
    if has_qform and np.linalg.det(image.affine[:3, :3]) * np.linalg.det(image.get_qform()[:3, :3]) < 0:
        return ["sform and qform disagree on which side is left; the sform was used"]
    return []


def _unit(image: nib.spatialimages.SpatialImage) -> int:
    return int(image.header["xyzt_units"]) & 7 if isinstance(image, nib.Nifti1Pair) else 0


def _has_matrix(image: nib.AnalyzeImage) -> bool:
    """Whether SPM's matrix lies beside an Analyze file, which says where it lies."""
    holder = image.file_map.get("mat")
    return holder is not None and holder.filename is not None and Path(holder.filename).is_file()


def _unchecked_header(path: str | Path) -> nib.Nifti1Header | None:
    """The header as the file has it, before nibabel repairs it; None where it is no NIfTI header."""
    with ImageOpener(str(path)) as file:
        block = file.read(nib.Nifti2Header.template_dtype.itemsize)
    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        if kind.may_contain_header(block):
            return kind(block[: kind.template_dtype.itemsize], check=False)
    return None


def _lengths(affine: np.ndarray) -> str:
    return f"{_numbers(np.linalg.norm(affine[:3, :3], axis=0))} mm"


def _numbers(values: np.ndarray) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
