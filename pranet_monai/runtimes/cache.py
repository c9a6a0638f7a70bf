# SPDX-License-Identifier: Apache-2.0
"""Networks exported once, in the user's cache: never in a bundle, and known by what they were made of."""

from __future__ import annotations

import hashlib
import inspect
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from pranet_monai import __version__
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.storage.paths import user_cache
from torch import nn

__all__ = ["cache_folder", "exported_once", "fingerprint", "weights_fingerprint", "quick_weights_fingerprint"]

_PLAIN = (str, int, float, bool, type(None))


def exported_once(network: nn.Module, ending: str, export: Callable[[nn.Module, Path], None], also: str = "") -> Path:
    """The network's file in the cache, exported where there is none of this network yet.

    Processes that want the same file at once wait for the first; a killed one leaves nothing behind.

    Args:
        network: with its weights.
        ending: of the file.
        export: writes it, whole or not at all.
        also: what else the file depends on, as a GPU's name.
    """
    name = hashlib.sha256(f"{fingerprint(network)} {also}".encode()).hexdigest()
    path = cache_folder() / f"{name}{ending}"
    if not path.is_file():
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                export(network, path)
    return path


def cache_folder() -> Path:
    """``runtimes`` in the user's cache; where that can't be written, a folder that lasts as long as the process."""
    folder = user_cache() / "runtimes"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(_own_folder().name)


def fingerprint(network: nn.Module) -> str:
    """SHA-256 of all that an export depends on.

    These are the weights; the network's definition, as each of its modules states it, and their source code; the
    versions of this package and of PyTorch.
    """
    digest = hashlib.sha256(weights_fingerprint(network).encode())
    for line in (__version__, torch.__version__, *_definition(network), *_sources(network)):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()


def weights_fingerprint(network: nn.Module) -> str:
    """SHA-256 of the network's parameters and buffers, whatever they are called and however they lie in memory."""
    digest = hashlib.sha256()
    for tensor in chain(network.parameters(), network.buffers()):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def quick_weights_fingerprint(network: nn.Module) -> list[tuple[int, int | None, float]]:
    """What tells in a millisecond or two whether weights may have changed: of each tensor the place, version and sum.

    PyTorch counts a tensor's versions, save in inference mode and for changes by ``.data``: the sum is for these.
    """
    tensors = [tensor.detach() for tensor in chain(network.parameters(), network.buffers())]
    sums = [float(tensor.sum(dtype=torch.float32)) for tensor in tensors]
    versions = [None if tensor.is_inference() else tensor._version for tensor in tensors]
    return list(zip([tensor.data_ptr() for tensor in tensors], versions, sums, strict=True))


def _definition(network: nn.Module) -> Iterator[str]:
    """Each module's path, class, and what plain values it holds: channels, strides, rules."""
    for path, module in network.named_modules():
        stated = {
            name: value for name, value in vars(module).items() if not name.startswith("_") and name != "training"
        }
        kind = type(module)
        yield f"{path} {kind.__module__}.{kind.__qualname__} {json.dumps(stated, default=_named, sort_keys=True)}"


def _named(value: Any) -> str:
    """A value that JSON doesn't have, by a name that is the same in every process."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _sources(network: nn.Module) -> list[str]:
    files = {inspect.getsourcefile(kind) for kind in {type(module) for module in network.modules()}}
    return sorted(file_sha256(file) for file in files if file and Path(file).is_file())


@cache
def _own_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="pranet_monai_runtimes_")
