# SPDX-License-Identifier: Apache-2.0
"""docs/robustness.md, made of the campaign's table: ``python -m tests.robustness.document`` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .kind import Command, Kind
from .kinds import COMMANDS, IMAGES, VOLUMES

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "robustness.md"
INTRODUCTION = """\
# How odd input is handled

Made by `python -m tests.robustness.document` from the table that the tests run over; a test fails when it is out of
date. Each of these {count} kinds of input lies in a folder of a run, {volumes} kinds in one run over volumes, {images}
in one over images; {commands} are commands of their own. No case stops a run or changes another's mask, and nothing
half written is left.

*Segmented* means that the mask is the expected one on the file's own grid; *failed row* that the case stands in
`cases.csv` with this reason and the run goes on, ending with exit code 1; *left out* that the file is named at the
end of the run; *remark* that `cases.csv` and the page say what was assumed.

```bash
python -m pytest tests/robustness                  # the table, some kills and some headers
python -m pytest tests/robustness -m fuzz          # 50 rounds of kill -9 and resume, a minute of headers made at random
PRANET_MONAI_FUZZ_MINUTES=60 python -m pytest tests/robustness -m fuzz -k headers   # an hour of them
python -m tests.robustness.document                # write this page again
```

A new kind is a row in a file of `tests/robustness/kinds/`.
"""


def document() -> str:
    """The page."""
    groups: Mapping[str, Sequence[Kind | Command]] = {**VOLUMES, **IMAGES, **COMMANDS}
    number = {name: sum(map(len, table.values())) for name, table in TABLES.items()}
    parts = [INTRODUCTION.format(count=sum(number.values()), **number)]
    parts += [f"## {title}\n\n{_table(kinds)}" for title, kinds in groups.items()]
    return "\n".join(parts)


TABLES: dict[str, Mapping[str, Sequence[Kind | Command]]] = {"volumes": VOLUMES, "images": IMAGES, "commands": COMMANDS}


def _table(kinds: Iterable[Kind | Command]) -> str:
    rows = [(kind.name, kind.handled.text if isinstance(kind, Kind) else kind.text) for kind in kinds]
    lines = [f"| {_cell(name)} | {_cell(text)} |" for name, text in rows]
    return "\n".join(["| input | handled |", "|---|---|", *lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document(), encoding="utf-8")
