# SPDX-License-Identifier: Apache-2.0
"""NiiVue (https://niivue.com), the viewer of volumes, out of the package that brings it: nothing is downloaded."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from pranet_monai.errors import UsageError

__all__ = ["niivue_module"]

_LITERAL = re.compile(r'"([^"\\\n]{1000000,})"')


def niivue_module() -> bytes:
    """NiiVue as a JavaScript module that exports ``Niivue``, ``SLICE_TYPE`` and so on.

    ipyniivue's widget exports no such thing, but holds NiiVue's own module as a percent-encoded text, for the pages
    that it saves.

    Raises:
        UsageError: ipyniivue isn't installed, or is one that holds none.
    """
    spec = find_spec("ipyniivue")
    if spec is None or spec.origin is None:
        raise UsageError("view: found no ipyniivue, which brings the viewer; fix: pip install 'pranet-monai[view]'")
    widget = Path(spec.origin).parent / "static" / "widget.js"
    texts = _LITERAL.findall(widget.read_text(encoding="utf-8")) if widget.is_file() else []
    modules = [module for module in map(unquote, texts) if re.search(r"export ?\{[^}]*\bNiivue\b", module)]
    if len(modules) != 1:
        raise UsageError(f"{widget}: found no module of NiiVue in it; fix: pip install 'ipyniivue>=2.4,<2.5'")
    return modules[0].encode()
