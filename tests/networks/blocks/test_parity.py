# SPDX-License-Identifier: Apache-2.0
"""Blocks against the recorded outputs of the originals' blocks."""

from __future__ import annotations

import pytest
from pranet_monai.networks.blocks.dsra import DSRAHead, StageHead
from pranet_monai.networks.blocks.partial_decoder import PartialDecoder
from pranet_monai.networks.blocks.rfb import ReceptiveFieldBlock
from pranet_monai.networks.blocks.transformer import ConvTransformer
from pranet_monai.networks.key_maps import PARTIAL_DECODER, RFB, TRANSFORMER, prefixed
from torch import nn

from tests.networks.cases import assert_recorded, inputs, load_case, load_module


def test_receptive_field_block() -> None:
    case = load_case("module_rfb_128_32")
    block = load_module(ReceptiveFieldBlock(128, 32), case, RFB)
    assert_recorded(case, {"out": block(*inputs(case))})


@pytest.mark.parametrize(("name", "classes"), [("v1", 1), ("v2_c1", 1), ("v2_c4", 4)])
def test_partial_decoder_with_its_head(name: str, classes: int) -> None:
    case = load_case(f"module_ppd_{name}")
    head = StageHead([96], 1) if name == "v1" else DSRAHead([96], classes, norm=False)
    module = nn.ModuleDict({"decoder": PartialDecoder(32), "head": head})
    rules = (
        (r"conv5\.", "head.foreground.0."),
        (r"conv5_fg\.", "head.foreground.0."),
        (r"conv5_bg\.", "head.background.0."),
        *prefixed(PARTIAL_DECODER, "", "decoder."),
    )
    load_module(module, case, rules)
    coarse, middle, fine = inputs(case)
    foregrounds, backgrounds = module["head"]([module["decoder"](fine, middle, coarse)])
    assert_recorded(case, dict(zip(case["outputs"], [*foregrounds, *backgrounds])))


def test_transformer() -> None:
    case = load_case("module_mist_transformer_96_h2")
    assert_recorded(case, {"out": load_module(ConvTransformer(96, 2), case, TRANSFORMER)(*inputs(case))})
