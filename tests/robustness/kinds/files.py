# SPDX-License-Identifier: Apache-2.0
"""What a path can be, if not a file: links, pipes, sockets, devices, folders, and what may not be read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np

from ..heart import block, save
from ..kind import LEFT_OUT, NOT_LOOKED_AT, OK, Handled, Kind, Maker, failed


def link(target: str, name: str = "x.nii.gz") -> Maker:
    return lambda folder: (folder / name).symlink_to(target)


def linked_file(folder: Path) -> np.ndarray:
    (folder / ".store").mkdir()
    save(folder / ".store", name="blob.nii.gz")
    (folder / "x.nii.gz").symlink_to(".store/blob.nii.gz")
    return block()


def linked_as_annex(folder: Path) -> np.ndarray:
    """git-annex and DVC keep contents under names without meaning."""
    (folder / ".store").mkdir()
    save(folder / ".store").rename(folder / ".store" / "SHA256E-s4--ab")
    (folder / "x.nii.gz").symlink_to(".store/SHA256E-s4--ab")
    return block()


def hard_link(folder: Path) -> np.ndarray:
    os.link(save(folder), folder / "y.nii.gz")
    return block()


def linked_folder(folder: Path) -> np.ndarray:
    (folder / "a").mkdir()
    save(folder / "a")
    (folder / "b").symlink_to("a", target_is_directory=True)
    return block()


def folder_loop(folder: Path) -> np.ndarray:
    (folder / "a").mkdir()
    (folder / "a" / "up").symlink_to("..", target_is_directory=True)
    save(folder / "a")
    return block()


def pipe(name: str) -> Maker:
    """Opening it for reading waits for a writer, for ever."""
    return lambda folder: os.mkfifo(folder / name)


def socket_file(folder: Path) -> None:
    here = os.getcwd()
    os.chdir(folder)  # paths of sockets are short
    try:
        socket.socket(socket.AF_UNIX).bind("x.nii.gz")
    finally:
        os.chdir(here)


def unreadable(name: str) -> Maker:
    def make(folder: Path) -> None:
        (save(folder, name=name) if name.endswith(("gz", "nii")) else folder / name).touch()
        (folder / name).chmod(0)

    return make


def sparse(folder: Path) -> None:
    path = save(folder, name="x.nii")
    path.write_bytes(path.read_bytes()[:352])
    os.truncate(path, 352 + 40 * 36 * 3 * 2)


NO_FILE = failed("found no such file")

KINDS = [
    Kind("link to a volume", linked_file, OK),
    Kind("link to a file without extension", linked_as_annex, OK),
    Kind("hard link beside its file", hard_link, Handled("ok", rows=2)),
    Kind("link to nothing", link("gone.nii.gz"), NO_FILE),
    Kind("link to itself", link("x.nii.gz"), NO_FILE),
    Kind("link to a folder named as a volume", link(".", "x.nii.gz"), NOT_LOOKED_AT),
    Kind("folder linked beside itself", linked_folder, OK),
    Kind("folder that links to the one above", folder_loop, OK),
    Kind("link to an endless device, .nii", link("/dev/zero", "x.nii"), LEFT_OUT),
    Kind("link to an endless device, .npz", link("/dev/zero", "x.npz"), LEFT_OUT),
    Kind("link to an endless device, without extension", link("/dev/zero", "IM0001"), LEFT_OUT),
    Kind("pipe named .nii.gz", pipe("x.nii.gz"), LEFT_OUT),
    Kind("pipe named .mhd", pipe("x.mhd"), LEFT_OUT),
    Kind("pipe named .npz", pipe("x.npz"), LEFT_OUT),
    Kind("pipe named .h5", pipe("x.h5"), LEFT_OUT),
    Kind("pipe named .dcm", pipe("x.dcm"), LEFT_OUT),
    Kind("pipe without extension", pipe("IM0001"), LEFT_OUT),
    Kind("pipe named .png", pipe("x.png"), LEFT_OUT),
    Kind("socket", socket_file, LEFT_OUT),
    Kind("volume that may not be read", unreadable("x.nii.gz"), failed("Permission denied")),
    Kind("arrays that may not be read", unreadable("x.npz"), failed("Permission denied")),
    Kind("sparse file of zeros", sparse, OK),
]
