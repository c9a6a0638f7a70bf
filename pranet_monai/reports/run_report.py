# SPDX-License-Identifier: Apache-2.0
"""The report of a run: rows on disk as cases finish, summary and page at the end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from pranet_monai.data.labels import LabelMap
from pranet_monai.errors import UsageError
from pranet_monai.forms import Item, KindName, Search
from pranet_monai.forms.case_record import CaseRecord
from pranet_monai.forms.left_out import left_out_files, left_out_sentence
from pranet_monai.forms.reviews import Reviews
from pranet_monai.forms.row_owners import RowOwners
from pranet_monai.forms.run_folder import FRAME_ENDING, MADE_OF_ROWS, REFERENCE, ROWS, RunFolder
from pranet_monai.forms.shard import Shard
from pranet_monai.reports.cardiac import CARDIAC_COLUMNS, ORGANS, cardiac_rows
from pranet_monai.reports.cardiac_page import write_patient_pages
from pranet_monai.reports.case_result import EXPECTED_DICE, REVIEW, CaseMeasurer, CaseResult, MeasuredRow
from pranet_monai.reports.kinds import Kind
from pranet_monai.reports.page import write_page
from pranet_monai.reports.privacy import Privacy
from pranet_monai.reports.reviewed import with_reviews
from pranet_monai.reports.run_info import environment, weights_record
from pranet_monai.reports.shards import LISTING, settings_of_shards, write_shard_record
from pranet_monai.storage.tables import CaseTable, Row, read_csv, write_csv, write_json

__all__ = ["RunReport"]

CASE_COLUMNS = ["case", "status", "reason", "remark", "seconds", "network_seconds"]
KEPT = "kept from an earlier run"
_TOLD_OF_KEPT = {"case", "status", "reason"}
"""All that a shard's row says of a case whose numbers are in the whole report."""


