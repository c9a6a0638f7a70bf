# SPDX-License-Identifier: Apache-2.0
"""The one adapter between timm and this package: an image in, a list of features out."""

from typing import Any, Dict, List, Optional, Sequence, Union

import timm
import torch
from pranet_monai.networks.backbones.registry import BACKBONES, IMAGENET_MEAN, IMAGENET_STD, STRIDES, BackboneRecord
from pranet_monai.networks.backbones.token_mlp import with_token_mlps
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["TimmBackbone", "create_backbone", "find_backbone"]


def find_backbone(name: str) -> BackboneRecord:
    """The record of a backbone: one of :data:`BACKBONES`, else one made from timm's own feature table.

    Raises:
        ValueError: neither knows the name, or timm's model has no features at strides 4, 8, 16, 32.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if not timm.is_model(name):
        known = ", ".join(sorted(BACKBONES.names))
        raise ValueError(f"backbone is {name!r}, must be one of {known}, or a timm model that gives features.")
    model: Any = timm.create_model(name, pretrained=False, features_only=True)
    info = model.feature_info
    wanted = list(STRIDES)
    levels = [i for i, stride in enumerate(info.reduction()) if stride in wanted]
    if [info.reduction()[i] for i in levels] != wanted:
        raise ValueError(f"timm's {name} gives features at strides {info.reduction()}, needed are {wanted}.")
    channels = tuple(info.channels()[i] for i in levels)
    return BackboneRecord(name, name, channels, f"timm's {name}", levels=tuple(levels))


class _NormedFeatures(nn.Module):
    """The features of timm's MaxViT, the last one through the final norm, which ``features_only`` leaves out."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.stem = model.stem
        self.stages = model.stages
        self.norm = model.norm
        # fused attention gains nothing on windows of 49 or 64 tokens, and torch can't export it to ONNX
        for module in model.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False

    def forward(self, x: Tensor) -> List[Tensor]:
        features: List[Tensor] = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        features[-1] = self.norm(x)
        return features


def _timm_model(record: BackboneRecord, pretrained: Union[bool, str], in_channels: int) -> nn.Module:
    arguments: Dict[str, Any] = dict(record.arguments, in_chans=in_channels)
    arguments.update({"num_classes": 0} if record.final_norm else {"features_only": True, "out_indices": record.levels})
    name = record.timm_name
    if pretrained:
        name = f"{name}.{record.weights}" if record.name in BACKBONES else name
        arguments["pretrained"] = True
        if isinstance(pretrained, str):
            arguments["pretrained_cfg_overlay"] = {"file": pretrained}
        elif record.package is not None:
            name = record.timm_name
            arguments["pretrained_cfg_overlay"] = {"state_dict": record.package.state_of(name)}
    try:
        model = timm.create_model(name, **arguments)
    except (OSError, RuntimeError) as error:  # what hub and file errors derive from
        if not pretrained:
            raise
        source = f"the file {pretrained}" if isinstance(pretrained, str) else "timm's model hub"
        raise RuntimeError(
            f"ImageNet weights {name} could not be read from {source} ({type(error).__name__}: {error}). "
            "Use pretrained=False (a checkpoint or training fills the network), go online once so that timm caches "
            "them, or give pretrained='<path to the weights file>'."
        ) from error
    return _NormedFeatures(model) if record.final_norm else model


class _InputScaling(nn.Module):
    """From images standardised as ImageNet's to what a backbone's weights expect, a factor and an offset per channel.

    Channels other than red, green and blue get the mean of the three. The numbers follow from the backbone's name, so
    they aren't kept with the weights.
    """

    factor: Tensor
    offset: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], in_channels: int) -> None:
        super().__init__()
        given_mean, given_std, own_mean, own_std = (
            torch.tensor(values).double() for values in (IMAGENET_MEAN, IMAGENET_STD, mean, std)
        )
        for name, values in (("factor", given_std / own_std), ("offset", (given_mean - own_mean) / own_std)):
            values = values if in_channels == 3 else values.mean().repeat(in_channels)
            self.register_buffer(name, values.float().view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor + self.offset


class TimmBackbone(nn.Module):
    """A timm model as backbone: ``(B, in_channels, H, W)`` to features at strides 4, 8, 16, 32, fine → coarse.

    Models of fixed windows (MaxViT) see the image resized to their ``image_size``; their strides count from that. The
    others take images whose sides are multiples of ``divisor``. All take images standardised as ImageNet's: where the
    weights expect another scaling, the record says so and it is done here.

    Args:
        record: what to build.
        pretrained: ImageNet weights: False, True (from the record's pip package, else from timm's hub or cache) or the
            path of a weights file with timm's names.
        in_channels: channels of the input.

    Raises:
        RuntimeError: the ImageNet weights can't be had, for example offline.
        UsageError: the pip package with the weights isn't installed, or its file isn't the known one.
    """

    image_size: Optional[int]  # torch.jit.script reads Optional attributes here

    def __init__(self, record: BackboneRecord, pretrained: Union[bool, str] = False, in_channels: int = 3) -> None:
        super().__init__()
        self.name = record.name
        self.channels: List[int] = list(record.channels)
        self.image_size = record.image_size
        self.divisor: int = STRIDES[-1] if record.image_size is None else 1
        usual = (record.input_mean, record.input_std) == (IMAGENET_MEAN, IMAGENET_STD)
        scaling = _InputScaling(record.input_mean, record.input_std, in_channels)
        self.input_scaling = nn.Identity() if usual else scaling
        self.body = with_token_mlps(_timm_model(record, pretrained, in_channels))

    def forward(self, x: Tensor) -> List[Tensor]:
        """Features ``(B, channels[i], H / STRIDES[i], W / STRIDES[i])``."""
        side = self.image_size
        if side is not None and (x.shape[2] != side or x.shape[3] != side):
            x = F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
        return self.body(self.input_scaling(x))


def create_backbone(name: str, pretrained: Union[bool, str] = False, in_channels: int = 3) -> TimmBackbone:
    """Build a backbone by name, see :func:`find_backbone` and :class:`TimmBackbone`."""
    return TimmBackbone(find_backbone(name), pretrained, in_channels)
