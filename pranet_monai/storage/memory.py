# SPDX-License-Identifier: Apache-2.0
"""How much memory this process may still take: of the machine, of its container, of its own limit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_memory", "readable_bytes"]

_ROOT = Path("/")
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def available_memory(root: Path = _ROOT) -> int | None:
    """Bytes that can be taken without the kernel killing the process; None where the system doesn't tell.

    The least counts of what the machine has left, of what each control group above the process has left (containers
    and batch systems set these, version 1 or 2), and of the process's own limit of addresses (``ulimit -v``).

    Args:
        root: of the file system, another one in tests.
    """
    found = [*_machine(root), *_control_groups(root), *(_address_limit(root) if root == _ROOT else ())]
    return max(0, min(found)) if found else None


def readable_bytes(number: int) -> str:
    """A number of bytes with its unit: 4096 → "4 KiB"."""
    size, unit = float(number), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.3g} {_UNITS[unit]}" if size < 1000 else f"{size:.0f} {_UNITS[unit]}"


def _machine(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024
            return
    if root == _ROOT and "SC_PHYS_PAGES" in os.sysconf_names:  # macOS: at least what the machine has at all
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _control_groups(root: Path) -> Iterator[int]:
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if not controllers:
            yield from _levels(root / "sys/fs/cgroup", group, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _levels(root / "sys/fs/cgroup/memory", group, *names)


def _levels(mount: Path, group: str, limit: str, usage: str, cache: str) -> Iterator[int]:
    """What each level of a group's path has left; a container may see its own group as the root."""
    parts = [part for part in group.split("/") if part]
    for depth in range(len(parts), -1, -1):
        folder = mount.joinpath(*parts[:depth])
        most, used = _number(folder / limit), _number(folder / usage)
        if most is not None and used is not None:
            # files that were read long ago fill a group up to its limit, and make room for whoever asks
            freeable = [int(line.split()[1]) for line in _lines(folder / "memory.stat") if line.startswith(f"{cache} ")]
            yield most - used + sum(freeable)


def _address_limit(root: Path) -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    taken = [int(line.split()[1]) * 1024 for line in _lines(root / "proc/self/status") if line.startswith("VmSize:")]
    if most != resource.RLIM_INFINITY and taken:
        yield most - taken[0]


def _number(path: Path) -> int | None:
    """The number in a file; None where there is none, "max" included."""
    text = "".join(_lines(path)).strip()
    return int(text) if text.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
