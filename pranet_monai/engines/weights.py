# SPDX-License-Identifier: Apache-2.0
"""Loads weights into a network: only tensors are read, every key must fit, and the hash is checked."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from pranet_monai.errors import UsageError, some_of
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.storage.large_files import published_hashes

__all__ = ["WeightsLoader", "find_weights", "load_weights", "read_safely", "start_from", "weights_to_start_from"]

_log = logging.getLogger(__name__)

_IMPORT = (
    "get the authors' {checkpoint} (github.com/ai4colonoscopy/PraNet-V2 links to it) and run "
    "pranet-monai import-checkpoint {checkpoint} --bundle {bundle}, or "
)
_TRAIN = (
    "train: pranet-monai train {bundle} DATA OUTPUT, then "
    "pranet-monai bundle-weights {bundle}/models/model_trained.pt --bundle {bundle}"
)


# how PyTorch names what it refuses to load
_FOREIGN = re.compile(r"(?:Unsupported global: GLOBAL|Unsupported class|Unsupported operand) ([\w.]+)")


def load_weights(network: torch.nn.Module, path: str | Path, sha256: str | None = None) -> None:
    """Loads a plain state_dict into a network, all of it.

    Args:
        network: what to fill; stays on its device.
        path: a file with a state_dict, or with one under the key ``model`` as MONAI's checkpoints have it.
        sha256: what the file's hash must be. Default: what the bundle's ``large_files.yml`` says, if it lists the file.

    Raises:
        UsageError: when the file is missing, isn't the one that was published, holds anything but tensors, or doesn't
            fit the network.
    """
    path = find_weights(path)
    state = _read_state(path, sha256)
    _check_fit(path, network.state_dict(), state)
    network.load_state_dict(state, strict=True)


def start_from(network: torch.nn.Module, path: str | Path | None) -> None:
    """Starts a network from the weights of another training, for fine-tuning, also with other classes.

    Every key must be the network's own. What has another shape, the class maps where the number of classes differs or
    the stem where the channels do, keeps its random start, and is named in the log. A stem may also be on one side
    only: networks of three channels have none.

    Args:
        network: what to fill; stays on its device.
        path: see :func:`load_weights`, or a training's ``training_state.pt``; None leaves the network as it is.

    Raises:
        UsageError: as :func:`load_weights`, but for the shapes; and when nothing fits.
    """
    if path is None:
        return
    path = weights_to_start_from(path)
    state, own = _read_state(path), network.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    anew = sorted(set(own) - set(fitting))
    # where nothing fits, it is another network that happens to have the same names
    _check_fit(path, _without_stem(own), _without_stem(state), any_shape=bool(fitting))
    network.load_state_dict({**own, **fitting}, strict=True)
    level = logging.WARNING if anew else logging.INFO
    _log.log(level, "%s: %d of %d tensors taken over; new: %s", path, len(fitting), len(own), ", ".join(anew) or "none")


def weights_to_start_from(path: str | Path) -> Path:
    """The weights file to fine-tune from.

    Raises:
        UsageError: when it isn't there.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UsageError(
            f"finetune_from {path}: found no such file; allowed: weights of the same network, as a bundle's "
            "models/model.pt or a training's model_trained.pt, model_last.pt or training_state.pt"
        )
    return path


