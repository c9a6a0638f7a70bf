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
    """Official keys to ours.

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


# the originals count stages 4 (coarsest) to 1, we count 0 to 3
STAGES = {4: 0, 3: 1, 2: 2, 1: 3}

STEM: Rules = ((r"conv\.0\.", "stem.conv."), (r"conv\.1\.", "stem.adn.N."))
STEM_DEAD = ((r"conv\.[01]\.", "1-channel stem, unused for RGB input"),)
CLASSIFIER_DEAD = ((r"(backbone|resnet)\.fc\.", "ImageNet classifier of the backbone"),)

PVT_V2: Rules = (
    (r"patch_embed1\.", "patch_embed."),
    *((rf"patch_embed{k}\.", f"stages_{k - 1}.downsample.") for k in (2, 3, 4)),
    *((rf"block{k}\.(\d+)\.mlp\.dwconv\.dwconv\.", rf"stages_{k - 1}.blocks.\1.mlp.dwconv.") for k in (1, 2, 3, 4)),
    *((rf"block{k}\.", f"stages_{k - 1}.blocks.") for k in (1, 2, 3, 4)),
    *((rf"norm{k}\.", f"stages_{k - 1}.norm.") for k in (1, 2, 3, 4)),
)
BACKBONE: Rules = (*PVT_V2, ("", ""))

DSRA_HEAD: Rules = staged(
    (
        (r"ConvBlock{n}_fg\.conv\.", "head.foreground.{i}.conv."),
        (r"ConvBlock{n}_fg\.bn\.", "head.foreground.{i}.adn.N."),
        (r"ConvBlock{n}_bg\.conv\.", "head.background.{i}.conv."),
        (r"ConvBlock{n}_bg\.bn\.", "head.background.{i}.adn.N."),
    ),
    STAGES,
)
STAGE_HEAD: Rules = staged(((r"out_head{n}\.", "head.foreground.{i}."),), STAGES)

EMCAD_DECODER: Rules = (
    *staged(
        (
            (r"mscb{n}\.0\.pconv1\.0\.", "convolutions.{i}.widen.conv."),
            (r"mscb{n}\.0\.pconv1\.1\.", "convolutions.{i}.widen.adn.N."),
            (r"mscb{n}\.0\.msdc\.dwconvs\.(\d+)\.0\.", r"convolutions.{i}.depthwise.branches.\1.conv."),
            (r"mscb{n}\.0\.msdc\.dwconvs\.(\d+)\.1\.", r"convolutions.{i}.depthwise.branches.\1.adn.N."),
            (r"mscb{n}\.0\.pconv2\.0\.", "convolutions.{i}.narrow.conv."),
            (r"mscb{n}\.0\.pconv2\.1\.", "convolutions.{i}.narrow.adn.N."),
            (r"eucb{n}\.up_dwc\.1\.", "merges.{i}.up.depthwise.conv."),
            (r"eucb{n}\.up_dwc\.2\.", "merges.{i}.up.depthwise.adn.N."),
            (r"eucb{n}\.pwc\.0\.", "merges.{i}.up.pointwise."),
            (r"lgag{n}\.W_g\.0\.", "merges.{i}.gate.signal.conv."),
            (r"lgag{n}\.W_g\.1\.", "merges.{i}.gate.signal.adn.N."),
            (r"lgag{n}\.W_x\.0\.", "merges.{i}.gate.skip.conv."),
            (r"lgag{n}\.W_x\.1\.", "merges.{i}.gate.skip.adn.N."),
            (r"lgag{n}\.psi\.0\.", "merges.{i}.gate.score.conv."),
            (r"lgag{n}\.psi\.1\.", "merges.{i}.gate.score.adn.N."),
            (r"cab{n}\.fc1\.", "channel_attentions.{i}.squeeze."),
            (r"cab{n}\.fc2\.", "channel_attentions.{i}.excite."),
        ),
        STAGES,
    ),
    (r"sab\.conv\.", "spatial_attention.conv."),
)

_EMCAD: Rules = (
    *STEM,
    *prefixed(BACKBONE, "backbone.", "backbone.body."),
    *prefixed(DSRA_HEAD, "decoder.", ""),
    *prefixed(EMCAD_DECODER, "decoder.", "decoder."),
)

# by (class of our network or backbone, whether it has DSRA)
KEY_MAPS: dict[tuple[str, bool], KeyMap] = {
    ("TimmBackbone", False): KeyMap(prefixed(BACKBONE, "", "body."), ((r"fc\.", "ImageNet classifier"),)),
    ("EMCADNet", False): KeyMap((*_EMCAD, *STAGE_HEAD), (*STEM_DEAD, *CLASSIFIER_DEAD)),
    ("EMCADNet", True): KeyMap(
        _EMCAD,
        (*STEM_DEAD, *CLASSIFIER_DEAD, (r"out_head[1-4]\.", "head of the network without DSRA")),
    ),
}
