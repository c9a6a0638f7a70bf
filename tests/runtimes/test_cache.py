# SPDX-License-Identifier: Apache-2.0
"""Exports in the user's cache: once for each network, known by what they are made of, whole at any moment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pranet_monai.runtimes.cache import cache_folder, exported_once, fingerprint, weights_fingerprint
from torch import nn

from .conftest import small_net


def changed_weights() -> nn.Module:
    network = small_net()
    with torch.no_grad():
        network.coarse.bias[0] += 1e-6
    return network


def changed_count() -> nn.Module:
    network = small_net()
    network.fine[1].running_mean[0] = 1.0
    return network


@pytest.mark.parametrize(
    "other",
    [changed_weights, changed_count, lambda: small_net(slope=0.2), lambda: small_net(maps=2)],
    ids=["weight", "buffer", "constant", "maps"],
)
def test_another_network_has_another_fingerprint(other: Callable[[], nn.Module]) -> None:
    assert fingerprint(small_net()) == fingerprint(small_net())
    assert fingerprint(other()) != fingerprint(small_net())


def test_layout_and_wrapper_leave_the_weights_what_they_are() -> None:
    network = small_net()
    before, whole = weights_fingerprint(network), fingerprint(network)
    network.to(memory_format=torch.channels_last)
    assert weights_fingerprint(nn.Sequential(network)) == before
    assert fingerprint(nn.Sequential(network)) != whole, "a wrapper may give more maps"


def test_the_same_in_another_process() -> None:
    """No address of an object is in it."""
    code = (
        "from tests.runtimes.conftest import small_net as n; from pranet_monai.runtimes.cache import fingerprint as f"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(f(n()))"], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == fingerprint(small_net())


def test_exported_once(cache: Path) -> None:
    calls: list[Path] = []

    def export(network: nn.Module, path: Path) -> None:
        calls.append(path)
        path.write_text("whole")

    first = exported_once(small_net(), ".x", export)
    assert exported_once(small_net(), ".x", export) == first
    assert first.parent == cache and first.read_text() == "whole" and len(calls) == 1
    assert exported_once(small_net(), ".x", export, "another GPU") != first
    assert exported_once(changed_weights(), ".x", export) not in calls[:2]
    assert len(calls) == 3


def test_a_failed_export_leaves_nothing_and_is_tried_again(cache: Path) -> None:
    from pranet_monai.storage.atomic import atomic_write

    def export(network: nn.Module, path: Path) -> None:
        with atomic_write(path) as partial:
            partial.write_text("half")
            if not tried:
                tried.append(path)
                raise KeyboardInterrupt

    tried: list[Path] = []
    with pytest.raises(KeyboardInterrupt):
        exported_once(small_net(), ".x", export)
    assert not list(cache.glob("*.x")) and not list(cache.glob(".partial*"))
    assert exported_once(small_net(), ".x", export).read_text() == "half"


PROCESS = """
import sys, time
from pathlib import Path
import platformdirs
platformdirs.user_cache_path = lambda name, **_: Path(sys.argv[1])
from pranet_monai.runtimes.cache import exported_once
from pranet_monai.storage.atomic import atomic_write
from tests.runtimes.conftest import small_net
def export(network, path):
    print("exports", flush=True)
    with atomic_write(path) as partial:
        partial.write_text("first half, ")
        time.sleep(1.5)
        with partial.open("a") as file:
            file.write("second half")
network = small_net()
Path(sys.argv[2]).touch()
while not Path(sys.argv[3]).exists():
    time.sleep(0.01)
print(exported_once(network, ".x", export).read_text())
"""


@pytest.mark.slow
def test_two_processes_at_once(tmp_path: Path) -> None:
    """Both begin when both are ready: one exports, the other waits and takes the whole file."""
    root, ready = Path(__file__).resolve().parents[2], [tmp_path / "a", tmp_path / "b"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, tmp_path / "cache", own, other], stdout=subprocess.PIPE, text=True, cwd=root
        )
        for own, other in (ready, ready[::-1])
    ]
    printed = [process.communicate(timeout=300)[0].split("\n") for process in processes]
    assert [lines[-2] for lines in printed] == ["first half, second half"] * 2
    assert sum(lines.count("exports") for lines in printed) == 1


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, **_: tmp_path / "file" / name)
    path = exported_once(small_net(), ".x", lambda network, path: path.write_text("whole") and None)
    assert path.read_text() == "whole" and path.parent == cache_folder()
