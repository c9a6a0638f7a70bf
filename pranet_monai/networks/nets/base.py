# SPDX-License-Identifier: Apache-2.0
"""What all networks share: the stem, the stages' logits, the test-time rule and the check of the input's size."""

from typing import List, NamedTuple, Optional, Tuple, Union

import torch
from pranet_monai.networks.blocks.convolution import conv_bn
from pranet_monai.networks.blocks.dsra import resize
from torch import Tensor, nn

__all__ = ["RULES", "EncoderDecoderNet", "SegmentationNet", "StageLogits", "rule_or_published"]

RULES = ("sum", "finest", "difference")


def rule_or_published(rule: Optional[str], dsra: bool) -> str:
    """The rule that is given, else the papers': with DSRA the sum of the stages, without it the finest alone."""
    return rule or ("sum" if dsra else "finest")


class StageLogits(NamedTuple):
    """Logits of every stage, coarse → fine, each ``(B, out_channels, H, W)`` at the input's resolution.

    Attributes:
        foreground: one map per stage.
        background: one per stage, or empty where the network has no DSRA.
    """

    foreground: List[Tensor]
    background: List[Tensor]


class SegmentationNet(nn.Module):
    """Base of all networks: ``eval`` gives final logits, ``train`` the logits of all stages.

    A subclass gives :meth:`stage_maps`; ``torch.jit.script`` takes every network, unless its docstring says otherwise.
    The stem makes three channels of any other number (the originals' learned 1→3); three channels bypass it.

    Args:
        in_channels: channels of the image.
        out_channels: classes, background included; 1 for a binary problem.
        rule: how eval makes the final logits of the stages' maps, the original's own: "sum" of the foregrounds,
            "finest" foreground alone, or "difference", the sum of foreground − background.
        divisor: the input's sides must be multiples of it.

    Raises:
        ValueError: a channel count below 1.
    """

    def __init__(self, in_channels: int, out_channels: int, rule: str = "sum", divisor: int = 32) -> None:
        super().__init__()
        for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
            if value < 1:
                raise ValueError(f"{name} is {value}, must be at least 1.")
        if rule not in RULES:
            raise ValueError(f"rule is {rule!r}, must be one of {', '.join(RULES)}.")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.rule = rule
        self.divisor = divisor
        self.stem = nn.Identity() if in_channels == 3 else conv_bn(in_channels, 3, bias=True, act="relu")

    def stage_maps(self, x: Tensor) -> Tuple[List[Tensor], List[Tensor]]:
        """(foreground, background) logits coarse → fine, each at its own stage's size; backgrounds may be empty."""
        raise NotImplementedError

    def check_input(self, x: Tensor) -> None:
        """Refuse inputs that the network can't take.

        Raises:
            ValueError: not ``(B, in_channels, H, W)``, or H or W no multiple of the divisor.
        """
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"input has shape {list(x.shape)}, must be (B, {self.in_channels}, H, W).")
        height, width, d = x.shape[2], x.shape[3], self.divisor
        if height % d != 0 or width % d != 0 or height == 0 or width == 0:
            good = [max(1, (side + d - 1) // d) * d for side in (height, width)]
            raise ValueError(
                f"input is {height} x {width}, both sides must be multiples of {d}: pad or resize to "
                f"{good[0]} x {good[1]}."
            )

    def forward_stages(self, x: Tensor) -> StageLogits:
        """All stages' logits at the input's resolution, whatever the mode.

        Args:
            x: image ``(B, in_channels, H, W)``.

        Raises:
            ValueError: see :meth:`check_input`.
        """
        foregrounds, backgrounds = self._checked_maps(x)
        return StageLogits([resize(m, x) for m in foregrounds], [resize(m, x) for m in backgrounds])

    def forward(self, x: Tensor) -> Union[Tensor, StageLogits]:
        """Final logits ``(B, out_channels, H, W)`` in eval mode, :class:`StageLogits` in training.

        Args:
            x: image ``(B, in_channels, H, W)``.

        Raises:
            ValueError: see :meth:`check_input`.
        """
        if self.training:
            return self.forward_stages(x)
        foregrounds, backgrounds = self._checked_maps(x)
        return self._final_logits(foregrounds, backgrounds, x)

    def forward_opinions(self, x: Tensor) -> List[Tensor]:
        """Final logits, and what parts of the network say by themselves: where they differ, it may be wrong.

        Args:
            x: image ``(B, in_channels, H, W)``.

        Returns:
            Logits ``(B, out_channels, H, W)`` each: the final ones, those of a single stage (the finest, or where the
            rule takes that one alone, the next coarser), and where there are background maps those of "not background",
            summed over the stages.

        Raises:
            ValueError: see :meth:`check_input`.
        """
        foregrounds, backgrounds = self._checked_maps(x)
        single = foregrounds[-2] if self.rule == "finest" and len(foregrounds) > 1 else foregrounds[-1]
        opinions = [self._final_logits(foregrounds, backgrounds, x), resize(single, x)]
        if len(backgrounds) > 0:
            rest = backgrounds[-1]
            for background in backgrounds[:-1]:
                rest = rest + resize(background, rest)
            opinions.append(resize(-rest, x))
        return opinions

    def _final_logits(self, foregrounds: List[Tensor], backgrounds: List[Tensor], x: Tensor) -> Tensor:
        if self.rule == "finest":
            return resize(foregrounds[-1], x)
        logits = torch.zeros_like(x[:, :1])
        for i, foreground in enumerate(foregrounds):
            margin = foreground - backgrounds[i] if self.rule == "difference" and len(backgrounds) > 0 else foreground
            logits = logits + resize(margin, x)
        return logits

    def _checked_maps(self, x: Tensor) -> Tuple[List[Tensor], List[Tensor]]:
        if not torch.jit.is_scripting() and not torch.jit.is_tracing():
            self.check_input(x)
        return self.stage_maps(self.stem(x))


class EncoderDecoderNet(SegmentationNet):
    """Backbone → decoder → head, the wiring of every network without a detour.

    Args:
        in_channels: channels of the image.
        out_channels: classes, background included.
        backbone: image → features fine → coarse.
        decoder: features fine → coarse → refined features coarse → fine.
        head: refined features → (foregrounds, backgrounds), coarse → fine.
        rule: see :class:`SegmentationNet`.
        divisor: see :class:`SegmentationNet`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        backbone: nn.Module,
        decoder: nn.Module,
        head: nn.Module,
        rule: str = "sum",
        divisor: int = 32,
    ) -> None:
        super().__init__(in_channels, out_channels, rule, divisor)
        self.backbone = backbone
        self.decoder = decoder
        self.head = head

    def stage_maps(self, x: Tensor) -> Tuple[List[Tensor], List[Tensor]]:
        """Logits of the head on the decoder's features."""
        return self.head(self.decoder(self.backbone(x)))
