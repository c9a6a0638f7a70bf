# SPDX-License-Identifier: Apache-2.0
"""RGB images, as the bundles for polyps take them."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from ..heart import block, save
from ..kind import LEFT_OUT, NOT_LOOKED_AT, OK, Handled, Kind, Maker, failed, without_metrics

SIZE = (256, 256)
GREY = np.where(block(SIZE), 220, 30).astype(np.uint8)
COLOURS = np.stack([GREY, GREY // 2, GREY // 3], -1)


def saved(name: str, mode: str = "RGB", pixels: np.ndarray = COLOURS, **options: Any) -> Maker:
    def make(folder: Path) -> np.ndarray:
        Image.fromarray(pixels).convert(mode).save(folder / name, **options)
        return block(pixels.shape[:2])

    return make


def palette(transparent: bool) -> Maker:
    def make(folder: Path) -> np.ndarray:
        made = Image.fromarray(COLOURS).quantize(4)
        options = {"transparency": 0} if transparent else {}
        made.save(folder / "x.png", **options)
        return block(SIZE)

    return make


def with_alpha(alpha: int) -> Maker:
    pixels = np.dstack([COLOURS, np.full(SIZE, alpha, np.uint8)])

    def make(folder: Path) -> np.ndarray:
        Image.fromarray(pixels).save(folder / "x.png")
        return block(SIZE)

    return make


def turned_by_exif(folder: Path) -> np.ndarray:
    """The pixels' own order counts: a mask lies on the file."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLOURS).save(folder / "x.jpg", quality=95, exif=exif)
    return block(SIZE)


