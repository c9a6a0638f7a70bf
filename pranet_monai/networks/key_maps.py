# SPDX-License-Identifier: Apache-2.0
"""Where each parameter of the official checkpoints lives in our networks, and which ones are dead there.

A rule is (regular expression, replacement), tried in order on the official key; the first that matches from the key's
start rewrites it. A dead pattern explains a key that has no place in our network: nothing else may be dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["KEY_MAPS", "KeyMap", "Rules"]

Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class KeyMap:
    """Official keys to this project's.

    Attributes:
        rules: (pattern, replacement), first match wins; a key that no rule matches keeps its name.
        dead: (pattern, reason) of keys that the original carries but never uses.
    """

    rules: Rules
    dead: tuple[tuple[str, str], ...] = ()

    def rename(self, key: str) -> str:
        """Our name of an official key."""
        for pattern, replacement in self.rules:
            renamed, hits = re.subn(f"^(?:{pattern})", replacement, key)
            if hits:
                return renamed
        return key

    def reason_to_drop(self, key: str) -> str | None:
        """Why an official key has no place in our network; None if it should have one."""
        return next((reason for pattern, reason in self.dead if re.match(pattern, key)), None)


def prefixed(rules: Rules, official: str, ours: str) -> Rules:
    """The same rules under a prefix on either side."""
    return tuple((re.escape(official) + pattern, ours + replacement) for pattern, replacement in rules)


def staged(templates: Rules, stages: dict[int, int]) -> Rules:
    """Templates with ``{n}`` (the official number of a stage) and ``{i}`` (our index) written out per stage."""
    return tuple(
        (pattern.replace("{n}", str(n)), replacement.replace("{i}", str(i)))
        for pattern, replacement in templates
        for n, i in stages.items()
    )


def normed(official: str, ours: str, conv: str = "conv", norm: str = "bn") -> Rules:
    """A convolution with batch norm, named ``conv`` and ``norm`` in the original, to the names of our ``conv_bn``."""
    return ((rf"{official}\.{conv}\.", f"{ours}.conv."), (rf"{official}\.{norm}\.", f"{ours}.adn.N."))


# the originals count stages 4 (coarsest) to 1, or 1 (coarsest) to 4; we count 0 to 3
STAGES = {4: 0, 3: 1, 2: 2, 1: 3}
STAGES_UP = {1: 0, 2: 1, 3: 2, 4: 3}

STEM: Rules = ((r"conv\.0\.", "stem.conv."), (r"conv\.1\.", "stem.adn.N."))

DEAD = (
    (r"conv\.[01]\.", "1-channel stem, unused for RGB input"),
    (r"(backbone|resnet)\.fc\.", "ImageNet classifier of the backbone"),
)
DEAD_WITH_DSRA = (*DEAD, (r"out_head[1-4]\.", "head of the network without DSRA"))
MIST_DEAD = ((r"decoder\.block_[6-9]\.conv3\.", "convolution that the original never calls"),)

PVT_V2: Rules = (
    (r"patch_embed1\.", "patch_embed."),
    *((rf"patch_embed{k}\.", f"stages_{k - 1}.downsample.") for k in (2, 3, 4)),
    *((rf"block{k}\.(\d+)\.mlp\.dwconv\.dwconv\.", rf"stages_{k - 1}.blocks.\1.mlp.dwconv.") for k in (1, 2, 3, 4)),
    *((rf"block{k}\.", f"stages_{k - 1}.blocks.") for k in (1, 2, 3, 4)),
    *((rf"norm{k}\.", f"stages_{k - 1}.norm.") for k in (1, 2, 3, 4)),
)
BACKBONE: Rules = (*PVT_V2, ("", ""))

DSRA_HEAD: Rules = staged(
    (*normed(r"ConvBlock{n}_fg", "head.foreground.{i}"), *normed(r"ConvBlock{n}_bg", "head.background.{i}")), STAGES
)


def attention_decoder(gate: str, channel: str, spatial: str) -> Rules:
    """The blocks that EMCAD and CASCADE share, under their two sets of names."""
    blocks = (
        *normed(rf"{gate}{{n}}\.W_g", "merges.{i}.gate.signal", "0", "1"),
        *normed(rf"{gate}{{n}}\.W_x", "merges.{i}.gate.skip", "0", "1"),
        *normed(rf"{gate}{{n}}\.psi", "merges.{i}.gate.score", "0", "1"),
        (rf"{channel}{{n}}\.fc1\.", "channel_attentions.{i}.squeeze."),
        (rf"{channel}{{n}}\.fc2\.", "channel_attentions.{i}.excite."),
    )
    return (*staged(blocks, STAGES), (rf"{spatial}\.", "spatial_attention.conv."))


EMCAD_DECODER: Rules = (
    *attention_decoder("lgag", "cab", r"sab\.conv"),
    *staged(
        (
            *normed(r"mscb{n}\.0\.pconv1", "convolutions.{i}.widen", "0", "1"),
            *normed(r"mscb{n}\.0\.msdc\.dwconvs\.(\d+)", r"convolutions.{i}.depthwise.branches.\1", "0", "1"),
            *normed(r"mscb{n}\.0\.pconv2", "convolutions.{i}.narrow", "0", "1"),
            *normed(r"eucb{n}\.up_dwc", "merges.{i}.up.depthwise", "1", "2"),
            (r"eucb{n}\.pwc\.0\.", "merges.{i}.up.pointwise."),
        ),
        STAGES,
    ),
)

CASCADE_DECODER: Rules = (
    *attention_decoder("AG", "CA", r"SA\.conv1"),
    (r"Conv_1x1\.", "merges.0.projection."),
    *staged(
        (
            *normed(r"Up{n}\.up", "merges.{i}.up.1", "1", "2"),
            *normed(r"ConvBlock{n}\.conv", "convolutions.{i}.0", "0", "1"),
            *normed(r"ConvBlock{n}\.conv", "convolutions.{i}.1", "3", "4"),
        ),
        STAGES,
    ),
)

TRANSFORMER: Rules = (
    *(
        rule
        for letter, name in (("q", "query"), ("k", "key"), ("v", "value"))
        for rule in (
            (rf"attention_output\.conv_{letter}\.", f"attention.{name}.0."),
            (rf"attention_output\.layernorm_{letter}\.", f"attention.{name}.2."),
        )
    ),
    (r"attention_output\.attention\.", "attention.attention."),
    *((rf"wide_focus\.conv{k}\.", f"wide_focus.branches.{k - 1}.") for k in (1, 2, 3)),
    (r"wide_focus\.conv4\.", "wide_focus.fuse."),
    (r"conv1\.", "conv."),
    (r"layernorm\.", "norm."),
)
CAM_STAGE: Rules = (*prefixed(TRANSFORMER, "trans.", "transformer."), (r"layernorm\.", "norm."), ("", ""))
CAM_DECODER: Rules = (
    *prefixed(CAM_STAGE, "block_5.", "bottleneck."),
    *(rule for i in range(4) for rule in prefixed(CAM_STAGE, f"block_{6 + i}.", f"stages.{i}.")),
)
CAM_HEAD: Rules = staged(
    ((r"out_head{n}_fg\.", "head.foreground.{i}."), (r"out_head{n}_bg\.", "head.background.{i}.")), STAGES_UP
)

RFB: Rules = (
    *normed(r"branch(\d)\.(\d)", r"branches.\1.\2"),
    *normed("conv_cat", "fuse"),
    *normed("conv_res", "shortcut"),
)
PARTIAL_DECODER: Rules = (
    *normed("conv_upsample1", "coarse_to_middle"),
    *normed("conv_upsample2", "coarse_to_fine"),
    *normed("conv_upsample3", "middle_to_fine"),
    *normed("conv_upsample4", "coarse_beside_middle"),
    *normed("conv_upsample5", "middle_beside_fine"),
    *normed("conv_concat2", "fuse_middle"),
    *normed("conv_concat3", "fuse_fine"),
    *normed("conv4", "refine"),
)
# the last convolution of each stage (ra4_conv5, ra3_conv4, ra2_conv4) is the head
PRANET_HEADS = {"ra4_conv5": 0, "ra3_conv4": 1, "ra2_conv4": 2}

_PRANET: Rules = (
    *STEM,
    *prefixed(BACKBONE, "backbone.", "backbone.body."),
    *prefixed(BACKBONE, "resnet.", "backbone.body."),
    *(rule for i in range(3) for rule in prefixed(RFB, f"rfb{2 + i}_1.", f"decoder.rfb.{i}.")),
    *prefixed(PARTIAL_DECODER, "agg1.", "decoder.partial_decoder."),
    *(rule for k in range(4) for rule in normed(f"ra4_conv{k + 1}", f"decoder.stages.0.{k}")),
    *(rule for k in range(3) for rule in normed(f"ra3_conv{k + 1}", f"decoder.stages.1.{k}")),
    *(rule for k in range(3) for rule in normed(f"ra2_conv{k + 1}", f"decoder.stages.2.{k}")),
)
_PRANET_V1: Rules = (
    *_PRANET,
    (r"agg1\.conv5\.", "global_head."),
    *(rule for name, i in PRANET_HEADS.items() for rule in normed(name, f"heads.{i}")),
)
_PRANET_V2: Rules = (
    *_PRANET,
    (r"agg1\.conv5_fg\.", "global_head.foreground.0."),
    (r"agg1\.conv5_bg\.", "global_head.background.0."),
    *(rule for name, i in PRANET_HEADS.items() for rule in normed(f"{name}_fg", f"head.foreground.{i}")),
    *(rule for name, i in PRANET_HEADS.items() for rule in normed(f"{name}_bg", f"head.background.{i}")),
)
_EMCAD: Rules = (
    *STEM,
    *prefixed(BACKBONE, "backbone.", "backbone.body."),
    *prefixed(DSRA_HEAD, "decoder.", ""),
    *prefixed(EMCAD_DECODER, "decoder.", "decoder."),
)
_MIST: Rules = (
    *STEM,
    *prefixed(BACKBONE, "backbone1.", "backbone.body."),
    *prefixed(CAM_HEAD, "decoder.", ""),
    *prefixed(CAM_DECODER, "decoder.", "decoder."),
)
_MERIT: Rules = (
    *STEM,
    *prefixed(BACKBONE, "backbone1.", "backbone1.body."),
    *prefixed(BACKBONE, "backbone2.", "backbone2.body."),
    *prefixed(DSRA_HEAD, "decoder.", ""),
    *prefixed(CASCADE_DECODER, "decoder.", "decoder."),
    (r"out_head4_in\.", "gate."),
)
STAGE_HEAD: Rules = staged(((r"out_head{n}\.", "head.foreground.{i}."),), STAGES)
STAGE_HEAD_UP: Rules = staged(((r"out_head{n}\.", "head.foreground.{i}."),), STAGES_UP)

# by (class of our network or backbone, whether it has DSRA)
KEY_MAPS: dict[tuple[str, bool], KeyMap] = {
    ("TimmBackbone", False): KeyMap(prefixed(BACKBONE, "", "body."), ((r"fc\.", "ImageNet classifier"),)),
    ("PraNetV1", False): KeyMap(_PRANET_V1, DEAD),
    ("PraNetV2", True): KeyMap(_PRANET_V2, DEAD),
    ("EMCADNet", False): KeyMap((*_EMCAD, *STAGE_HEAD), DEAD),
    ("EMCADNet", True): KeyMap(_EMCAD, DEAD_WITH_DSRA),
    ("MIST", False): KeyMap((*_MIST, *STAGE_HEAD_UP), (*DEAD, *MIST_DEAD)),
    ("MIST", True): KeyMap(_MIST, (*DEAD_WITH_DSRA, *MIST_DEAD)),
    ("MERIT", False): KeyMap((*_MERIT, *STAGE_HEAD_UP), DEAD),
    ("MERIT", True): KeyMap(_MERIT, DEAD_WITH_DSRA),
}
