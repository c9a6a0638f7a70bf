# SPDX-License-Identifier: Apache-2.0
"""Forms of files: every one that is read, and those that are named at the end."""

from __future__ import annotations

import bz2
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import SimpleITK as sitk
from PIL import Image

from ..heart import AFFINE, block, save, voxels
from ..kind import LEFT_OUT, NOT_LOOKED_AT, OK, Handled, Kind, Maker, failed, remarked


def as_class(kind: type, name: str, dtype: type = np.int16) -> Maker:
    """Saved by another of nibabel's classes."""

    def make(folder: Path) -> np.ndarray:
        nib.save(kind(voxels(dtype=dtype), AFFINE), folder / name)
        return block()

    return make


def by_itk(name: str, packed: bool = False) -> Maker:
    def make(folder: Path) -> np.ndarray:
        made = sitk.GetImageFromArray(voxels().transpose())
        made.SetSpacing((1.35, 1.35, 8))
        made.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
        made.SetOrigin((-31, 7, 12.5))
        sitk.WriteImage(made, str(folder / name), packed)
        return block()

    return make


def rewritten(name: str, change: Callable[[bytes], bytes], source: str = "x.nii") -> Maker:
    """A whole file with its bytes changed."""

    def make(folder: Path) -> np.ndarray:
        content = save(folder, name=source).read_bytes()
        (folder / source).unlink()
        (folder / name).write_bytes(change(content))
        return block()

    return make


def big_endian(folder: Path) -> np.ndarray:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nib.save(nib.Nifti1Image(voxels(), AFFINE, header), folder / "x.nii.gz")
    return block()


def two_members(content: bytes) -> bytes:
    return gzip.compress(content[:5000]) + gzip.compress(content[5000:])


def arrays(name: str, key: str) -> Maker:
    """Slices first, as the papers have them; 1 mm is assumed, so that pixels are resampled."""

    def make(folder: Path) -> np.ndarray:
        array = voxels(dtype=np.float32).transpose(2, 0, 1)
        if name.endswith("npz"):
            np.savez(folder / name, **{key: array})
        else:
            with h5py.File(folder / name, "w") as file:
                file[key] = array
        return block()

    return make


def mhd_text(text: str) -> Maker:
    """A MetaImage header of our own words."""

    def make(folder: Path) -> None:
        by_itk("x.mhd")(folder)
        header = folder / "x.mhd"
        lines = [line for line in header.read_text().splitlines() if not line.startswith("ElementDataFile")]
        header.write_text("\n".join([*lines, text, ""]))

    return make


def without(name: str, make: Maker) -> Maker:
    """A kind of two files of which one is missing."""

    def made(folder: Path) -> None:
        make(folder)
        (folder / name).unlink()

    return made


