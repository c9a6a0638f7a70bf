# SPDX-License-Identifier: Apache-2.0
"""The pages on robustness, made of the campaign's table: ``python -m tests.robustness.document`` writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .kind import Command, Kind
from .kinds import COMMANDS, IMAGES, VOLUMES

PAGES = Path(__file__).resolve().parents[2] / "docs"
ANSWER = """\
# Robustness

**No case stops a run, none changes another's mask, and nothing half written is left.** Whatever lies in the folder,
each case ends in one of four ways:

| | what happens | you see it |
|---|---|---|
| segmented | the mask is the expected one, on the file's own grid | in `cases.csv` and on the page |
| segmented, with a remark | something had to be assumed | the same, with what was assumed |
| failed row | it or its reference can't be used; the run goes on | a row with the reason; exit code 1 |
| left out | it is no case: a text file, a pipe, a report | named at the end of the run |

This holds for {count} kinds of input that the tests run over: {volumes} in one run over volumes, {images} in one over
images, and {commands} whole commands, of which those that can't begin end with exit code 2 and one line that says why.
How many of each sort are handled how ([all of them, one by one](robustness_kinds.md)):

{counts}
Besides, runs are killed (`kill -9`) at random moments and resumed, until the folder is that of an undisturbed run, and
headers are made at random:

<!-- not run: the tests run them, -m fuzz only when asked for -->
```bash
python -m pytest tests/robustness                  # the table, some kills and some headers
python -m pytest tests/robustness -m fuzz          # 50 rounds of kill -9 and resume, a minute of random headers
PRANET_MONAI_FUZZ_MINUTES=60 python -m pytest tests/robustness -m fuzz -k headers   # an hour of them
python -m tests.robustness.document                # write this page again
```

A new kind is a row in a file of `tests/robustness/kinds/`. This page is made of that table; a test fails when it is out
of date.
"""
KINDS = """\
# All kinds of odd input

What stands in quotes is part of the reason or remark that a user reads. [What the words mean](robustness.md)
"""
COLUMNS = ("segmented", "with a remark", "failed row", "left out", "command")


TABLES: dict[str, Mapping[str, Sequence[Kind | Command]]] = {"volumes": VOLUMES, "images": IMAGES, "commands": COMMANDS}


def documents() -> dict[Path, str]:
    """Page → its text."""
    groups: Mapping[str, Sequence[Kind | Command]] = {**VOLUMES, **IMAGES, **COMMANDS}
    number = {name: sum(map(len, table.values())) for name, table in TABLES.items()}
    answer = ANSWER.format(count=sum(number.values()), counts=_counts(groups), **number)
    kinds = "\n".join([KINDS, *(f"## {title}\n\n{_table(rows)}" for title, rows in groups.items())])
    return {PAGES / "robustness.md": answer, PAGES / "robustness_kinds.md": kinds}


def _counts(groups: Mapping[str, Sequence[Kind | Command]]) -> str:
    lines = [f"| input | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for title, kinds in groups.items():
        found = Counter(map(_column, kinds))
        lines.append(f"| {title} | {' | '.join(str(found[column] or '') for column in COLUMNS)} |")
    return "\n".join([*lines, ""])


def _column(kind: Kind | Command) -> str:
    if isinstance(kind, Command):
        return "command"
    if kind.handled.status == "ok":
        return "with a remark" if kind.handled.remark else "segmented"
    return "failed row" if kind.handled.status == "failed" else "left out"


def _table(kinds: Iterable[Kind | Command]) -> str:
    rows = [(kind.name, kind.handled.text if isinstance(kind, Kind) else kind.text) for kind in kinds]
    lines = [f"| {_cell(name)} | {_cell(text)} |" for name, text in rows]
    return "\n".join(["| input | handled |", "|---|---|", *lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    for page, text in documents().items():
        page.write_text(text, encoding="utf-8")
