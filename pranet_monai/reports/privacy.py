# SPDX-License-Identifier: Apache-2.0
"""What a report tells of the machine: paths are relative to the folders given, no home, user or host is named."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Privacy"]

_BEFORE, _END = r"(?<![\w.~/\\-])", r"(?![\w.-])"


class Privacy:
    """Rewrites texts that may hold paths of this machine.

    A path below a folder that the user has given becomes relative to it, such a folder its own name, the user's home
    ``~``, and a part of a path that is the user's or the machine's name ``USER`` or ``HOST``.

    Args:
        folders: given by the user, or files; None for one that wasn't given.
    """

    def __init__(self, folders: Iterable[str | Path | None]) -> None:
        given = {form: path for folder in folders if folder for path, form in _forms(Path(folder))}
        home = str(Path.home())
        self._rules: list[tuple[re.Pattern[str], str]] = []
        for form in sorted(given, key=len, reverse=True):
            below = re.compile(rf"{_BEFORE}{re.escape(form)}[/\\]+(?=[^\s/\\])")
            self._rules += [(below, ""), (re.compile(rf"{_BEFORE}{re.escape(form)}/?{_END}"), given[form].name)]
        if len(home) > 1:
            self._rules.append((re.compile(rf"{_BEFORE}{re.escape(home)}(?=[/\\]|{_END})"), "~"))
        for name, shown in ((_user(), "USER"), (socket.gethostname(), "HOST")):
            if name:
                self._rules.append((re.compile(rf"(?<=[/\\]){re.escape(name)}{_END}"), shown))

    def __call__(self, value: Any) -> Any:
        """The value with its texts rewritten, those inside of lists and mappings too."""
        if isinstance(value, Mapping):
            return {key: self(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self(item) for item in value]
        if isinstance(value, Path):
            value = str(value)
        if not isinstance(value, str):
            return value
        for pattern, shown in self._rules:
            value = pattern.sub(shown.replace("\\", r"\\"), value)
        return value


def _forms(folder: Path) -> Iterable[tuple[Path, str]]:
    """A folder's path as it may stand in a text; the current folder and the root say nothing there."""
    whole = folder.expanduser().absolute()
    for path in {folder, folder.expanduser(), whole, whole.resolve()}:
        if path.name and path.name != "..":
            yield whole, str(path)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account that the system has no name for
        return ""