def bytes_of(name: str, content: bytes) -> Maker:
    def make(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return make


def picture(name: str) -> Maker:
    return lambda folder: Image.new("RGB", (20, 20)).save(folder / name)


def analyze(folder: Path) -> np.ndarray:
    nib.save(nib.AnalyzeImage(voxels(), AFFINE), folder / "x.hdr")
    return block()


def renamed(source: str, target: str, make: Maker) -> Maker:
    def made(folder: Path) -> np.ndarray | None:
        truth = make(folder)
        shutil.move(folder / source, folder / target)
        return truth

    return made


UNREAD = failed("that can't be read as a volume")
VOXELS_1_MM = Handled("ok", overlap=0.85)
ELSEWHERE = failed("found a header whose voxels are in")

KINDS = [
    Kind("NIfTI-1, plain", rewritten("x.nii", bytes), OK),
    Kind("NIfTI-1, gzip", rewritten("x.nii.gz", gzip.compress), OK),
    Kind("NIfTI-1, gzip of two members", rewritten("x.nii.gz", two_members), OK),
    Kind("NIfTI-1, gzip that doesn't pack", rewritten("x.nii.gz", lambda b: gzip.compress(b, 0)), OK),
    Kind("NIfTI-1, big endian", big_endian, OK),
    Kind("NIfTI-1, name in capitals", rewritten("X.NII.GZ", gzip.compress), OK),
    Kind("NIfTI-2", as_class(nib.Nifti2Image, "x.nii.gz"), OK),
    Kind("pair .hdr and .img", as_class(nib.Nifti1Pair, "x.hdr"), OK),
    Kind("NIfTI-2 pair .hdr and .img", as_class(nib.Nifti2Pair, "x.hdr"), OK),
    Kind("SPM's Analyze with its .mat", as_class(nib.Spm2AnalyzeImage, "x.hdr"), OK),
    Kind("plain Analyze", analyze, remarked("doesn't say where left and right are")),
    Kind("FreeSurfer .mgz", as_class(nib.MGHImage, "x.mgz"), OK),
    Kind("FreeSurfer .mgh", as_class(nib.MGHImage, "x.mgh", np.float32), OK),
    Kind("NRRD", by_itk("x.nrrd"), OK),
    Kind("NRRD, packed", by_itk("x.nrrd", packed=True), OK),
    Kind("MetaImage .mha", by_itk("x.mha"), OK),
    Kind("MetaImage .mha, packed", by_itk("x.mha", packed=True), OK),
    Kind("MetaImage .mhd and .raw", by_itk("x.mhd"), OK),
    Kind("MetaImage .mhd and .zraw", by_itk("x.mhd", packed=True), OK),
    Kind("arrays .npz, image", arrays("x.npz", "image"), VOXELS_1_MM),
    Kind("arrays .npz, img", arrays("x.npz", "img"), VOXELS_1_MM),
    Kind("arrays .h5", arrays("x.h5", "image"), VOXELS_1_MM),
    Kind("arrays .npy.h5", arrays("x.npy.h5", "image"), VOXELS_1_MM),
    Kind("gzip named .nii", rewritten("x.nii", gzip.compress), UNREAD),
    Kind("plain file named .nii.gz", rewritten("x.nii.gz", bytes), UNREAD),
    Kind("PNG named .nii.gz", renamed("x.png", "x.nii.gz", picture("x.png")), UNREAD),
    Kind("zip named .nii.gz", renamed("x.npz", "x.nii.gz", arrays("x.npz", "image")), UNREAD),
    Kind("Analyze header without voxels", without("x.img", analyze), UNREAD),
    Kind("Analyze voxels without header", without("x.hdr", analyze), LEFT_OUT),
    Kind(".mhd without voxels", without("x.raw", by_itk("x.mhd")), UNREAD),
    Kind(".mhd that names itself as voxels", mhd_text("ElementDataFile = x.mhd"), ELSEWHERE),
    Kind(".mhd that names the password file", mhd_text("ElementDataFile = /etc/passwd"), ELSEWHERE),
    Kind(".mhd that names a file above", mhd_text("ElementDataFile = ../x.raw"), ELSEWHERE),
    Kind(".mhd that lists its slices", mhd_text("ElementDataFile = LIST\n/etc/passwd"), ELSEWHERE),
    Kind("NRRD header alone, .nhdr", bytes_of("x.nhdr", b"NRRD0004\n"), LEFT_OUT),
    Kind("bzip2 .nii.bz2", rewritten("x.nii.bz2", bz2.compress), LEFT_OUT),
    Kind("zstd .nii.zst", rewritten("x.nii.zst", bytes), LEFT_OUT),
    Kind("MINC .mnc", bytes_of("x.mnc", b"CDF\x01"), LEFT_OUT),
    Kind("array .npy", lambda folder: np.save(folder / "x.npy", voxels()), LEFT_OUT),
    Kind("PNG among volumes", picture("x.png"), LEFT_OUT),
    Kind("GIF among volumes", picture("x.gif"), LEFT_OUT),
    Kind("text file", bytes_of("notes.txt", b"hello"), NOT_LOOKED_AT),
    Kind("hidden volume", lambda folder: save(folder, name=".x.nii.gz") and None, NOT_LOOKED_AT),
    Kind("macOS's ._ companion", bytes_of("._x.nii.gz", b"Mac OS X"), NOT_LOOKED_AT),
]
