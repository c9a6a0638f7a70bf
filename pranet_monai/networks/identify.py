# SPDX-License-Identifier: Apache-2.0
"""Which network an official checkpoint belongs to, read from its keys and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from pranet_monai.networks.backbones import BACKBONES, create_backbone
from pranet_monai.networks.checkpoints import fit, misfit, open_checkpoint
from pranet_monai.networks.nets import NETWORKS
from torch import Tensor, nn

__all__ = ["CheckpointIdentity", "identify_checkpoint"]

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class CheckpointIdentity:
    """A network as a bundle's config writes it.

    Attributes:
        network: name in ``NETWORKS``.
        arguments: constructor arguments, plain JSON values.
    """

    network: str
    arguments: dict[str, Any]

    def build(self) -> nn.Module:
        """The network, with random weights."""
        return NETWORKS[self.network](**self.arguments)


def identify_checkpoint(checkpoint: str | Path | Mapping[str, Any]) -> CheckpointIdentity:
    """Recognise the network of an official checkpoint and prove that every key and shape fits.

    Keys can't tell whether a network that owns the 1→3 stem was fed with one channel or three: the polyp networks
    (PraNet) are taken for RGB, the others for one channel, as they were published. Likewise EMCAD's ``dw_parallel`` and
    ``act``, which have no weights, are taken as published.

    Args:
        checkpoint: a file, or its content.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no state dict, not of a known network, or one with keys or shapes that don't fit it.
    """
    source, official = open_checkpoint(checkpoint)
    shapes = {key: tuple(value.shape) for key, value in official.items()}
    for marker, recognise in _FAMILIES.items():
        if marker in shapes:
            try:
                identity = recognise(shapes)
            except KeyError as error:
                raise ValueError(f"{source} has {marker} but lacks {error}: an incomplete checkpoint.") from error
            _prove(identity, source, official)
            return identity
    raise ValueError(
        f"{source} belongs to no known network: its {len(shapes)} keys begin with {', '.join(list(shapes)[:5])}; "
        f"known networks have one of {', '.join(_FAMILIES)}."
    )


def _prove(identity: CheckpointIdentity, source: str, official: Mapping[str, Tensor]) -> None:
    with torch.device("meta"):  # shapes only: costs no memory
        network = identity.build()
    problems = fit(network, official).problems
    if problems:
        raise ValueError(misfit(network, source, problems))


def _pranet_v1(shapes: Shapes) -> CheckpointIdentity:
    prefix = "resnet." if "resnet.conv1.0.weight" in shapes else "backbone."
    classes = shapes["agg1.conv5.weight"][0]
    return CheckpointIdentity(
        "PraNetV1", {"in_channels": 3, "out_channels": classes, "backbone": _backbone(shapes, prefix)}
    )


def _pranet_v2(shapes: Shapes) -> CheckpointIdentity:
    classes = shapes["agg1.conv5_fg.weight"][0]
    return CheckpointIdentity(
        "PraNetV2", {"in_channels": 3, "out_channels": classes, "backbone": _backbone(shapes, "backbone.")}
    )


def _emcad(shapes: Shapes) -> CheckpointIdentity:
    wide, channels = shapes["decoder.mscb4.0.pconv1.0.weight"][:2]
    branches = sorted(key for key in shapes if re.fullmatch(r"decoder\.mscb4\.0\.msdc\.dwconvs\.\d\.0\.weight", key))
    arguments = {
        "in_channels": shapes["conv.0.weight"][1],
        "out_channels": shapes["out_head4.weight"][0],
        "backbone": _backbone(shapes, "backbone."),
        "dsra": "decoder.ConvBlock4_fg.conv.weight" in shapes,
        "kernel_sizes": [shapes[key][-1] for key in branches],
        "expansion_factor": wide // channels,
        "add": shapes["decoder.mscb4.0.pconv2.0.weight"][1] == wide,
        "lgag_kernel_size": shapes["decoder.lgag3.W_g.0.weight"][-1],
    }
    return CheckpointIdentity("EMCADNet", arguments)


def _mist(shapes: Shapes) -> CheckpointIdentity:
    arguments = {
        "in_channels": shapes["conv.0.weight"][1],
        "out_channels": shapes["out_head4.weight"][0],
        "backbone": _backbone(shapes, "backbone1."),
        "dsra": "decoder.out_head4_fg.weight" in shapes,
    }
    return CheckpointIdentity("MIST", arguments)


def _merit(shapes: Shapes) -> CheckpointIdentity:
    out_channels, merged = shapes["decoder.ConvBlock3.conv.0.weight"][:2]
    arguments = {
        "in_channels": shapes["conv.0.weight"][1],
        "out_channels": shapes["out_head4.weight"][0],
        "mode": "cascaded" if "out_head4_in.weight" in shapes else "parallel",
        "aggregation": "additive" if merged == out_channels else "concatenation",
        "dsra": "decoder.ConvBlock4_fg.conv.weight" in shapes,
        "backbones": [_backbone(shapes, "backbone1."), _backbone(shapes, "backbone2.")],
    }
    return CheckpointIdentity("MERIT", arguments)


# a key that only this network has
_FAMILIES: dict[str, Callable[[Shapes], CheckpointIdentity]] = {
    "agg1.conv5.weight": _pranet_v1,
    "agg1.conv5_fg.weight": _pranet_v2,
    "decoder.mscb4.0.pconv1.0.weight": _emcad,
    "decoder.block_5.conv1.weight": _mist,
    "decoder.Conv_1x1.weight": _merit,
}


@cache
def _skeleton(name: str) -> nn.Module:
    with torch.device("meta"):
        return create_backbone(name)


def _backbone(shapes: Shapes, prefix: str) -> str:
    """The backbone whose keys and shapes are those under the prefix, or the nearest, which the proof then refuses."""
    own = {k.removeprefix(prefix): torch.empty(s, device="meta") for k, s in shapes.items() if k.startswith(prefix)}
    problems: dict[str, int] = {}
    for name in BACKBONES.names:
        problems[name] = len(fit(_skeleton(name), own).problems)
        if problems[name] == 0:
            break
    return min(problems, key=problems.__getitem__)
