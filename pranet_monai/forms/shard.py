# SPDX-License-Identifier: Apache-2.0
"""A share of the cases: the third of eight runs over one folder does every eighth case."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pranet_monai.errors import UsageError

__all__ = ["Shard"]


@dataclass(frozen=True, order=True)
class Shard:
    """One of several runs that share the cases of a folder and write into one output folder.

    Attributes:
        number: counted from 1.
        count: how many there are.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str | Shard, environment: Mapping[str, str] = os.environ) -> Shard:
        """Reads ``3/8``, or ``slurm`` for what SLURM tells a task of a job array.

        Args:
            text: of the option.
            environment: where SLURM's variables are.

        Raises:
            UsageError: it is neither, or the array has gaps, so that its tasks can't be counted.
        """
        if isinstance(text, Shard):
            return text
        if text == "slurm":
            return cls._of_slurm(environment)
        found = re.fullmatch(r"(\d+)/(\d+)", str(text))
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"shard {text!r}: allowed: i/n with i from 1 to n, such as 3/8, or slurm in a job array")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def _of_slurm(cls, environment: Mapping[str, str]) -> Shard:
        names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT")]
        try:
            task, first, last, count = (int(environment[name]) for name in names)
        except (KeyError, ValueError):
            raise UsageError(
                "shard slurm: found no SLURM_ARRAY_TASK_ID, _MIN, _MAX and _COUNT in the environment; fix: start it by "
                "sbatch --array=1-8, or say i/n"
            ) from None
        if last - first + 1 != count:
            raise UsageError(
                f"shard slurm: found an array of {count} tasks from {first} to {last}; allowed: one without gaps; fix: "
                "to run some tasks again, say --shard i/n with the n of the first time"
            )
        return cls(task - first + 1, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.number}of{self.count}"

    @classmethod
    def of_folder(cls, name: str) -> Shard | None:
        """The shard that a folder is named after; None where it isn't."""
        found = re.fullmatch(r"(\d+)of(\d+)", name)
        return cls(int(found[1]), int(found[2])) if found else None

    def deal(self, cases: Sequence[Any]) -> list[Any]:
        """Its cases: neighbours, which are often alike, go to different shards."""
        return list(cases[self.number - 1 :: self.count])
