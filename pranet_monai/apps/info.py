# SPDX-License-Identifier: Apache-2.0
"""What there is to choose from: the bundles of this machine, or the networks and backbones."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pranet_monai.bundle_store import Bundle, all_bundles

__all__ = ["bundles_table", "describe_bundle", "describe_bundles", "run"]

WIDTHS = {"bundle": 39, "segments": 22, "modality": 8, "Dice": 7, "weights": 17, "licence": 16}  # with gaps 119


def run(args: argparse.Namespace) -> int:
    """Prints the tables."""
    if args.topic == "bundles":
        described = describe_bundles()
        print(json.dumps(described, indent=2) if args.json else bundles_table(described))
        return 0
    from pranet_monai.apps.info_networks import describe_networks, networks_table  # builds them: loads torch

    print(json.dumps(describe_networks(), indent=2) if args.json else networks_table())
    return 0


def describe_bundles() -> list[dict[str, Any]]:
    """A row for each bundle that :func:`~pranet_monai.bundle_store.find_bundle` knows by name."""
    return [describe_bundle(bundle) for bundle in all_bundles()]


def bundles_table(described: Sequence[Mapping[str, Any]]) -> str:
    """What :func:`describe_bundles` says, as text of at most 120 columns."""
    if not described:
        return "No bundle is here. pranet-monai install ZIP installs one that pranet-monai pack has made."
    rows = [[f"{row['short_name']}\n({row['name']})", *_cells(row)] for row in described]
    lines = _lines(list(WIDTHS)) + [line for row in rows for line in _lines(row)]
    note = "Dice: mean over organs and n validation cases. Use: pranet-monai segment INPUT OUTPUT --bundle NAME"
    return "\n".join([*lines, "", note])


def describe_bundle(bundle: Bundle) -> dict[str, Any]:
    """What there is to know of a bundle before one takes it, as plain JSON values.

    ``dice`` is that of the weights on ``cases`` validation cases, mean of the organs; None where none are shipped.
    """
    metadata, weights = bundle.metadata, bundle.weights
    official = metadata.get("official_checkpoint")
    ways = [f"pranet-monai import-checkpoint {official} --bundle {bundle.short_name}"] if official else []
    ways.append(f"pranet-monai train {bundle.short_name} DATA OUTPUT")
    scores = bundle.summary if weights and bundle.summary else None
    return {
        "name": bundle.name,
        "short_name": bundle.short_name,
        "title": metadata.get("name"),
        "version": metadata.get("version"),
        "folder": str(bundle.folder),
        "place": bundle.place,
        "organs": metadata.get("organs", []),
        "modality": _input(metadata).get("modality"),
        "images": metadata.get("image_classes"),
        "weights": str(weights) if weights else None,
        "weights_mb": round(weights.stat().st_size / 1e6, 1) if weights else None,
        "get_weights": None if weights else ways,
        "official_checkpoint": official,
        "dice": round(scores["overall"]["dice"]["mean"], 4) if scores else None,
        "cases": scores["cases"] if scores else None,
        "license": metadata.get("license"),
    }


def _input(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = metadata.get("network_data_format", {}).get("inputs", {}).get("image", {})
    return found


def _cells(row: Mapping[str, Any]) -> list[str]:
    if row["weights"]:
        weights = f"here, {row['weights_mb']} MB"
    else:
        weights = f"import {row['official_checkpoint']}, or train" if row["official_checkpoint"] else "train"
    return [
        ", ".join(row["organs"]).replace("_", " "),
        row["modality"] or "-",
        f"{row['dice']:.3f} (n={row['cases']})" if row["dice"] is not None else "-",
        weights,
        row["license"] or "-",
    ]


def _lines(cells: Sequence[str]) -> list[str]:
    """One row of the table, each cell wrapped into its column."""
    columns = [
        [line for part in cell.split("\n") for line in textwrap.wrap(part, width, break_long_words=False)]
        for cell, width in zip(cells, WIDTHS.values())
    ]
    height = max(map(len, columns))
    padded = [column + [""] * (height - len(column)) for column in columns]
    return [
        "  ".join(line.ljust(width) for line, width in zip(lines, WIDTHS.values())).rstrip() for lines in zip(*padded)
    ]
