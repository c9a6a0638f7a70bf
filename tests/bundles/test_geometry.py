# SPDX-License-Identifier: Apache-2.0
"""Geometry is stated once in a config: one override reaches whatever depends on it, and documents need no positions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser
from monai.transforms import OneOf, RandAffined, RandFlipd, Spacingd
from pranet_monai.inferers import SliceVolumeInferer, ToPixdim
from pranet_monai.transforms.slicing import SliceAxisLastd
from pranet_monai.transforms.zoom import ResizePlanesd, ZoomPlanesd

from .conftest import BUNDLES, ROOT, read_json

BY_POSITION = re.compile(r"transforms#\d")
LITERAL = {"pixdim", "roi_size", "crop_size", "image_size", "axis", "adjacent_slices", "spatial_size", "size"}
HAVE_PIXDIM = [folder for folder in BUNDLES if "pixdim" in read_json(folder / "configs" / "inference.json")]
SQUEEZING = [folder for folder in BUNDLES if folder not in HAVE_PIXDIM]


def config(bundle: Path, name: str, **overrides: Any) -> ConfigParser:
    parser = ConfigParser(read_json(bundle / "configs" / f"{name}.json"))
    parser.update({"network_def#pretrained": False, **overrides})
    return parser


def transforms(parser: ConfigParser, key: str, kind: type) -> list[Any]:
    """All of a kind, those that are one of several alternatives, too."""
    listed = parser.get_parsed_content(key).transforms
    flat = [part for item in listed for part in (item.transforms if isinstance(item, OneOf) else [item])]
    return [item for item in flat if isinstance(item, kind)]


def names(folder: Path) -> str:
    return folder.name


def in_slices(inferer: Any) -> SliceVolumeInferer:
    """The inferer over slices; that of several views holds one for all of them."""
    return getattr(inferer, "inferer", inferer)


@pytest.mark.parametrize("bundle", HAVE_PIXDIM, ids=names)
def test_finer_pixels_are_one_override(bundle: Path) -> None:
    train, infer = (config(bundle, name, pixdim=[1.25, 0.75]) for name in ("train", "inference"))
    (resample,) = transforms(train, "train#preprocessing", Spacingd)
    assert list(resample.spacing_transform.pixdim) == [1.25, 0.75, -1.0]
    inferers = [infer.get_parsed_content("inferer"), train.get_parsed_content("validate#inferer")]
    assert [in_slices(inferer).resampling for inferer in inferers] == [ToPixdim((1.25, 0.75))] * 2


@pytest.mark.parametrize("bundle", HAVE_PIXDIM, ids=names)
def test_other_geometry_is_one_override_too(bundle: Path) -> None:
    changes = {
        "axis": "coronal",
        "crop_size": [96, 128],
        "shift": 7,
        "zoom": 0.125,
        "rotate": 0.5,
        "roi_size": [160, 96],
    }
    train = config(bundle, "train", **changes, mirror_probs=[0.25, 0.75])
    (axis,) = transforms(train, "train#preprocessing", SliceAxisLastd)
    inferer = train.get_parsed_content("validate#inferer")
    assert (axis.axis, train.get_parsed_content("train#dataset#views")) == ("coronal", [])
    assert getattr(inferer, "axes", (in_slices(inferer).axis,)) == ("coronal",)
    assert in_slices(inferer).windows.roi_size == (160, 96)
    (affine,) = transforms(train, "train#slice_transform", RandAffined)
    grid = affine.rand_affine.rand_affine_grid
    assert (tuple(affine.rand_affine.spatial_size), grid.translate_range) == ((96, 128), (7,))
    assert (grid.scale_range, grid.rotate_range) == ((0.125,), (0.5,))
    flips = transforms(train, "train#slice_transform", RandFlipd)
    assert [flip.prob for flip in flips] == [0.25, 0.75]


@pytest.mark.parametrize("bundle", SQUEEZING, ids=names)
def test_squeezed_size_is_one_override(bundle: Path) -> None:
    train, infer = (config(bundle, name, image_size=[64, 96]) for name in ("train", "inference"))
    inferers = [infer.get_parsed_content("inferer"), train.get_parsed_content("validate#inferer")]
    assert [inferer.resampling.size for inferer in inferers] == [(64, 96)] * 2
    parts = [(part, kind) for part in ("preprocessing", "slice_transform") for kind in (ResizePlanesd, ZoomPlanesd)]
    sizes = [squeeze.size for part, kind in parts for squeeze in transforms(train, f"train#{part}", kind)]
    assert sizes == [(64, 96)]
    for affine in transforms(train, "train#slice_transform", RandAffined):
        assert tuple(affine.rand_affine.spatial_size) == (64, 96)


@pytest.mark.parametrize("bundle", BUNDLES, ids=names)
@pytest.mark.parametrize("name", ["train", "inference"])
def test_geometry_stands_nowhere_but_at_the_top(bundle: Path, name: str) -> None:
    stated = read_json(bundle / "configs" / f"{name}.json")
    nested = [item for value in stated.values() for item in entries(value)]
    literal = [(key, value) for key, value in nested if key in LITERAL and "@" not in str(value)]
    assert not literal, "these should refer to a top-level id by @"


def entries(tree: Any) -> list[tuple[str, Any]]:
    """Key and value of every entry of a mapping below a tree's top."""
    if isinstance(tree, list):
        return [entry for item in tree for entry in entries(item)]
    if not isinstance(tree, dict):
        return []
    return [entry for key, value in tree.items() for entry in [(key, value), *entries(value)]]


def test_no_document_names_a_transform_by_its_position() -> None:
    kinds = ("*.md", "*.yaml", "*.yml", "*.json", "*.ipynb")
    places = [ROOT, *(ROOT / name for name in ("bundles", "benchmarks", "docs", "examples"))]
    files = {
        file for place in places for kind in kinds for file in (place.glob if place == ROOT else place.rglob)(kind)
    }
    assert len(files) > 50
    found = [str(file.relative_to(ROOT)) for file in sorted(files) if BY_POSITION.search(file.read_text("utf-8"))]
    assert not found, "name the amount by a top-level id of the config, such as --pixdim"
