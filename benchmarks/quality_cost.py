# SPDX-License-Identifier: Apache-2.0
"""What it costs to gather the evidence for expected Dice: processor time of a pass with it, over one without.

Both run in one process in turn, on noise of a usual size, and the least time of each counts::

    python benchmarks/quality_cost.py acdc synapse_lite --rounds 5
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from pranet_monai.bundle_store import find_bundle
from pranet_monai.networks.nets import WithOpinions
from pranet_monai.quality import segment_with_evidence

SHAPES = {  # (H, W, D) and voxel size in mm
    "acdc": ((216, 256, 6), (1.5, 1.5, 8.0)),
    "chaos_mr": ((256, 256, 4), (1.4, 1.4, 7.0)),
    "hippocampus": ((36, 50, 12), (1.0, 1.0, 1.0)),
    "synapse_lite": ((512, 512, 2), (0.75, 0.75, 3.0)),
    "polyp": ((500, 570), None),
}


def main() -> None:
    """Prints a line per bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", default=list(SHAPES), help="of %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print("bundle, plain (s of processor time), with evidence, ratio")
    for name in args.bundles:
        plain, watched = measure(name, args.rounds)
        print(f"{name}, {plain:.3f}, {watched:.3f}, {watched / plain:.3f}", flush=True)


def measure(name: str, rounds: int) -> tuple[float, float]:
    """Least processor time of a pass without and with evidence."""
    config, bundle = ConfigParser(), find_bundle(name)
    config.read_config(bundle.config("inference"))
    config.update({"bundle_root": str(bundle.folder), "device": "cpu"})
    network, inferer = config.get_parsed_content("network").eval(), config.get_parsed_content("inferer")
    shape, spacing = SHAPES[name]
    image = torch.rand(1, 3 if spacing is None else 1, *shape, generator=torch.Generator().manual_seed(0))
    if spacing is not None:
        image = MetaTensor(image, affine=torch.diag(torch.tensor([*spacing, 1.0], dtype=torch.float64)))
    opinionated = WithOpinions(network)
    plain, watched = [], []
    for _ in range(rounds + 1):  # the first warms up
        plain.append(seconds(lambda: inferer(image, network)))
        watched.append(seconds(lambda: segment_with_evidence(inferer, image, opinionated)))
    return min(plain[1:]), min(watched[1:])


def seconds(work: Callable[[], object]) -> float:
    """Processor time of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
