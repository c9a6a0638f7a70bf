# SPDX-License-Identifier: Apache-2.0
"""PVT v2's MLP over tokens, in a form that other engines than PyTorch run fast."""

from typing import List

import torch
from timm.models.pvt_v2 import MlpWithDepthwiseConv
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["TokenMLP", "with_token_mlps"]


class TokenMLP(nn.Module):
    """timm's ``MlpWithDepthwiseConv``: the same layers under the same names, the same sums.

    Between its two linear layers tokens become a map and tokens again, four to eight times as wide as outside. PyTorch
    only views the same memory in another way there; exported, each turn is a copy, and they took a fifth of OpenVINO's
    time. So it is exported as 1 x 1 convolutions, which need no turn between them; by these PyTorch would
    be a fifth slower.

    Args:
        mlp: whose layers are taken over.
    """

    def __init__(self, mlp: MlpWithDepthwiseConv) -> None:
        super().__init__()
        self.fc1, self.relu, self.dwconv = mlp.fc1, mlp.relu, mlp.dwconv
        self.act, self.fc2, self.drop = mlp.act, mlp.fc2, mlp.drop

    def forward(self, x: Tensor, feat_size: List[int]) -> Tensor:
        """Tokens ``(B, N, C)``.

        Args:
            x: tokens ``(B, N, C)``, row by row.
            feat_size: height and width of the map that they are, ``N`` their product.
        """
        if not torch.jit.is_scripting():
            if torch.onnx.is_in_onnx_export():
                maps = x.transpose(1, 2).reshape(x.shape[0], -1, feat_size[0], feat_size[1])
                return self._of_map(maps).flatten(2).transpose(1, 2)
        x = self.fc1(x)
        x = x.transpose(1, 2).view(x.shape[0], -1, feat_size[0], feat_size[1])
        x = self.dwconv(self.relu(x)).flatten(2).transpose(1, 2)
        return self.drop(self.fc2(self.drop(self.act(x))))

    @torch.jit.unused
    def _of_map(self, x: Tensor) -> Tensor:
        """The same for a map ``(B, C, H, W)``, without dropout."""
        x = F.conv2d(x, self.fc1.weight[:, :, None, None], self.fc1.bias)
        x = self.act(self.dwconv(self.relu(x)))
        return F.conv2d(x, self.fc2.weight[:, :, None, None], self.fc2.bias)


def with_token_mlps(model: nn.Module) -> nn.Module:
    """The model with a :class:`TokenMLP` in each place of timm's own; models without such stay as they are."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, MlpWithDepthwiseConv):
                setattr(module, name, TokenMLP(child))
    return model
