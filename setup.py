# SPDX-License-Identifier: Apache-2.0
"""What setup.cfg can't say: the README for a package index, where links to files of this repository lead nowhere.

They lead to ``PRANET_MONAI_HOME``, such as https://github.com/OWNER/NAME/blob/v1.0.0, where that is set. Without it
they become text, and pictures go.
"""

import os
import re
from pathlib import Path

from setuptools import setup

COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!\w+:|#)(?P<target>[^)]+)\)")


def for_package_index(readme: str, home: str | None) -> str:
    """The README with absolute links, or with none to this repository."""

    def moved(match: re.Match[str]) -> str:
        picture, text, target = match.group("picture", "text", "target")
        if home is None:
            return "" if picture else text
        base = home.replace("/blob/", "/raw/") if picture else home
        return f"{picture}[{text}]({base.rstrip('/')}/{target})"

    return LINK.sub(moved, COMMENT.sub("", readme))


README = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
setup(long_description=for_package_index(README, os.environ.get("PRANET_MONAI_HOME") or None))
