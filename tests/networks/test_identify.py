# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint is, from keys and shapes alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from pranet_monai.networks.identify import identify_checkpoint
from pranet_monai.networks.nets import NETWORKS
from pranet_monai.networks.published import PUBLISHED
from torch import Tensor

from tests.networks.cases import empty_weights, load_case

# the released files, by the recorded network of the same keys; the recording of MIST for Synapse has no DSRA
RELEASED = {
    "RES-V1.pth": "pranet_v1_res2net50_352",
    "PVT-V1.pth": "pranet_v1_pvtv2b2_352",
    "RES-V2.pth": "pranet_v2_res2net50_c1_352",
    "PVT-V2.pth": "pranet_v2_pvtv2b2_c1_352",
    "EMCAD_Synapse.pth": "emcad_pvtv2b2_dual_c9_ch1_224",
    "MIST_ACDC.pth": "mist_dual_c4_ch1_256",
    "MIST_Synapse.pth": "mist_dual_c4_ch1_256",
}
SMALL_MAXVIT, SMALL_MAXXVIT = "maxvit_rmlp_small_rw_224", "maxxvit_rmlp_small_rw_256"


def released(file: str) -> dict[str, Tensor]:
    official = empty_weights(load_case(RELEASED[file]))
    if file == "MIST_Synapse.pth":
        heads = {key: value.new_empty(9, *value.shape[1:]) for key, value in official.items() if "out_head" in key}
        official = official | heads
    return official


def test_all_released_files_are_covered() -> None:
    assert {file for entry in PUBLISHED for file in entry.checkpoints} == set(RELEASED)


@pytest.mark.parametrize("entry", [e for e in PUBLISHED if e.checkpoints], ids=lambda entry: entry.checkpoints[0])
def test_released_files(entry: Any) -> None:
    """Recognised as the published network: built from either record, the parameters are the same."""
    identity = identify_checkpoint(released(entry.checkpoints[0]))
    assert identity.network == entry.network
    json.dumps(identity.arguments)
    with torch.device("meta"):
        found, published = identity.build(), NETWORKS[entry.network](**entry.arguments)
    assert (found.in_channels, found.out_channels) == (published.in_channels, published.out_channels)
    shapes = [{key: value.shape for key, value in net.state_dict().items()} for net in (found, published)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("name", "network", "arguments"),
    [
        ("pranet_v2_res2net50_c3_256", "PraNetV2", {"out_channels": 3, "in_channels": 3}),
        ("emcad_resnet18_dual_c4_224", "EMCADNet", {"backbone": "resnet18", "out_channels": 4, "dsra": True}),
        ("emcad_pvtv2b0_single_c9_ch1_224", "EMCADNet", {"backbone": "pvt_v2_b0", "dsra": False, "in_channels": 1}),
        ("mist_single_c9_ch1_256", "MIST", {"out_channels": 9, "dsra": False}),
        ("merit_cascaded_dual_c4_ch1_256", "MERIT", {"mode": "cascaded", "backbones": [SMALL_MAXXVIT, SMALL_MAXVIT]}),
        ("merit_parallel_single_c4_ch1_256", "MERIT", {"mode": "parallel", "dsra": False, "aggregation": "additive"}),
    ],
)
def test_other_settings(name: str, network: str, arguments: dict[str, Any]) -> None:
    identity = identify_checkpoint(empty_weights(load_case(name)))
    assert identity.network == network
    assert arguments.items() <= identity.arguments.items()


def emcad(**changes: Any) -> dict[str, Tensor]:
    official = empty_weights(load_case("emcad_pvtv2b0_dual_c4_ch1_224"))
    for key, shape in changes.items():
        official[key.replace("__", ".")] = torch.empty(shape, device="meta")
    return official


def test_unlike_anything_known() -> None:
    with pytest.raises(ValueError, match=r"belongs to no known network: its 1 keys begin with encoder\.weight"):
        identify_checkpoint({"encoder.weight": torch.ones(2)})


def test_odd_shapes_and_keys_are_named() -> None:
    odd = emcad(decoder__sab__conv__weight=(1, 2, 5, 5), backbone__patch_embed9__proj__weight=(1,))
    with pytest.raises(ValueError, match=r"decoder\.sab\.conv\.weight: shape \[1, 2, 5, 5\]") as refusal:
        identify_checkpoint(odd)
    assert "backbone.patch_embed9.proj.weight: not a parameter of this network" in str(refusal.value)


def test_lost_keys_are_named() -> None:
    cut = emcad()
    del cut["out_head4.weight"]
    with pytest.raises(ValueError, match=r"lacks 'out_head4\.weight': an incomplete checkpoint"):
        identify_checkpoint(cut)
    cut = emcad()
    del cut["backbone.norm4.weight"]
    with pytest.raises(ValueError, match=r"backbone\.body\.stages_3\.norm\.weight: missing in the checkpoint"):
        identify_checkpoint(cut)
