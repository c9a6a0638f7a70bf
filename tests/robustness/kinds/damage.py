# SPDX-License-Identifier: Apache-2.0
"""Files that are empty, cut off, damaged, or made to do harm."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
import zlib
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import SimpleITK as sitk

from ..heart import AFFINE, block, image, save, voxels
from ..kind import LEFT_OUT, OK, Handled, Kind, Maker, failed
from .formats import by_itk, bytes_of

RNG = np.random.default_rng(14)


class CodeInPickle:
    """What unpickling would run."""

    def __reduce__(self) -> tuple:
        return (exec, ("import pathlib; pathlib.Path('pwned').touch()",))


def cut(share: float, name: str = "x.nii.gz") -> Maker:
    def make(folder: Path) -> None:
        path = save(folder, RNG.integers(0, 999, (40, 36, 3)).astype(np.int16), name=name)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return make


def cut_after(make: Maker, name: str, count: int = 60) -> Maker:
    def made(folder: Path) -> None:
        make(folder)
        (folder / name).write_bytes((folder / name).read_bytes()[:-count])

    return made


def flipped(position: float) -> Maker:
    """One bit of the packed voxels."""

    def make(folder: Path) -> None:
        path = save(folder, RNG.integers(0, 999, (40, 36, 3)).astype(np.int16))
        content = bytearray(path.read_bytes())
        content[int(len(content) * position)] ^= 16
        path.write_bytes(content)

    return make


def followed_by(junk: bytes, name: str = "x.nii.gz") -> Maker:
    def make(folder: Path) -> np.ndarray:
        path = save(folder, name=name)
        path.write_bytes(path.read_bytes() + junk)
        return block()

    return make


def wrong_sum(folder: Path) -> None:
    content = bytearray(save(folder).read_bytes())
    content[-8:-4] = b"\0\1\2\3"
    (folder / "x.nii.gz").write_bytes(content)


def bomb(folder: Path) -> None:
    """Sixty kilobytes that unpack to 64 MB of zeros, behind a header that claims them all."""
    header = image(voxels((4, 4, 4))).header.copy()
    header.set_data_shape((30000, 30000, 1000))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    packer = zlib.compressobj(wbits=31)
    content = packer.compress(header.binaryblock + bytes(4)) + packer.compress(bytes(64 << 20)) + packer.flush()
    (folder / "x.nii.gz").write_bytes(content)


def npz(**arrays: np.ndarray) -> Maker:
    return lambda folder: np.savez(folder / "x.npz", **arrays)


def npz_of(member: str, content: bytes) -> Maker:
    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, content)

    return make


def claim(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.getvalue()


def h5_link(folder: Path) -> None:
    with h5py.File(folder / "x.h5", "w") as file:
        file["image"] = h5py.ExternalLink("/etc/passwd", "/")


def h5_group(folder: Path) -> None:
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_group("image")


def nrrd_elsewhere(folder: Path) -> None:
    (folder / "x.nrrd").write_text(
        "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 4\nspace: left-posterior-superior\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nencoding: raw\ndata file: /etc/passwd\n\n"
    )


def itk_vectors(folder: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 36, 40, 3), np.uint8), isVector=True), str(folder / "x.mha"))


def dicom_deflated_garbage(folder: Path) -> None:
    (folder / "series").mkdir()
    for number in range(3):
        (folder / "series" / f"{number}.dcm").write_bytes(bytes(128) + b"DICM" + RNG.bytes(500))


def mgz(folder: Path) -> None:
    nib.save(nib.MGHImage(RNG.integers(0, 999, (40, 36, 3)).astype(np.int16), AFFINE), folder / "x.mgz")


UNREAD = failed("that can't be read as a volume")
NO_ARRAY = failed("that can't be read")
PICKLE = failed("it holds Python objects, which aren't loaded")
NO_NUMBERS = failed("allowed: numbers, (H, W) or (D, H, W)")
NPY = np.zeros((3, 4, 4), np.float32)

KINDS = [
    Kind("empty .nii", bytes_of("x.nii", b""), failed("found 0 bytes that can't be read")),
    Kind("empty .nii.gz", bytes_of("x.nii.gz", b""), failed("found 0 bytes that can't be read")),
    Kind("empty .hdr", bytes_of("x.hdr", b""), failed("found 0 bytes that can't be read")),
    Kind("empty .mgz", bytes_of("x.mgz", b""), failed("found 0 bytes that can't be read")),
    Kind("empty .nrrd", bytes_of("x.nrrd", b""), failed("found 0 bytes that can't be read")),
    Kind("empty .mha", bytes_of("x.mha", b""), failed("found 0 bytes that can't be read")),
    Kind("empty .npz", bytes_of("x.npz", b""), failed("found 0 bytes that can't be read")),
    Kind("empty .h5", bytes_of("x.h5", b""), failed("found 0 bytes that can't be read")),
    Kind("gzip of nothing", bytes_of("x.nii.gz", gzip.compress(b"")), UNREAD),
    Kind("one byte", bytes_of("x.nii", b"\0"), UNREAD),
    Kind("header alone", cut(352 / 8992, "x.nii"), failed("its header claims")),
    Kind("half a header", cut(200 / 8992, "x.nii"), UNREAD),
    *(Kind(f"cut off at {share} %, packed", cut(share / 100), UNREAD) for share in (1, 10, 50, 90, 99)),
    *(
        Kind(f"cut off at {share} %, plain", cut(share / 100, "x.nii"), failed("its header claims"))
        for share in (50, 99)
    ),
    Kind("cut off before gzip's checksum", cut_after(lambda f: save(f) and None, "x.nii.gz", 8), UNREAD),
    Kind("cut off .mgz", cut_after(mgz, "x.mgz"), UNREAD),
    Kind("cut off .nrrd", cut_after(by_itk("x.nrrd"), "x.nrrd"), UNREAD),
    Kind("cut off .mha", cut_after(by_itk("x.mha"), "x.mha"), UNREAD),
    Kind("cut off .raw beside .mhd", cut_after(by_itk("x.mhd"), "x.raw"), UNREAD),
    Kind("cut off .zraw beside .mhd", cut_after(by_itk("x.mhd", packed=True), "x.zraw"), UNREAD),
    *(Kind(f"a bit flipped at {share} %, packed", flipped(share / 100), UNREAD) for share in (30, 60, 95)),
    Kind("wrong checksum", wrong_sum, UNREAD),
    Kind("zeros behind gzip's end", followed_by(bytes(512)), OK),
    Kind("junk behind gzip's end", followed_by(b"junk"), UNREAD),
    Kind("random bytes .nii", bytes_of("x.nii", RNG.bytes(5000)), UNREAD),
    Kind("random bytes .nii.gz", bytes_of("x.nii.gz", gzip.compress(RNG.bytes(5000))), UNREAD),
    Kind("random bytes .mgz", bytes_of("x.mgz", gzip.compress(RNG.bytes(5000))), UNREAD),
    Kind("random bytes .nrrd", bytes_of("x.nrrd", RNG.bytes(5000)), UNREAD),
    Kind("random bytes .npz", bytes_of("x.npz", RNG.bytes(5000)), NO_ARRAY),
    Kind("random bytes .h5", bytes_of("x.h5", RNG.bytes(5000)), NO_ARRAY),
    Kind("random DICOM", dicom_deflated_garbage, Handled("failed", "can't be read as DICOM", rows=3, has_mask=False)),
    Kind("a web page saved as .nii.gz", bytes_of("x.nii.gz", b"<!DOCTYPE html><title>404</title>"), UNREAD),
    Kind(
        "a Git LFS pointer", bytes_of("x.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"), UNREAD
    ),
    Kind("a packed file of zeros without end", bomb, failed("of memory as float32 with two copies")),
    Kind("a pickle named .npz", bytes_of("x.npz", pickle.dumps(CodeInPickle())), PICKLE),
    Kind("a pickled object in .npz", npz(image=np.array([CodeInPickle()], dtype=object)), PICKLE),
    Kind("a pickle inside of .npz", npz_of("image.npy", pickle.dumps(CodeInPickle())), NO_ARRAY),
    Kind(
        ".npz that claims more than memory",
        npz_of("image.npy", claim((30000,) * 3)),
        failed("of memory as float32 with two copies"),
    ),
    Kind(".npz that claims more than is in it", npz_of("image.npy", claim((300, 300, 3))), NO_ARRAY),
    Kind(".npz that climbs out of its folder", npz_of("../../image.npy", b"x"), LEFT_OUT),
    Kind(".npz without an image", npz(softmax=NPY), LEFT_OUT),
    Kind(".npz of words", npz(image=np.array(["a", "b"])), NO_NUMBERS),
    Kind(".npz of complex numbers", npz(image=NPY.astype(np.complex64)), NO_NUMBERS),
    Kind(".npz of four dimensions", npz(image=NPY[None]), NO_NUMBERS),
    Kind(".npz of one number", npz(image=np.float32(3)), NO_NUMBERS),
    Kind(".npz without voxels", npz(image=NPY[:0]), NO_NUMBERS),
    Kind(".npz with NaN", npz(image=NPY * np.nan), failed("found 48 NaN")),
    Kind(".h5 that links to the password file", h5_link, NO_ARRAY),
    Kind(".h5 with a group for an image", h5_group, NO_NUMBERS),
    Kind(".nrrd that names the password file", nrrd_elsewhere, failed("found a header whose voxels are in")),
    Kind(".mha of colours", itk_vectors, failed("found 3 numbers per voxel")),
]
