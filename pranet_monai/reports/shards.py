# SPDX-License-Identifier: Apache-2.0
"""What shards leave for the merging of their reports: how they measure, and what each tells of its run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pranet_monai.data.labels import LabelMap, label_map_of_record
from pranet_monai.errors import UsageError
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.forms.shard import Shard
from pranet_monai.reports.kinds import Kind, create_kind
from pranet_monai.storage.tables import Row, write_json

__all__ = ["LISTING", "merged_run", "settings_of_shards", "unfinished_shards", "write_shard_record"]

_OWN = ("started", "finished", "seconds", "cases", "left_out", "seconds_per_case")
"""Of run.json: what the shards of a run don't have in common."""
LISTING = "listing_sha256"
"""Of run.json: of the names of all cases that a shard found. Shards that deal out other lists leave cases undone."""

_MARK = ("bundle", "weights", "precision", "label_map", "kind", LISTING)
"""Of run.json: what decides masks and who makes them, and so tells the shards of one run from those of another."""


def write_shard_record(folder: RunFolder, label_map: LabelMap, kind: Kind, expects_dice: bool) -> None:
    """Says how a shard measures, when it begins."""
    measures = {"kind": kind.name, "kind_options": kind.options, "expects_dice": expects_dice}
    write_json(folder.shard_record, {"label_map": asdict(label_map), **measures})


def settings_of_shards(output_dir: str | Path) -> dict[str, Any]:
    """How the shards in an output folder measure, as arguments of ``RunReport``; those of the newest one count.

    Raises:
        UsageError: there are none, or what one has left can't be read.
    """
    shards = RunFolder(output_dir).shards()
    if not shards:
        raise UsageError(
            f"{output_dir}: found no shards in report/shards; allowed: an output folder of pranet-monai segment --shard"
        )
    path = shards[-1].shard_record
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        kind = create_kind(record["kind"], **record["kind_options"])
        return {
            "label_map": label_map_of_record(record["label_map"]),
            "kind": kind,
            "expects_dice": record["expects_dice"],
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: can't be read ({type(error).__name__}: {error}); fix: run that shard again"
        ) from error


def unfinished_shards(output_dir: str | Path) -> list[Shard]:
    """Those of the youngest division that haven't begun, haven't ended, or ended in another run than the youngest of
    those that have: with other weights, say, or of other cases.
    """
    folders = RunFolder(output_dir).shards()
    count = folders[-1].shard.count if folders else 0  # type: ignore[union-attr]
    wanted = [Shard(number + 1, count) for number in range(count)]
    records = _run_records([folder for folder in folders if folder.shard in wanted])
    marks = {shard: [record.get(name) for name in _MARK] for shard, record in records.items()}
    youngest = next(reversed(marks.values()), None)
    return [shard for shard in wanted if str(shard) not in marks or marks[str(shard)] != youngest]


def merged_run(shards: Sequence[RunFolder]) -> Row:
    """What ``run.json`` says of a run in shards: what they have in common, by the youngest; and each one's own."""
    records = _run_records(shards)
    if not records:
        return {}
    started, finished = min(r["started"] for r in records.values()), max(r["finished"] for r in records.values())
    seconds = (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    common = {name: value for name, value in list(records.values())[-1].items() if name not in _OWN}
    own = {shard: {name: record[name] for name in _OWN[:4]} for shard, record in records.items()}
    return {**common, "started": started, "finished": finished, "seconds": seconds, "shards": own}


def _run_records(shards: Sequence[RunFolder]) -> dict[str, Row]:
    """What ``run.json`` says, of the shards that have ended."""
    ended = [folder for folder in shards if folder.run_record.is_file()]
    return {str(folder.shard): json.loads(folder.run_record.read_text(encoding="utf-8")) for folder in ended}
