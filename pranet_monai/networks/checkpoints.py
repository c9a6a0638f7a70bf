# SPDX-License-Identifier: Apache-2.0
"""Official checkpoints of the original networks, loaded safely and strictly, with every dropped key explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pranet_monai.networks.blocks.dsra import DSRAHead
from pranet_monai.networks.key_maps import KEY_MAPS, KeyMap
from torch import Tensor, nn

__all__ = ["LoadReport", "load_official_checkpoint", "read_checkpoint"]

_WRAPPERS = ("state_dict", "model", "model_state_dict", "net")


@dataclass(frozen=True)
class LoadReport:
    """What loading did.

    Attributes:
        source: the file, or "state dict".
        loaded: number of tensors that were taken.
        dropped: official key → why the network has no place for it.
    """

    source: str
    loaded: int
    dropped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        reasons: dict[str, list[str]] = {}
        for key, reason in self.dropped.items():
            reasons.setdefault(reason, []).append(key)
        lines = [f"{self.source}: {self.loaded} tensors loaded, {len(self.dropped)} dropped"]
        lines += [f"  {reason}: {', '.join(keys)}" for reason, keys in reasons.items()]
        return "\n".join(lines)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read a checkpoint file to a bare state dict.

    Only tensors and plain containers are unpickled (``weights_only``). Wrappers ("state_dict", "model", ...) and the
    "module." of data-parallel training are taken off.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or one with objects other than tensors in it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file can be wrong in any way, and nothing but reading happens here
        raise ValueError(
            f"{path} is not a checkpoint that can be read safely ({type(error).__name__}). Allowed: a file written by "
            "torch.save that holds a state dict of tensors. Fix: save net.state_dict() alone."
        ) from error
    return unwrap(content, str(path))


def unwrap(content: Any, source: str = "state dict") -> dict[str, Tensor]:
    """A bare state dict without wrappers and "module." prefixes, see :func:`read_checkpoint`."""
    while isinstance(content, Mapping):
        inner = next((content[w] for w in _WRAPPERS if isinstance(content.get(w), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"{source} holds {type(content).__name__}, must hold a state dict (name → tensor).")
    if all(key.startswith("module.") for key in content):
        content = {key.removeprefix("module."): value for key, value in content.items()}
    try:
        return {key: torch.as_tensor(value) for key, value in content.items()}
    except (TypeError, ValueError, RuntimeError) as error:
        kinds = sorted({type(v).__name__ for v in content.values()})
        raise ValueError(f"{source} holds {', '.join(kinds)}, must hold a state dict (name → tensor).") from error


@dataclass(frozen=True)
class Fit:
    """How an official state dict fits a network.

    Attributes:
        taken: our key → tensor.
        dropped: official key → why the network has no place for it.
        problems: what doesn't fit, one line per key; empty for a checkpoint of this very network.
    """

    taken: dict[str, Tensor]
    dropped: dict[str, str]
    problems: list[str]


def fit(network: nn.Module, official: Mapping[str, Tensor]) -> Fit:
    """Find the place of every official key in the network, without loading anything.

    Raises:
        ValueError: no official checkpoints are known for the network's class.
    """
    key_map = _key_map(network)
    own = network.state_dict()
    result = Fit({}, {}, [])
    for key, value in official.items():
        name = key_map.rename(key)
        reason = key_map.reason_to_drop(key)
        if name in own and own[name].shape == value.shape:
            result.taken[name] = value
        elif name in own:
            result.problems.append(f"{key}: shape {list(value.shape)}, the network needs {list(own[name].shape)}")
        elif reason is not None:
            result.dropped[key] = reason
        else:
            result.problems.append(f"{key}: not a parameter of this network")
    result.problems.extend(f"{name}: missing in the checkpoint" for name in own if name not in result.taken)
    return result


def load_official_checkpoint(network: nn.Module, checkpoint: str | Path | Mapping[str, Any]) -> LoadReport:
    """Load a checkpoint with the original code's key names into one of our networks, strictly.

    Args:
        network: a network of this package (or a backbone) of the checkpoint's settings.
        checkpoint: a file, or its content.

    Returns:
        What was loaded, and every dropped key with the reason.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no state dict, the network has no official checkpoints, or a key or shape doesn't fit.
    """
    source, official = open_checkpoint(checkpoint)
    found = fit(network, official)
    if found.problems:
        raise ValueError(misfit(network, source, found.problems))
    network.load_state_dict(found.taken, strict=True)
    return LoadReport(source, len(found.taken), found.dropped)


def open_checkpoint(checkpoint: str | Path | Mapping[str, Any]) -> tuple[str, dict[str, Tensor]]:
    """What to call a checkpoint, and its bare state dict; see :func:`read_checkpoint`."""
    if isinstance(checkpoint, Mapping):
        return "state dict", unwrap(checkpoint)
    return str(checkpoint), read_checkpoint(checkpoint)


def misfit(network: nn.Module, source: str, problems: list[str], shown: int = 12) -> str:
    """The message of a refusal."""
    more = f"\n  ... and {len(problems) - shown} more" if len(problems) > shown else ""
    listed = "\n  ".join(problems[:shown])
    return (
        f"{source} does not fit {type(network).__name__}; nothing was loaded. {len(problems)} keys or shapes differ:\n"
        f"  {listed}{more}\nCheck the network's backbone, classes, channels and dsra setting against the checkpoint."
    )


def _key_map(network: nn.Module) -> KeyMap:
    name = type(network).__name__
    dsra = isinstance(getattr(network, "head", None), DSRAHead)
    if (name, dsra) not in KEY_MAPS:
        known = ", ".join(sorted({n for n, _ in KEY_MAPS}))
        raise ValueError(f"no official checkpoints are known for {name}; there are some for {known}.")
    return KEY_MAPS[name, dsra]