class RunReport:
    """Collects what a run did, in ``<output_dir>/report``.

    ``cases.csv`` and ``metrics.csv`` grow by each case: a killed run leaves every finished row.
    :meth:`finish` adds ``summary.json``, ``run.json`` and ``index.html``.

    Args:
        output_dir: folder of the run.
        label_map: organs to measure, or the name of a known map.
        kind: of the cases, or its name: how they are measured.
        window: centre and width of the pictures' grey scale; chosen from the image where ``None``.
        previews: draw a picture per case.
        dataset_dir: folder that the names of the cases are relative to; ACDC keeps there which frame is ED and ES.
        resume: keep the rows of an earlier run in the same folder, save those of failed cases.
        expects_dice: whether masks are judged without a reference, see ``quality``: columns for that.
        shard: the share of the cases that this run does, such as "3/8": its report is a part without a page, which
            :meth:`of_shards` merges with the others.
        given: further files and folders that the user has named. Paths below these, and below `dataset_dir` and
            `output_dir`, are written relative to them, see :class:`~pranet_monai.reports.privacy.Privacy`.
        merging: only put together what shards have done: their failed cases stay, and they themselves.
        items: the cases as ``find_cases`` lists them, kept in the folder so that ``pranet-monai view`` finds them.

    Attributes:
        measurer: measures and draws cases for this report.

    Raises:
        UsageError: when the folder can't be written, or label map or kind are unknown.
    """

    def __init__(
        self,
        output_dir: str | Path,
        label_map: LabelMap | str,
        *,
        kind: Kind | str = "volume",
        window: tuple[float, float] | None = None,
        previews: bool = True,
        dataset_dir: str | Path | None = None,
        resume: bool = False,
        shard: Shard | str | None = None,
        given: Iterable[str | Path | None] = (),
        expects_dice: bool = False,
        merging: bool = False,
        items: Sequence[Item] = (),
    ) -> None:
        folder = RunFolder(output_dir, None if shard is None else Shard.parse(shard))
        self.measurer = CaseMeasurer(folder, label_map, kind, window, previews)
        self.kind = self.measurer.kind
        self.label_map, self.paths = self.measurer.label_map, self.measurer.folder
        self.folder = self.paths.report
        self.dataset_dir = None if dataset_dir is None else Path(dataset_dir).expanduser()
        self._private = Privacy([dataset_dir, output_dir, *given])
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._listing = sha256("\n".join(item["case"] for item in items).encode()).hexdigest() if items else None
        self._expects_dice = expects_dice
        self._organ_columns = (*((EXPECTED_DICE,) if expects_dice else ()), *self.kind.organ_columns)
        self._first_columns = [*CASE_COLUMNS, *([REVIEW] if expects_dice else [])]
        self._former: dict[str, set[str]] = {}  # case → its rows of an earlier run
        self._open_tables(resume, merging, items)

    @classmethod
    def of_shards(cls, output_dir: str | Path, dataset_dir: str | Path | None = None) -> RunReport:
        """The report of a run in shards, with all rows that these have written by now; they may go on meanwhile.

        It replaces what an earlier call has made, and can be made as often as one likes.

        Args:
            output_dir: of the run.
            dataset_dir: see above; the shards keep no path of it.

        Raises:
            UsageError: there are no shards, or another run is writing the whole report.
        """
        return cls(output_dir, **settings_of_shards(output_dir), dataset_dir=dataset_dir, resume=True, merging=True)

    @property
    def exit_code(self) -> int:
        """0 when every case is good, 1 when some failed."""
        return int(any(row["status"] == "failed" for row in self._cases.rows))

    def add(self, result: CaseResult) -> None:
        """Write down what became of a case; a skipped one keeps its former rows."""
        if result.status != "skipped":
            self._forget(self._former.pop(result.case, set()) - {result.case, *(row.name for row in result.rows)})
        if result.status == "failed" and not result.rows:
            self._add_failure(result)
        for row in result.rows:
            if result.status == "skipped":
                self._keep(row.name)
            else:
                self._record(row, result)

    def _forget(self, names: Collection[str]) -> None:
        """Drop rows and pictures, such as those of the frames that a cine no longer has."""
        for table in (self._metrics, self._cases):  # in this order: a case without its metrics is done again
            table.drop(names)
        for name in names:
            self.paths.preview(name).unlink(missing_ok=True)

    def _record(self, measured: MeasuredRow, result: CaseResult) -> None:
        # Metrics first: a case that cases.csv calls good then has its rows, whenever the run is killed.
        if measured.has_reference:
            whose = {"case": measured.name, REFERENCE: result.reference}
            self._metrics.put(measured.name, [{**whose, **organ} for organ in measured.organs])
        else:
            self._metrics.drop([measured.name])
        row: Row = {"case": measured.name, **self._private(_outcome(result)), "seconds": result.seconds}
        row["network_seconds"] = result.network_seconds
        row[REVIEW] = measured.review
        organs = measured.organs
        row |= {f"{name}_{organ['organ']}": organ.get(name) for organ in organs for name in self._organ_columns}
        self._cases.put(measured.name, [row])

    def _add_failure(self, result: CaseResult) -> None:
        self._metrics.drop([result.case])
        self.paths.preview(result.case).unlink(missing_ok=True)
        self._cases.put(result.case, [{"case": result.case, **self._private(_outcome(result))}])

    def _keep(self, name: str) -> None:
        former = self._cases[name][0] if name in self._cases else {"case": name}
        kept: Row = {**former, "status": "skipped", "reason": KEPT}
        if name in self._cases:
            self._cases.note(name, [kept])
        else:
            self._cases.put(name, [kept])

    def _absorb(self, shard: RunFolder) -> None:
        """Take over the rows of a shard; where it only kept this report's rows, these stay."""
        rows = read_csv(shard.cases_table)
        metrics = CaseTable(shard.metrics_table, self._metrics.columns)  # written first, so read last
        for row in rows:
            case, told = row["case"], {column for column, value in row.items() if value not in (None, "")}
            if row["status"] == "skipped" and case in self._cases and told <= _TOLD_OF_KEPT:
                self._keep(case)
                continue
            self._metrics.note(case, metrics[case] if case in metrics else [])
            self._cases.note(case, [row])

    def finish(self, run_info: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Write ``summary.json`` (where references were given), ``run.json`` and ``index.html``.

        A label map of the heart's chambers adds ``cardiac.csv`` and a page per patient.

        Args:
            run_info: what the caller knows of the run: ``options``, ``weights`` (a path, recorded with its hash) ...

        Returns:
            ``report`` (the folder), ``kind`` (its name), ``cases`` (count per status), ``summary`` (or ``None``),
            ``left_out``: a sentence on files of `dataset_dir` that look like images but are no cases, and
            ``unwritten``: what couldn't be written, with the reason; the tables are there whatever happens here.
        """
        counts = dict.fromkeys(("ok", "failed", "skipped"), 0)
        for row in self._cases.rows:
            counts[row["status"]] += 1
        run = self._run_record(dict(run_info or {}), counts)
        unwritten: list[str] = []
        for table in (self._metrics, self._cases):
            table.write_notes()
        summary = None if self.paths.shard else self._write_whole(run, unwritten)
        with _kept(unwritten, "run.json"):
            write_json(self.paths.run_record, run)
        self.paths.unlock()
        done = {"report": str(self.folder), "kind": self.kind.name, "cases": counts, "summary": summary}
        done["left_out"] = left_out_sentence(run["left_out"])
        return {**done, "unwritten": unwritten}

    def _write_whole(self, run: Row, unwritten: list[str]) -> dict[str, Any] | None:
        """Writes what tells of all cases: summary and pages."""
        rows = self._metrics.rows
        summary = self.kind.summarise(rows) if rows else None
        with _kept(unwritten, "summary.json"):
            if summary is not None:
                write_json(self.folder / "summary.json", summary)
        with _kept(unwritten, "index.html"):
            cardiac = self._write_cardiac(rows)
            cases = with_reviews(self._cases.rows, Reviews(self.folder))
            write_page(self.folder, self.label_map, cases, rows, summary, run, cardiac, self.kind.vocabulary)
        return summary

    def _left_out(self) -> dict[str, list[str]]:
        """Files that look like images but are no cases, by extension."""
        if self.dataset_dir is None or self.paths.shard or not self.dataset_dir.is_dir():
            return {}
        try:
            return left_out_files(Search(self.dataset_dir, self.paths.root.resolve()), self.kind.name)
        except UsageError:  # a folder that vanished meanwhile: the run is done all the same
            return {}

    def _write_cardiac(self, metrics: list[Row]) -> list[Row]:
        if not set(ORGANS.values()) <= set(self.label_map.organs):
            return []
        rows = cardiac_rows(self._cases.rows, metrics, self.dataset_dir)
        if rows:
            write_csv(self.folder / "cardiac.csv", rows, CARDIAC_COLUMNS)
            write_patient_pages(self.folder, rows)
        return rows

    def _open_tables(self, resume: bool, merging: bool, items: Sequence[Item]) -> None:
        """Cases and metrics; nothing of an earlier run may stand beside their rows but what they agree with, and what
        people have said of its masks.
        """
        columns = [f"{name}_{organ}" for organ in self.label_map.organs for name in self._organ_columns]
        self.paths.check_own()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.paths.lock(beside_shards=merging)
            self._remove_stale(resume)
            kind = cast(KindName, self.kind.name)
            if items and self.dataset_dir is not None and (self.paths.shard is None or self.paths.shard.number == 1):
                CaseRecord(kind, self.label_map, items).write(self.paths, self.dataset_dir)
            self._cases = CaseTable(self.paths.cases_table, self._first_columns + columns)
            self._metrics = CaseTable(self.paths.metrics_table, [*self.kind.metric_columns, REFERENCE])
            if self.paths.shard is not None:
                write_shard_record(self.paths, self.label_map, self.kind, self._expects_dice)
            else:
                self._take_over_shards(merging)
            if not merging:
                self._keep_own_rows(items)
            self._cases.write()
        except OSError as error:
            raise UsageError(
                f"output folder {self.folder} can't be written ({error.strerror or error}); "
                "choose a folder that you may write to"
            ) from error

    def _remove_stale(self, resume: bool) -> None:
        """What an earlier run has left and this one doesn't go on with; a shard begun anew ends the whole report."""
        whole = RunFolder(self.paths.root)
        names = MADE_OF_ROWS if resume else (*MADE_OF_ROWS, *ROWS)
        stale = [self.folder / name for name in names]
        if self.paths.shard is None:
            stale += [] if resume else [whole.report / "previews", whole.report / "shards"]
        elif not resume:
            others = [other for other in whole.shards() if other.shard.count != self.paths.shard.count]  # type: ignore[union-attr]
            stale += [whole.report / name for name in names]
            stale += [other.report for other in others if not other.is_locked]
        for path in stale:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=self.paths.shard is not None)  # another shard may be at it, too
            else:
                path.unlink(missing_ok=True)

    def _keep_own_rows(self, items: Sequence[Item]) -> None:
        """Of an earlier run's rows only those of this run's cases and organs, and none of a failed case."""
        rows, metrics = self._cases.rows, self._metrics.rows
        owners = RowOwners(items or [{"case": FRAME_ENDING.sub("", row["case"])} for row in rows])
        of_others = {row["case"] for row in metrics if row["organ"] not in self.label_map.organs}
        for row in rows:
            name, item = row["case"], owners.item_of(row["case"])
            if item is not None and row["status"] != "failed" and name not in of_others:
                self._former.setdefault(item["case"], set()).add(name)
        own = set().union(*self._former.values())
        self._metrics.drop({row["case"] for row in metrics} - own)
        self._cases.drop({row["case"] for row in rows} - own)

    def _take_over_shards(self, merging: bool) -> None:
        shards = self.paths.shards()
        for shard in shards:
            self._absorb(shard)
        if shards:
            for table in (self._metrics, self._cases):  # in this order, as when a case is written down
                table.sort()
                table.write()
            if not merging:
                shutil.rmtree(self.folder / "shards")

    def _run_record(self, run_info: dict[str, Any], counts: Mapping[str, int]) -> Row:
        weights = run_info.pop("weights", None)
        return {
            "started": self._started.isoformat(timespec="seconds"),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 3),
            "cases": dict(counts),
            "left_out": self._left_out(),
            **({} if self.paths.shard is None else {LISTING: self._listing}),
            "label_map": self.label_map.name,
            "kind": self.kind.name,
            "weights": weights_record(weights) if isinstance(weights, (str, Path)) else weights,
            **self._private({**environment(), **run_info}),
            "seconds_per_case": {row["case"]: row.get("seconds") for row in self._cases.rows},
        }


def _outcome(result: CaseResult) -> Row:
    """What became of a case in words, each on one line."""
    remark = "; ".join(" ".join(remark.split()) for remark in result.remarks)
    return {"status": result.status, "reason": " ".join(result.reason.split()), "remark": remark}


@contextmanager
def _kept(unwritten: list[str], name: str) -> Iterator[None]:
    """Around the writing of a file without which the run still stands: says why it couldn't be written."""
    try:
        yield
    except OSError as error:
        unwritten.append(f"{name} ({error.strerror or error})")
