# SPDX-License-Identifier: Apache-2.0
"""The one convolution that all blocks are made of: Conv2d, batch norm and, where named, an activation."""

from typing import Optional, Tuple, Union

from monai.networks.blocks import Convolution

__all__ = ["conv_bn"]


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel_size: Union[int, Tuple[int, int]] = 1,
    *,
    act: Optional[str] = None,
    groups: int = 1,
    dilation: int = 1,
    bias: bool = False,
) -> Convolution:
    """MONAI's 2D ``Convolution`` with "same" padding, batch norm and an optional activation, in this order.

    Args:
        in_channels: channels of the input ``(B, in_channels, H, W)``.
        out_channels: channels of the output ``(B, out_channels, H, W)``.
        kernel_size: odd size, one number or ``(height, width)``.
        act: a name that MONAI's activation factory knows ("relu", "relu6", ...), or None.
        groups: number of channel groups; ``in_channels`` makes the convolution depthwise.
        dilation: step between the kernel's taps.
        bias: whether the convolution has a bias beside that of the norm.
    """
    return Convolution(
        2,
        in_channels,
        out_channels,
        kernel_size=kernel_size,
        act=act,
        norm="batch",
        groups=groups,
        dilation=dilation,
        bias=bias,
    )
