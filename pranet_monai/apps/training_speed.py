# SPDX-License-Identifier: Apache-2.0
"""How long a bundle's training takes on this machine, measured by a few steps of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.bundle import ConfigParser
from pranet_monai.errors import unwrapped
from pranet_monai.planning.budget import Speed

__all__ = ["measure_speed"]

_WARM_UP = 3  # steps, of which the first fill caches and the loader's queue
_SECONDS = 25.0
_STEPS = 40


def measure_speed(bundle: Path, cases: Sequence[Mapping[str, Any]]) -> Speed:
    """Trains on some cases for a moment, and segments one of them.

    Args:
        bundle: folder with ``configs/train.json``; nothing is written there.
        cases: items of ``find_cases`` with labels; some of them are used.

    Raises:
        UsageError: the training can't begin.
    """
    config = ConfigParser()
    config.read_config(bundle / "configs" / "train.json")
    config.update({"bundle_root": str(bundle), "train#handlers": [], "epochs": _STEPS})
    config.update({"train#dataset#data": list(cases), "validate#dataset#data": cases[:1]})
    config.update({"train#dataset#progress": False})
    with unwrapped():
        began = time.perf_counter()
        config.get_parsed_content("train#dataset")
        load = (time.perf_counter() - began) / len(cases)
        step = _step(config.get_parsed_content("train#trainer"))
        return Speed(step, load, _segment(config))


def _step(trainer: Any) -> float:
    """Mean seconds of a step once training runs."""
    times: list[float] = []

    def note(engine: Any) -> None:
        times.append(time.perf_counter())
        if len(times) >= _STEPS + _WARM_UP or times[-1] - times[0] > _SECONDS:
            engine.terminate()

    trainer.add_event_handler(Events.ITERATION_COMPLETED, note)
    trainer.run()
    first = min(_WARM_UP, len(times) - 2)
    return (times[-1] - times[first]) / (len(times) - 1 - first)


def _segment(config: ConfigParser) -> float:
    (case,) = config.get_parsed_content("validate#dataset")
    network, inferer, device = (config.get_parsed_content(name) for name in ("network", "validate#inferer", "device"))
    network.eval()
    began = time.perf_counter()
    with torch.inference_mode():
        inferer(case["image"][None].to(device), network)
    return time.perf_counter() - began
