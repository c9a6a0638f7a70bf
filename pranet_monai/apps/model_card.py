# SPDX-License-Identifier: Apache-2.0
"""The numbers that a bundle states about itself, taken from the files that its evaluation and its weights left."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pranet_monai.bundle_store.bundle import SUMMARY, WEIGHTS
from pranet_monai.errors import UsageError
from pranet_monai.storage.hashing import file_sha256

__all__ = ["eval_metrics", "explanation", "fill_scores", "large_files", "scores_table"]

SCORES = re.compile(r"(?P<open><!-- scores: (?P<file>\S+) -->\n).*?(?P<close><!-- end of scores -->)", re.DOTALL)
COLUMNS = {"dice": ("Dice", 3), "hd95_mm": ("HD95 (mm)", 2), "assd_mm": ("ASSD (mm)", 2), "nsd": ("NSD", 3)}
IMAGE_COLUMNS = {"dice": ("Dice", 3), "iou": ("IoU", 3), "weighted_f": ("weighted F", 3), "mae": ("MAE", 3)}
NO_BREAK = "\N{NO-BREAK SPACE}"
NO_SCORES = "No weights yet, so no scores.\n"
EXPLAINED = {"hd95_mm": "HD95", "nsd": "NSD", "missed": "Missed"}
"""What readers of the table may define in another way, by its name among the summary's definitions."""


def scores_table(summary: dict[str, Any]) -> str:
    """A Markdown table of an evaluation's ``summary.json``: mean ± sd and the 95 % interval of the mean, per organ."""
    columns = _columns(summary)
    header = ["organ", *(title for title, _ in columns.values()), "cases", "missed", "false positive"]
    rows = list(summary["organs"].items())
    if len(rows) > 1:
        rows.append(("**mean of organs**", summary["overall"]))
    lines = [_row(header), _row(["---"] * len(header))]
    for name, scores in rows:
        cells = [_spread(scores[metric], digits) for metric, (_, digits) in columns.items()]
        counts = [str(scores["n"]), str(scores["n_missed"]), str(scores["n_false_positive"])]
        lines.append(_row([name.replace("_", " "), *cells, *counts]))
    return "\n".join(lines) + "\n"


def explanation(summary: dict[str, Any], file: str) -> str:
    """What stands below the table: what its cells hold, by which definitions, and where the single cases are.

    Args:
        summary: an evaluation's ``summary.json``.
        file: that file's path relative to the card; ``metrics.csv`` lies beside it.
    """
    cases = (Path(file).parent / "metrics.csv").as_posix()
    lines = [
        f"Mean ± standard deviation over {summary['cases']} cases [95 % bootstrap interval of the mean]; "
        f"[case by case]({cases}), [all definitions]({file}).",
        "",
        *(f"- {title}: {summary['definitions'][name]}." for name, title in _explained(summary).items()),
    ]
    return "\n".join(lines) + "\n"


def fill_scores(card: Path) -> str:
    """The text of a model card with every table between its score markers made anew, explained, and the weights' hash.

    Args:
        card: Markdown with ``<!-- scores: FILE -->`` … ``<!-- end of scores -->``; FILE is relative to the card.

    Raises:
        UsageError: the card or a summary is missing.
    """
    if not card.is_file():
        raise UsageError(f"{card} is missing; every bundle needs a model card")

    weights = large_files(card.parent.parent)
    hash_line = f"SHA-256 of `{WEIGHTS}`: `{weights['large_files'][0]['hash_val']}`\n" if weights else ""

    def fill(match: re.Match[str]) -> str:
        summary = _read_summary(card.parent / match["file"])
        blocks = [scores_table(summary), explanation(summary, match["file"]), hash_line] if summary else [NO_SCORES]
        return match["open"] + "\n".join(filter(None, blocks)) + match["close"]

    return SCORES.sub(fill, card.read_text(encoding="utf-8"))


def eval_metrics(folder: Path) -> dict[str, float]:
    """``eval_metrics`` of a bundle's metadata: Dice and HD95 (images: IoU); empty before evaluation."""
    summary = _read_summary(folder / SUMMARY)
    if not summary:
        return {}
    return {
        f"{metric}_{name}": round(scores[metric]["mean"], 4)
        for name, scores in [("mean", summary["overall"]), *summary["organs"].items()]
        for metric in list(_columns(summary))[:2]
        if scores[metric]["mean"] is not None
    }


def large_files(folder: Path) -> dict[str, Any] | None:
    """What ``large_files.yml`` says of a bundle's weights, or None where the bundle has none."""
    if not (folder / WEIGHTS).is_file():
        return None
    digest = file_sha256(folder / WEIGHTS)
    return {"large_files": [{"path": WEIGHTS.as_posix(), "hash_val": digest, "hash_type": "sha256"}]}


def _read_summary(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _columns(summary: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Metrics worth stating, the most informative first, with their titles and digits; an image has no millimetres."""
    return COLUMNS if "hd95_mm" in summary["overall"] else IMAGE_COLUMNS


def _explained(summary: dict[str, Any]) -> dict[str, str]:
    return {name: title for name, title in EXPLAINED.items() if name in summary.get("definitions", {})}


def _spread(statistics: dict[str, Any], digits: int) -> str:
    """A cell breaks between the mean and its interval, and nowhere else."""
    if statistics["mean"] is None:
        return "undefined"
    text = f"{statistics['mean']:.{digits}f}"
    if statistics["sd"] is not None:
        low, high = statistics["ci95"]
        text += f"{NO_BREAK}±{NO_BREAK}{statistics['sd']:.{digits}f} [{low:.{digits}f},{NO_BREAK}{high:.{digits}f}]"
    return text


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
