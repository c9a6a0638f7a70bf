# SPDX-License-Identifier: Apache-2.0
"""The command line: known commands, instant help that ends with an example, completion, exit codes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from pranet_monai.__main__ import main
from pranet_monai.apps.streams import lasting_streams
from pranet_monai.commands import COMMANDS, names
from pranet_monai.data.datasets import DATA_SETS
from pranet_monai.metrics import HIGHER_IS_BETTER
from pranet_monai.metrics.surface import DEFAULT_TOLERANCE_MM
from pranet_monai.runtimes import AUTO, PRECISIONS, RUNTIMES
from tqdm import tqdm

HEAVY = ("torch", "monai", "nibabel", "numpy", "pandas", "scipy", "matplotlib")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_the_command_does_and_ends_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    about = import_module(f"pranet_monai.commands.{name.replace('-', '_')}")
    assert about.SUMMARY.split()[0].capitalize() in shown
    example = shown.splitlines()[-1].strip()
    assert example == about.EXAMPLE and example.startswith(f"pranet-monai {name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_example_is_a_right_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser takes it; the command itself isn't run."""
    module = import_module(f"pranet_monai.apps.{name.replace('-', '_')}")
    monkeypatch.setattr(module, "run", lambda args: 0)
    example = import_module(f"pranet_monai.commands.{name.replace('-', '_')}").EXAMPLE
    assert main(shlex.split(example)[1:]) == 0


def test_every_module_of_a_command_is_listed() -> None:
    for package in ("commands", "apps"):
        assert all(find_spec(f"pranet_monai.{package}.{name.replace('-', '_')}") for name in COMMANDS)


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


def test_help_loads_nothing_heavy() -> None:
    """One process asks for every help text, and for the version."""
    code = (
        "import contextlib, io, sys\n"
        "from pranet_monai.__main__ import main\n"
        "from pranet_monai.commands import COMMANDS\n"
        "calls = [['--help'], ['--version'], *([name, '--help'] for name in COMMANDS)]\n"
        "for call in calls:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        main(call)\n"
        f"print(len(calls), [name for name in {HEAVY} if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == f"{len(COMMANDS) + 2} []\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "pranet_monai", "info", "bundles"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait() == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has it")
@pytest.mark.parametrize(
    ("redirection", "code", "told"),
    [
        ("2>&-", 0, "volumes of 1 patients"),
        ("<&- >&- 2>&-", 0, ""),
        ("2>/dev/full", 0, "volumes of 1 patients"),
        (">/dev/full", 1, "error: what this command prints can't be written (No space left on device)"),
    ],
)
def test_what_is_printed_never_ends_the_work(tmp_path: Path, redirection: str, code: int, told: str) -> None:
    """A service without a terminal, a terminal that was closed, a pipe into ``head``."""
    command = shlex.join([sys.executable, "-m", "pranet_monai", "phantom", str(tmp_path), "--patients", "1"])
    done = subprocess.run(["bash", "-c", f"{command} {redirection}"], capture_output=True, text=True)
    assert done.returncode == code and told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr and len(list(tmp_path.rglob("*.nii.gz"))) == 4


def test_a_bar_goes_on_whose_terminal_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with lasting_streams():
            assert list(tqdm(range(3), file=sys.stderr, mininterval=0)) == [0, 1, 2]
            tqdm.write("failed: a case", file=sys.stderr)
        assert sys.stderr is terminal


def test_a_name_that_the_terminal_cannot_show_ends_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pranet_monai", "phantom", os.fsencode(tmp_path) + b"/\xff", "--patients", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and "\\udcff" in done.stdout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pranet-monai evalu", {"evaluate"}),
        ("pranet-monai evaluate --hd95 ", {"pooled", "max"}),
        ("pranet-monai evaluate --label-map hipp", {"hippocampus", "hippocampus_whole"}),
        ("pranet-monai check-data am", {"amos"}),
    ],
)
def test_the_shell_completes(line: str, expected: set[str]) -> None:
    """What a shell does that was told of the command by argcomplete."""
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout", "_ARGCOMPLETE_IFS": "\n"}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    command = [sys.executable, "-m", "pranet_monai"]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60)
    assert {word.strip() for word in done.stdout.splitlines()} == expected, done.stderr


def test_names_in_help_texts_are_those_of_the_tables() -> None:
    """A new data set: add its name to pranet_monai/commands/names.py."""
    assert tuple(DATA_SETS) == names.DATA_SETS
    assert tuple(HIGHER_IS_BETTER) == names.METRICS
    assert names.TOLERANCE_MM == DEFAULT_TOLERANCE_MM
    assert (AUTO, *RUNTIMES) == names.RUNTIMES
    assert PRECISIONS == names.PRECISIONS
    assert tuple(runtime.file_format for runtime in RUNTIMES.values() if runtime.file_format) == names.FORMATS


@pytest.mark.parametrize(
    ("said", "expected"), [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_openmp_spins_briefly_unless_told_otherwise(said: dict[str, str], expected: str | None) -> None:
    """Set before torch is there: GNU OpenMP reads it once, when torch loads it."""
    code = (
        "import os, sys, types\n"
        "from pranet_monai.__main__ import main\n"
        "def run(args):\n"
        "    print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))\n"
        "    return 0\n"
        "sys.modules['pranet_monai.apps.pack'] = types.SimpleNamespace(run=run)\n"
        "main(['pack', 'bundle'])"
    )
    rest = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**rest, **said})
    assert done.stdout == f"False {expected}\n", done.stderr
