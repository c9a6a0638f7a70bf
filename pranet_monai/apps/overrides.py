# SPDX-License-Identifier: Apache-2.0
"""Changes to a bundle's config from a command line: refused where they would change nothing, with what comes close."""

from __future__ import annotations

import difflib
import inspect
import pydoc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from pranet_monai.errors import UsageError

__all__ = ["check_argv", "check_ids", "parsed"]

# arguments of monai.bundle run itself; every other --name is meant for the config
_RUN_ARGUMENTS = {
    *("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "args_file"),
    *("tracking", "tracking_uri", "experiment_name", "run_name", "save_execute_config"),
}


def parsed(assignments: Iterable[str]) -> dict[str, Any]:
    """The values of ``id=value`` as ``monai.bundle run`` reads ``--id value``: Python literals, else text.

    Raises:
        UsageError: one has no ``=`` or no id.
    """
    values = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not name or not equals:
            raise UsageError(f"--set {assignment}: found no id and value; allowed: --set id=value or id#part=value")
        values[name.replace("::", "#")] = DefaultParseValue(value)
    return values


def check_argv(arguments: Sequence[str]) -> None:
    """Refuses ``--name value`` for a name that the config doesn't have; MONAI would ignore it silently.

    Args:
        arguments: of ``monai.bundle run``; any other command is left alone.

    Raises:
        UsageError: naming the option and the ids that come close.
    """
    if not arguments or arguments[0] != "run":
        return
    given = {part[2:].partition("=")[0]: index for index, part in enumerate(arguments) if part.startswith("--")}
    if "config_file" not in given:
        return
    options = {name: name.replace("-", "_").replace("::", "#") for name in given}
    own = {name for name, id in options.items() if id.split("#")[0] in _RUN_ARGUMENTS}
    files = _config_files(arguments, given["config_file"])
    check_ids({name: id for name, id in options.items() if name not in own}, files, "--")


def check_ids(ids: dict[str, str], files: Sequence[str | Path], option: str = "--set ") -> None:
    """Refuses ids that the config doesn't have, and arguments that none of its components of this package takes.

    Args:
        ids: as given → ``id#part``.
        files: the configs, of which later ones lie over earlier ones.
        option: what stands before an id on the command line.

    Raises:
        UsageError: naming the option and what comes close.
    """
    configs = [ConfigParser.load_config_file(str(file)) for file in files]
    known = {key.lstrip("+").replace("::", "#").split("#")[0] for config in configs for key in config}
    for given, id in ids.items():
        top, *parts = id.split("#")
        if top not in known:
            close = difflib.get_close_matches(top.split(".")[0], known, n=2) or sorted(known)
            meant = ", ".join(option + name for name in close)
            raise UsageError(
                f"{option}{given}: found no id {top!r} in the config; did you mean {meant}? "
                "(parts of an id are written id#part)"
            )
        for config in configs:
            _check_argument(f"{option}{given}", config.get(top), parts)


def _check_argument(given: str, component: Any, parts: Sequence[str]) -> None:
    """Refuses an argument that the signature of a component of this package doesn't have."""
    for part in parts:
        if isinstance(component, dict) and str(component.get("_target_", "")).startswith("pranet_monai."):
            taken = inspect.signature(pydoc.locate(component["_target_"])).parameters  # type: ignore[arg-type]
            open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
            if part not in component and part not in taken and not part.startswith("_") and not open_ended:
                close = difflib.get_close_matches(part, taken, n=2) or sorted(taken)
                raise UsageError(
                    f"{given}: {component['_target_']} takes no {part!r}; did you mean {', '.join(close)}?"
                )
        component = _part_of(component, part)


def _part_of(component: Any, part: str) -> Any:
    if isinstance(component, dict):
        return component.get(part)
    if isinstance(component, list) and part.isdigit() and int(part) < len(component):
        return component[int(part)]
    return None


def _config_files(arguments: Sequence[str], position: int) -> list[str]:
    _, equals, value = arguments[position].partition("=")
    files = value if equals else arguments[position + 1]
    return [name.strip(" '\"") for name in files.strip("[]()").split(",")]
