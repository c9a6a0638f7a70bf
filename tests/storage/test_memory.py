# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from pranet_monai.storage.memory import available_memory, readable_bytes

GIB = 1 << 30


def machine(root: Path, cgroup: str, files: dict[str, object]) -> Path:
    """A file system that tells of 16 GiB that are left, and of control groups."""
    content = {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable: {16 * GIB // 1024} kB\n", "proc/self/cgroup": cgroup}
    for name, text in (content | files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(str(text))
    return root


def test_the_machine_alone(tmp_path: Path) -> None:
    assert available_memory(machine(tmp_path, "0::/\n", {})) == 16 * GIB


@pytest.mark.parametrize("group", ["/", "/batch.slice/job_7", "/gone"])
def test_a_group_of_version_2(tmp_path: Path, group: str) -> None:
    limits = {
        "sys/fs/cgroup/memory.max": 4 * GIB,
        "sys/fs/cgroup/memory.current": 3 * GIB,
        "sys/fs/cgroup/memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}\nactive_file 5\n",
        "sys/fs/cgroup/batch.slice/job_7/memory.max": "max",
        "sys/fs/cgroup/batch.slice/job_7/memory.current": 3 * GIB,
    }
    assert available_memory(machine(tmp_path, f"0::{group}\n", limits)) == 3 * GIB


def test_the_tightest_level_counts(tmp_path: Path) -> None:
    limits = {
        "sys/fs/cgroup/memory.max": 4 * GIB,
        "sys/fs/cgroup/memory.current": 1 * GIB,
        "sys/fs/cgroup/job/memory.max": 2 * GIB,
        "sys/fs/cgroup/job/memory.current": 1 * GIB,
    }
    assert available_memory(machine(tmp_path, "0::/job\n", limits)) == GIB


def test_a_group_of_version_1(tmp_path: Path) -> None:
    folder = "sys/fs/cgroup/memory/docker/7"
    limits = {
        f"{folder}/memory.limit_in_bytes": 2 * GIB,
        f"{folder}/memory.usage_in_bytes": 2 * GIB,
        f"{folder}/memory.stat": f"inactive_file 0\ntotal_inactive_file {GIB // 2}\n",
    }
    cgroup = "9:name=systemd:/\n4:cpu,memory:/docker/7\n0::/\n"
    assert available_memory(machine(tmp_path, cgroup, limits)) == GIB // 2


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    assert available_memory(tmp_path) is None


def test_this_machine() -> None:
    available = available_memory()
    assert available is None or available > 0


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 bytes"), (4096, "4 KiB"), (1023 * 1024, "1023 KiB"), (60_000_000_000, "55.9 GiB")]
)
def test_readable_bytes(number: int, text: str) -> None:
    assert readable_bytes(number) == text