def read_safely(path: Path) -> Any:
    """Reads what ``torch.save`` has written: tensors and plain values. No code in the file is run.

    Raises:
        UsageError: it can't be read, or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file can be wrong in any way, and nothing but reading happens here
        raise UsageError(
            f"{path}: found {path.stat().st_size} bytes that can't be read as weights ({_what_is_wrong(error)}); "
            "allowed: a state_dict saved by torch.save, nothing but tensors; fix: copy it again, or save the "
            "state_dict only"
        ) from error


def _read_state(path: Path, sha256: str | None = None) -> Mapping[str, torch.Tensor]:
    """The state_dict in a file, after a look at its hash."""
    _check_hash(path, sha256 or _published_hash(path))
    state = read_safely(path)
    for key in ("model", "network"):  # MONAI's checkpoints, and a training's state
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        keys = f" with keys {list(state)[:8]}" if isinstance(state, Mapping) else ""
        raise UsageError(
            f"{path}: found a {type(state).__name__}{keys}; allowed: a plain state_dict, name → tensor; "
            "fix: save network.state_dict()"
        )
    return state


def _without_stem(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if not name.startswith("stem.")}


class WeightsLoader:
    """Loads weights when an engine starts; what ``checkpointloader`` is in a bundle's config.

    Takes the place of MONAI's ``CheckpointLoader`` with its arguments; refuses weights that don't fit, with the reason.

    Args:
        load_path: the weights file.
        load_dict: ``{"model": network}``.
        sha256: see :func:`load_weights`.

    Raises:
        UsageError: when `load_dict` isn't one network.
    """

    def __init__(
        self, load_path: str | Path, load_dict: Mapping[str, torch.nn.Module], sha256: str | None = None
    ) -> None:
        if len(load_dict) != 1 or not all(isinstance(network, torch.nn.Module) for network in load_dict.values()):
            raise UsageError(f"load_dict={dict(load_dict)!r}: allowed is one network, {{'model': network}}")
        self.load_path = load_path
        self.load_dict = load_dict
        self.sha256 = sha256

    def attach(self, engine: Engine) -> None:
        """Loads at the start of the run."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine | None = None) -> None:
        """Loads now."""
        (network,) = self.load_dict.values()
        load_weights(network, self.load_path, self.sha256)


def find_weights(path: str | Path, official_checkpoint: str | None = None) -> Path:
    """The weights file, or an error that tells how to get it.

    Args:
        path: where it should be, ``models/model.pt`` of a bundle.
        official_checkpoint: the authors' file that it can be made of, if they released one.

    Raises:
        UsageError: when it isn't there.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        others = sorted(file.name for file in path.parent.glob("*.pt")) if path.parent.is_dir() else []
        beside = f" (beside it: {', '.join(others)})" if others else ""
        bundle = path.parent.parent
        fix = (_IMPORT if official_checkpoint else "") + _TRAIN
        fix = fix.format(bundle=bundle, checkpoint=official_checkpoint)
        raise UsageError(f"{path}: found no such weights file{beside}; fix: {fix}")
    return path


def _published_hash(path: Path) -> str | None:
    """SHA-256 that the bundle's large_files.yml states for a file of the bundle, if it does."""
    hashes = published_hashes(path.resolve().parent.parent)
    return next((value for file, value in hashes.items() if file.resolve() == path.resolve()), None)


def _check_hash(path: Path, expected: str | None) -> None:
    if expected is None:
        return
    found = file_sha256(path)
    if found != expected.lower():
        raise UsageError(
            f"{path}: found weights with SHA-256 {found}; allowed: {expected}, the published ones; fix: copy the file "
            "again, or after training of your own change its entry in large_files.yml"
        )


def _check_fit(
    path: Path, wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], any_shape: bool = False
) -> None:
    missing, unknown = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in wanted
        if name in found and found[name].shape != wanted[name].shape and not any_shape
    ]
    problems = [
        f"{len(names)} {what} ({some_of(names, 3)})"
        for what, names in (("missing keys", missing), ("unknown keys", unknown), ("other shapes", shapes))
        if names
    ]
    if problems:
        hint = "use the weights of this very network_def; an authors' checkpoint goes through import-checkpoint first"
        if all(name.startswith("module.") for name in found):
            hint = "save the network inside DistributedDataParallel, network.module.state_dict()"
        raise UsageError(
            f"{path}: found weights of another network: {'; '.join(problems)}; "
            f"allowed: the network's {len(wanted)} keys; fix: {hint}"
        )


def _what_is_wrong(error: BaseException) -> str:
    """The reason in one line, without PyTorch's advice to read the file unsafely."""
    text = str(error)
    if found := _FOREIGN.search(text):
        return f"it holds {found[1]}, which is no tensor and isn't loaded"
    if "weights_only" in text:
        return "it holds other things than tensors, which aren't loaded"
    return f"{type(error).__name__}: {(text.splitlines() or [''])[0]}"
