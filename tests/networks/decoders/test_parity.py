# SPDX-License-Identifier: Apache-2.0
"""Decoders, with and without DSRA, against the recorded outputs of the originals'."""

from __future__ import annotations

import pytest
from pranet_monai.networks.blocks.dsra import DSRAHead
from pranet_monai.networks.decoders import CascadeDecoder, EMCADDecoder
from pranet_monai.networks.decoders.mist import CAMBottleneck, CAMStage
from pranet_monai.networks.key_maps import CAM_STAGE, CASCADE_DECODER, DSRA_HEAD, EMCAD_DECODER, prefixed
from torch import nn

from tests.networks.cases import assert_recorded, inputs, load_case, load_module

EMCAD_B0, EMCAD_B2, CASCADE = (32, 64, 160, 256), (64, 128, 320, 512), (16, 24, 48, 96)


@pytest.mark.parametrize(
    ("name", "decoder", "rules"),
    [
        ("module_emcad_decoder_b0", EMCADDecoder(EMCAD_B0), EMCAD_DECODER),
        ("module_cascade_add", CascadeDecoder(CASCADE), CASCADE_DECODER),
        ("module_cascade_cat", CascadeDecoder(CASCADE, aggregation="concatenation"), CASCADE_DECODER),
    ],
)
def test_decoder(name: str, decoder: nn.Module, rules: tuple) -> None:
    case = load_case(name)
    refined = load_module(decoder, case, rules)(inputs(case)[::-1])
    assert [feature.shape[1] for feature in refined] == decoder.channels
    assert_recorded(case, dict(zip(["d4", "d3", "d2", "d1"], refined)))


@pytest.mark.parametrize(
    ("name", "decoder", "rules", "classes", "gain"),
    [
        ("module_emcad_decoder_dual_b0_c4", EMCADDecoder(EMCAD_B0), EMCAD_DECODER, 4, "softmax"),
        ("module_emcad_decoder_dual_b2_c9", EMCADDecoder(EMCAD_B2), EMCAD_DECODER, 9, "softmax"),
        ("module_cascade_add_dual_c1", CascadeDecoder(CASCADE), CASCADE_DECODER, 1, "softmax"),
        ("module_cascade_add_dual_c4", CascadeDecoder(CASCADE), CASCADE_DECODER, 4, "softmax"),
        ("module_cascade_add_dual_c4_nosoftmax", CascadeDecoder(CASCADE), CASCADE_DECODER, 4, "difference"),
    ],
)
def test_decoder_with_dsra(name: str, decoder: nn.Module, rules: tuple, classes: int, gain: str) -> None:
    case = load_case(name)
    module = nn.ModuleDict({"decoder": decoder, "head": DSRAHead(decoder.channels, classes, gain)})
    load_module(module, case, (*DSRA_HEAD, *prefixed(rules, "", "decoder.")))
    refined = decoder(inputs(case)[::-1])
    foregrounds, backgrounds = module["head"](refined)
    found = {f"d{4 - i}_fg": m for i, m in enumerate(foregrounds)} | {
        f"d{4 - i}_bg": m for i, m in enumerate(backgrounds)
    }
    if "d1_feature" in case["outputs"]:
        found["d1_feature"] = refined[-1]
    assert_recorded(case, found)


def test_cam_bottleneck() -> None:
    case = load_case("module_mist_bottleneck_96_192_h16")
    assert_recorded(case, {"out": load_module(CAMBottleneck(96, 16, 0.3), case, CAM_STAGE)(*inputs(case))})


def test_cam_stage() -> None:
    case = load_case("module_mist_block_decoder_192_96_h2")
    stage = load_module(CAMStage(192, 96, 2, 0.3), case, CAM_STAGE, unused=("conv3.",))
    assert_recorded(case, {"out": stage(*inputs(case))})
