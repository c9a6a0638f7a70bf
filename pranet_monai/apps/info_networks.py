# SPDX-License-Identifier: Apache-2.0
"""``info networks``: networks as published and backbones, with their sizes, checkpoints and licences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from pranet_monai.networks.backbones import BACKBONES, BackboneRecord, TimmBackbone, create_backbone
from pranet_monai.networks.nets import NETWORKS
from pranet_monai.networks.published import PUBLISHED, PublishedNetwork
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["describe_networks", "networks_table"]

IMAGE_SIZE = 224  # of the backbones without a size of their own


def describe_networks() -> dict[str, list[dict[str, Any]]]:
    """Rows on the published networks (``networks``) and on the backbones (``backbones``), plain JSON values.

    ``gmacs`` are the multiply-accumulates of one image's eval pass in billions, at ``image_size``.
    """
    return {
        "networks": [_network(entry) for entry in PUBLISHED],
        "backbones": [_backbone(BACKBONES[name]) for name in BACKBONES.names],
    }


def networks_table() -> str:
    """What :func:`describe_networks` says, as text."""
    lines = []
    for title, rows in describe_networks().items():
        table = pd.DataFrame(rows)
        table["parameters"] = [f"{count / 1e6:.2f} M" for count in table["parameters"]]
        for column in table.columns.intersection(["channels", "official_checkpoints"]):
            table[column] = [", ".join(map(str, values)) or "-" for values in table[column]]
        lines += [title, table.fillna("-").to_string(index=False), ""]
    lines += ["A network takes any of these backbones, or another timm model with features at strides 4, 8, 16 and 32."]
    return "\n".join(lines)


def _network(entry: PublishedNetwork) -> dict[str, Any]:
    def build() -> nn.Module:
        return NETWORKS[entry.network](**entry.arguments)

    net, size = _measure(build, entry.image_size)
    backbones = [module.name for module in net.children() if isinstance(module, TimmBackbone)]
    return {
        "name": entry.name,
        "network": entry.network,
        "backbone": " + ".join(backbones or [entry.arguments["backbone"]]),  # FlexibleUNet brings encoders of its own
        "in_channels": net.in_channels,
        "out_channels": net.out_channels,
        **size,
        "official_checkpoints": list(entry.checkpoints),
        "license": entry.license if entry.checkpoints else None,
    }


def _backbone(record: BackboneRecord) -> dict[str, Any]:
    _, size = _measure(lambda: create_backbone(record.name), record.image_size or IMAGE_SIZE)
    return {
        "name": record.name,
        "description": record.description,
        "channels": list(record.channels),
        **size,
        "pretrained": record.package.package if record.package else f"{record.timm_name}.{record.weights}",
        "license": record.weights_license,
    }


def _measure(build: Callable[[], nn.Module], image_size: int) -> tuple[Any, dict[str, Any]]:
    """A network without its memory, and its size: tensors on the meta device have shapes only."""
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad(), counter:
        net = build().eval()
        net(torch.empty(1, getattr(net, "in_channels", 3), image_size, image_size))
    return net, {
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "gmacs": round(counter.get_total_flops() / 2e9, 2),
        "image_size": image_size,
    }
