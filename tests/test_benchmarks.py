# SPDX-License-Identifier: Apache-2.0
"""The benchmarks measure what they say: here, as far as hand-made cases can tell."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
from pranet_monai.data.phantom import write_phantom

SCRIPTS = Path(__file__).parents[1] / "benchmarks"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("options", [["--workers", "0"], ["--workers=0", "--roi_size", "[160, 160]"]])
def test_the_network_alone_runs_with_the_options_of_the_folder(options: list[str], tmp_path: Path) -> None:
    write_phantom(tmp_path, 1)
    seconds = script("folder").network_alone(options, tmp_path, 1)
    assert math.isfinite(seconds) and seconds > 0
