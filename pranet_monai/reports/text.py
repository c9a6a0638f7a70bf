# SPDX-License-Identifier: Apache-2.0
"""The summary as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pranet_monai.reports.measures import PAPER_METRICS, VOLUMES, Vocabulary, plain_name

__all__ = ["align", "results_table"]


def results_table(summary: Mapping[str, Any], vocabulary: Vocabulary = VOLUMES) -> list[str]:
    """Lines of a table of means per organ, and below it, where there are any, the papers' numbers with their note.

    Args:
        summary: content of ``summary.json``.
        vocabulary: what was measured.
    """
    metrics = vocabulary.metrics
    rows = [["organ", "n", "missed", "false positive", *(measure.heading for measure in metrics)]]
    for organ, scores in (*summary["organs"].items(), ("mean", summary["overall"])):
        means = [measure.text(scores[measure.key]["mean"]) for measure in metrics]
        rows.append([plain_name(organ), *(str(scores[key]) for key in ("n", "n_missed", "n_false_positive")), *means])
    lines = align(rows)
    if "paper" in summary:
        paper = summary["paper"]
        rows = [["organ", *(measure.heading for measure in PAPER_METRICS)]]
        for organ, means_by_key in (*paper["organs"].items(), ("mean", paper["overall"])):
            rows.append([plain_name(organ), *(measure.text(means_by_key[measure.key]) for measure in PAPER_METRICS)])
        lines += ["", *align(rows), paper["note"]]
    return lines


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns below each other, the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths)))
        for row in rows
    ]
