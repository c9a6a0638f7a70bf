# SPDX-License-Identifier: Apache-2.0
"""The command line: known commands, instant help, exit codes."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from pranet_monai.__main__ import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert COMMANDS[name][1].split()[0].capitalize() in capsys.readouterr().out


@pytest.mark.parametrize("module", [module for module, _ in COMMANDS.values()])
def test_every_listed_command_has_a_module(module: str) -> None:
    assert find_spec(f"pranet_monai.apps.{module}")


def test_unknown_command_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["evalaute"])
    assert end.value.code == 2
    printed = capsys.readouterr().err
    assert all(name in printed for name in COMMANDS)


def test_no_command_is_wrong_use() -> None:
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        "from pranet_monai.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'monai', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"
