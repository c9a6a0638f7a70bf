# SPDX-License-Identifier: Apache-2.0
"""Runtimes: milliseconds per slice of a bundle's network in each, and the ratio to eager PyTorch in the same run.

    python benchmarks/runtimes.py --bundle acdc

All take turns on the same images, so that other work on the machine meets all of them; of each the best turn counts, in
wall time and in processor time of all threads (the steadier one on a busy machine). ``new size`` is the first pass at a
size not seen before. ``labels`` is the share of pixels whose label isn't that of eager PyTorch in fp32.
OMP_WAIT_POLICY=passive keeps waiting threads from counting as work.
"""

from __future__ import annotations

import argparse
import platform
import time
from importlib.metadata import PackageNotFoundError, version

import torch
from monai.networks.utils import eval_mode
from pranet_monai.apps.bundle_weights import bundle_network
from pranet_monai.bundle_store import find_bundle
from pranet_monai.engines.weights import load_weights
from pranet_monai.errors import UsageError
from pranet_monai.reports.run_info import environment
from pranet_monai.runtimes import PRECISIONS, RUNTIMES, Executor, Prepared
from torch import Tensor, nn
from tqdm import tqdm


def prepared_runtimes(names: list[str], network: nn.Module, device: torch.device) -> dict[str, Prepared]:
    """What runs here, by runtime and precision; what doesn't says why."""
    ready = {}
    for name in names:
        for precision in PRECISIONS:
            begin = time.perf_counter()
            try:
                ready[f"{name} {precision}"] = Executor(name, precision)(network, device)
            except UsageError as error:
                print(f"left out: {error}")
                continue
            print(f"{name} {precision}: ready after {time.perf_counter() - begin:.2f} s")
    return ready


def best_turns(ready: dict[str, Prepared], image: Tensor, turns: int) -> dict[str, tuple[float, float]]:
    """Milliseconds per slice of each one's best turn: (wall, processor)."""
    best = {name: (float("inf"), float("inf")) for name in ready}
    for _ in tqdm(range(turns), desc="turns", leave=False):
        for name, run in ready.items():
            run(image)  # brings its own weights back into the caches
            wall, processor = time.perf_counter(), time.process_time()
            run(image)
            if image.is_cuda:
                torch.cuda.synchronize()
            spent = (time.perf_counter() - wall, time.process_time() - processor)
            best[name] = tuple(min(pair) for pair in zip(best[name], (1000 * s / len(image) for s in spent)))
    return best


def labels(logits: Tensor) -> Tensor:
    return logits.argmax(1) if logits.shape[1] > 1 else logits > 0


def library_versions() -> str:
    found = {}
    for library in ("torch", "onnxruntime", "openvino", "tensorrt"):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "none"
    return ", ".join(f"{name} {number}" for name, number in found.items())


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="acdc", help="whose network (%(default)s); without weights a random one")
    parser.add_argument("--runtimes", nargs="+", default=[n for n in RUNTIMES if n != "compile"], choices=RUNTIMES)
    parser.add_argument("--size", type=int, default=224, help="of the slices, in pixels (%(default)s)")
    parser.add_argument("--batch", type=int, default=2, help="slices in a pass (%(default)s)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    bundle, device = find_bundle(arguments.bundle), torch.device(arguments.device)
    network, definition = bundle_network(bundle.folder)
    if bundle.weights:
        load_weights(network, bundle.weights)
    network.to(device, memory_format=torch.channels_last)  # as the bundles' inferer has it
    hardware = environment()["hardware"]
    print(f"{bundle.name}: {definition['_target_'].rpartition('.')[2]}, {definition.get('backbone', 'own backbones')}")
    print(f"{hardware['cpu']}, {hardware['cpus']} CPUs, {arguments.threads} threads, {hardware['gpus'] or 'no GPU'}")
    print(f"python {platform.python_version()}, {library_versions()}")
    with eval_mode(network):
        ready = prepared_runtimes(arguments.runtimes, network, device)
        image = torch.randn(arguments.batch, definition["in_channels"], arguments.size, arguments.size).to(device)
        reference = labels(network(image))
        differing = {name: (labels(run(image)) != reference).float().mean().item() for name, run in ready.items()}
        first = {}
        for name, run in ready.items():
            begin = time.perf_counter()
            run(image[..., : arguments.size // 64 * 32])
            first[name] = 1000 * (time.perf_counter() - begin)
        best = best_turns(ready, image, arguments.turns)
    eager = best["torch fp32"]
    print(f"{'runtime':16}{'wall ms':>9}{'ratio':>7}{'CPU ms':>9}{'ratio':>7}{'new size ms':>13}{'labels':>10}")
    for name, (wall, processor) in best.items():
        print(
            f"{name:16}{wall:9.1f}{eager[0] / wall:7.2f}{processor:9.1f}{eager[1] / processor:7.2f}"
            f"{first[name]:13.0f}{differing[name]:10.1e}"
        )


if __name__ == "__main__":
    main()
