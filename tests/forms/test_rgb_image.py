# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image
from pranet_monai.data.labels import get_label_map
from pranet_monai.errors import BadCaseError
from pranet_monai.forms import FORMS
from pranet_monai.forms.provenance import Provenance
from pranet_monai.forms.rgb_image import read_rgb, read_rgb_mask
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import AsLabelsd, SaveMaskd

POLYP = get_label_map("polyp")

COLOURS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def test_colours_come_as_channels_of_rows_and_columns(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "x.png")
    image = LoadCased("image")({"image": str(tmp_path / "x.png")})["image"]
    assert (image.shape, image.dtype) == ((3, 4, 5), torch.float32)
    assert image[1, 2, 3] == COLOURS[2, 3, 1]
    assert image.meta["filename_or_obj"] == str(tmp_path / "x.png")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA"])
def test_other_kinds_of_eight_bits_become_rgb(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(COLOURS[..., 0])
    grey.convert(mode).save(tmp_path / "x.png")
    assert (read_rgb(tmp_path / "x.png") == COLOURS[..., :1]).all()


def test_an_exif_turn_is_left_alone(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    exif = image.getexif()
    exif[0x0112] = 6  # "turn by 90 degrees to show"
    image.save(tmp_path / "x.jpg", exif=exif)
    assert read_rgb(tmp_path / "x.jpg").shape == (4, 5, 3)


def _transparent() -> Image.Image:
    image = Image.fromarray(COLOURS).convert("RGBA")
    image.putpixel((1, 1), (1, 2, 3, 200))
    return image


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.fromarray(np.zeros((4, 5), np.uint16)), "x.tiff: found pixels of type I;16; allowed: grey or RGB, 8"),
        (Image.fromarray(np.zeros((4, 5), np.float32)), "found pixels of type F"),
        (Image.fromarray(COLOURS).convert("CMYK"), "found pixels of type CMYK"),
        (_transparent(), "transparent pixels"),
    ],
)
def test_other_images_are_refused_with_the_reason(tmp_path: Path, image: Image.Image, message: str) -> None:
    image.save(tmp_path / "x.tiff")
    with pytest.raises(BadCaseError, match=message):
        read_rgb(tmp_path / "x.tiff")


def test_several_images_in_one_file_are_refused(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "x.tif", save_all=True, append_images=[Image.fromarray(COLOURS)])
    with pytest.raises(BadCaseError, match="found 2 images in one file"):
        read_rgb(tmp_path / "x.tif")


@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"no image"])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_damaged_files_are_refused_by_name(tmp_path: Path, damage, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3)).astype(np.uint8)).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadCaseError, match=f"x{suffix}: found a file that can't be read as an image"):
        read_rgb(path)


MASK = np.array([[0, 1, 1], [0, 0, 1]], dtype=np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(MASK * 255),
        Image.fromarray(MASK),  # class numbers
        Image.fromarray(MASK * 255).convert("1"),
        Image.fromarray(np.where(MASK, 250, 6).astype(np.uint8)),  # as JPEG leaves them
        Image.fromarray(np.stack([MASK * 255, MASK * 0, MASK * 0], axis=-1)),  # red on black
    ],
)
def test_masks_in_every_habit(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_rgb_mask(tmp_path / "m.png"), MASK)
    Image.fromarray(COLOURS[:2, :3]).save(tmp_path / "x.png")
    item = {"image": str(tmp_path / "x.png"), "label": str(tmp_path / "m.png")}
    loaded = LoadCased(["image", "label"], POLYP)(item)["label"]
    assert torch.equal(loaded.as_tensor(), torch.from_numpy(MASK[None].astype(np.float32)))


@pytest.mark.parametrize("brightness", [2, 100, 127])
def test_a_mask_too_dark_to_tell_is_not_taken_for_an_empty_one(tmp_path: Path, brightness: int) -> None:
    Image.fromarray(MASK * brightness).save(tmp_path / "m.png")
    with pytest.raises(BadCaseError, match=f"m.png: found a mask whose brightest pixel is {brightness};.*0 and 1"):
        read_rgb_mask(tmp_path / "m.png")


def mask_is_whole(mask: Path, source: Path) -> bool:
    made_by = Provenance(file_sha256(source))
    return FORMS["rgb_image"].mask_is_whole(mask, {"image": str(source)}, POLYP, made_by)


def _saved(folder: Path, source: Path, probability: np.ndarray) -> Path:
    pred = MetaTensor(torch.from_numpy(probability[None]), meta={"filename_or_obj": str(source)})
    SaveMaskd("pred", folder, POLYP)(AsLabelsd("pred", 1)({"pred": pred, "case": "ward/x"}))
    return folder / "ward" / "x_seg.png"


def test_mask_is_written_whole_at_one_half(tmp_path: Path) -> None:
    source = tmp_path / "x.jpg"
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(source)
    path = _saved(tmp_path / "out", source, np.array([[0.2, 0.5, 0.9], [0.49, 0.0, 1.0]], np.float32))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), [[0, 255, 255], [0, 0, 255]])
    assert mask_is_whole(path, source)
    assert [file.name for file in path.parent.iterdir()] == ["x_seg.png"]

    Image.fromarray(np.zeros((3, 3, 3), np.uint8)).save(source)
    assert not mask_is_whole(path, source), "of another size"
    Image.fromarray(MASK).save(path)
    assert not mask_is_whole(path, source), "not ours"
    assert not mask_is_whole(tmp_path / "none.png", source)


def test_foreign_mask_beside_the_image_is_spared(tmp_path: Path) -> None:
    (tmp_path / "ward").mkdir()
    source, reference = tmp_path / "ward" / "x.png", tmp_path / "ward" / "x_seg.png"
    Image.fromarray(COLOURS).save(source)
    Image.fromarray(MASK).save(reference)
    with pytest.raises(BadCaseError, match="didn't write"):
        _saved(tmp_path, source, np.zeros((4, 5), np.float32))
    np.testing.assert_array_equal(np.asarray(Image.open(reference)), MASK)
