# SPDX-License-Identifier: Apache-2.0
"""A bundle's network in a file of its own, for images of any number and size."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from pranet_monai.apps.bundle_weights import bundle_network
from pranet_monai.bundle_store import WEIGHTS, find_bundle
from pranet_monai.engines.weights import find_weights, load_weights
from pranet_monai.errors import UsageError
from pranet_monai.networks.nets import WithOpinions
from pranet_monai.runtimes.base import in_eval
from pranet_monai.runtimes.samples import check_answer
from pranet_monai.runtimes.table import format_named

__all__ = ["export_bundle", "run"]


def export_bundle(bundle: str | Path, file_format: str, output: str | Path | None = None) -> Path:
    """Writes a bundle's network, with its weights, and holds the file against the network at three sizes.

    The file takes images ``(B, C, H, W)`` float32, as the bundle's preprocessing leaves them, with sides that are
    multiples of the network's divisor, and gives logits first; behind them come maps by which their quality is judged.

    Args:
        bundle: name, folder or packed zip, see :func:`~pranet_monai.bundle_store.find_bundle`.
        file_format: ``"torchscript"``, ``"onnx"``, ``"openvino"`` or ``"tensorrt"``.
        output: the file; default: the bundle's short name, in the working folder.

    Returns:
        The file written.

    Raises:
        UsageError: there is no such bundle, format or weights, what writes the format isn't installed, the file's
            ending is another, or its answer isn't the network's.
    """
    runtime = format_named(file_format)
    runtime.check()
    found = find_bundle(bundle)
    target = Path(output or f"{found.short_name}{runtime.ending}").expanduser()
    if target.suffix.lower() != runtime.ending:
        raise UsageError(f"--output {target}: allowed for {file_format}: a name that ends in {runtime.ending}")
    own, _ = bundle_network(found.folder)
    load_weights(own, find_weights(found.folder / WEIGHTS, found.metadata.get("official_checkpoint")))
    network = WithOpinions(own)
    device = torch.device("cpu" if runtime.can("fp32", torch.device("cpu")) else "cuda")
    target.parent.mkdir(parents=True, exist_ok=True)
    with in_eval(network.to(device)), TemporaryDirectory(dir=target.parent, prefix=".partial.") as folder:
        draft = Path(folder) / target.name
        runtime.export(network, draft)
        check_answer(runtime.load(draft, network, "fp32", device), network, "fp32", str(target))
        for path in sorted(Path(folder).iterdir()):  # the .bin of an .xml first
            path.replace(target.with_name(path.name))
    return target


def run(args: argparse.Namespace) -> int:
    """Exports, and says how to use the file."""
    target = export_bundle(args.bundle, args.format, args.output)
    size = sum(path.stat().st_size for path in {target, target.with_suffix(".bin")} if path.is_file())
    print(f"{target} ({size / 2**20:.1f} MiB): same output as the network, tested at three sizes")
    print(f"Use: pranet-monai segment INPUT OUTPUT --bundle {args.bundle} --runtime {target}")
    return 0