def several(name: str) -> Maker:
    def make(folder: Path) -> None:
        frame = Image.fromarray(COLOURS)
        frame.save(folder / name, save_all=True, append_images=[Image.fromarray(COLOURS // 2)])

    return make


def cut(name: str, share: float) -> Maker:
    def make(folder: Path) -> None:
        saved(name, pixels=np.random.default_rng(0).integers(0, 255, (*SIZE, 3)).astype(np.uint8))(folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return make


def bytes_of(name: str, content: bytes) -> Maker:
    def make(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return make


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def claiming(width: int, height: int) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def text_bomb(folder: Path) -> None:
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "A" * (80 << 20), zip=True)
    Image.fromarray(COLOURS).save(folder / "x.png", pnginfo=note)


def wrong_sum(folder: Path) -> None:
    saved("x.png")(folder)
    content = bytearray((folder / "x.png").read_bytes())
    content[content.index(b"IDAT") + 20] ^= 255
    (folder / "x.png").write_bytes(content)


def with_mask(pixels: np.ndarray, name: str = "x.png") -> Maker:
    def make(folder: Path) -> np.ndarray:
        for sub in ("images", "masks"):
            (folder / sub).mkdir()
        saved("x.png")(folder / "images")
        Image.fromarray(pixels).save(folder / "masks" / name)
        return block(SIZE)

    return make


def volume(folder: Path) -> None:
    save(folder)


MASK = block(SIZE).astype(np.uint8) * 255
UNREAD = failed("found a file that can't be read as an image")
NOT_8_BIT = failed("allowed: grey or RGB, 8 bits per channel")
JPEG = Handled("ok", overlap=0.97)  # its traces around edges
SIXTEEN = np.dstack([COLOURS]).astype(np.uint16)[..., 0] * 257

KINDS = [
    Kind("PNG", saved("x.png"), OK),
    Kind("PNG, name in capitals", saved("X.PNG"), OK),
    Kind("PNG of greys", saved("x.png", "L"), OK),
    Kind("PNG of one bit", saved("x.png", "1", pixels=MASK), OK),
    Kind("PNG with a palette", palette(False), OK),
    Kind("PNG with a transparent colour", palette(True), failed("found transparent pixels")),
    Kind("PNG with an opaque alpha channel", with_alpha(255), OK),
    Kind("PNG with a transparent alpha channel", with_alpha(128), failed("found transparent pixels")),
    Kind("PNG of 16 bits", saved("x.png", "I;16", pixels=SIXTEEN), NOT_8_BIT),
    Kind("PNG with two frames", several("x.png"), failed("found 2 images in one file")),
    Kind("JPEG", saved("x.jpg", quality=95), JPEG),
    Kind("JPEG of greys", saved("x.jpeg", "L", quality=95), JPEG),
    Kind("JPEG, progressive", saved("x.jpg", quality=95, progressive=True), JPEG),
    Kind("JPEG of CMYK", saved("x.jpg", "CMYK"), NOT_8_BIT),
    Kind("JPEG turned by EXIF", turned_by_exif, JPEG),
    Kind("BMP", saved("x.bmp"), OK),
    Kind("TIFF", saved("x.tif"), OK),
    Kind("TIFF, packed", saved("x.tiff", compression="tiff_lzw"), OK),
    Kind("TIFF of CMYK", saved("x.tif", "CMYK"), NOT_8_BIT),
    Kind("TIFF of floats", saved("x.tif", "F"), NOT_8_BIT),
    Kind("TIFF with two pages", several("x.tif"), failed("found 2 images in one file")),
    Kind("GIF", saved("x.gif"), LEFT_OUT),
    Kind("WebP", saved("x.webp"), LEFT_OUT),
    Kind(
        "JPEG named .png",
        lambda f: saved("x.jpg", quality=95)(f) is not None and (f / "x.jpg").rename(f / "x.png") and None,
        JPEG,
    ),
    Kind("image of 2000 x 3 pixels", saved("x.png", pixels=COLOURS[:3].repeat(8, 1)), Handled("ok", overlap=0)),
    Kind("image of one pixel", saved("x.png", pixels=COLOURS[:1, :1]), Handled("ok", overlap=0)),
    Kind("image of another size", saved("x.png", pixels=COLOURS[:100, :150].copy()), Handled("ok", overlap=0)),
    Kind("image all black", saved("x.png", pixels=COLOURS * 0), Handled("ok", overlap=0)),
    Kind("empty PNG", bytes_of("x.png", b""), UNREAD),
    Kind("text named .png", bytes_of("x.png", b"hello"), UNREAD),
    Kind("SVG named .png", bytes_of("x.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), UNREAD),
    Kind("random bytes .jpg", bytes_of("x.jpg", np.random.default_rng(1).bytes(3000)), UNREAD),
    *(
        Kind(f"{name} cut off at {share} %", cut(f"x.{name}", share / 100), UNREAD)
        for name in ("png", "jpg", "bmp", "tif")
        for share in (2, 50, 99)
    ),
    Kind("PNG with a wrong checksum", wrong_sum, UNREAD),
    Kind("PNG that claims 60000 x 60000 pixels", bytes_of("x.png", claiming(60000, 60000)), failed("found Image size")),
    Kind("PNG that claims no pixel", bytes_of("x.png", claiming(0, 10)), UNREAD),
    Kind("PNG whose comment unpacks to 80 MB", text_bomb, UNREAD),
    Kind("pipe named as an image", lambda folder: os.mkfifo(folder / "x.jpg"), LEFT_OUT),
    Kind("link to nothing, image", lambda folder: (folder / "x.png").symlink_to("gone"), failed("found no such file")),
    Kind("volume among images", volume, LEFT_OUT),
    Kind("macOS's companion of an image", bytes_of("._x.png", b"Mac OS X"), NOT_LOOKED_AT),
    Kind("mask", with_mask(MASK), OK),
    Kind("mask of 0 and 1", with_mask(MASK // 255), OK),
    Kind("mask in colour", with_mask(np.dstack([MASK] * 3)), OK),
    Kind("mask of 0 and 100", with_mask(np.minimum(MASK, 100)), without_metrics("whose brightest pixel is 100")),
    Kind("mask as JPEG", with_mask(MASK, "x.jpg"), OK),
    Kind("mask of another size", with_mask(MASK[:100]), without_metrics("found 256 x 100 pixels")),
    Kind("mask of 16 bits", with_mask(MASK.astype(np.uint16) * 257), without_metrics(NOT_8_BIT.words)),
]
