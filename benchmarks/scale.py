# SPDX-License-Identifier: Apache-2.0
"""What a case costs at scale: its stages, the engine around it, and from both the machines for a million of them.

python benchmarks/scale.py stages --bundle synapse_lite --volume ct.nii.gz
python benchmarks/scale.py engine --cases 100000 [--ray 2]
python benchmarks/scale.py plan --seconds 30 --cores 1000 --price 0.05

Seconds are of the processor, on one thread, so that what else the machine does matters little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pranet_monai.apps.bundle_worker import BundleWorker
from pranet_monai.bundle_store import find_bundle
from pranet_monai.data.cases import find_cases
from pranet_monai.engines.case_evaluator import CaseEvaluator
from pranet_monai.engines.handlers import ReportHandler
from pranet_monai.engines.ray_schedule import RaySchedule
from pranet_monai.forms.shard import Shard
from pranet_monai.reports import CaseResult, MeasuredRow, RunReport

ORGANS = ("right_ventricle", "myocardium", "left_ventricle")


def stub(case: Mapping[str, Any]) -> CaseResult:
    """What a case gives, without doing it."""
    organs = [{"organ": organ, "voxels": 9, "volume_ml": 0.1, "touches_border": False} for organ in ORGANS]
    return CaseResult(case["case"], "ok", seconds=1.0, rows=[MeasuredRow(case["case"], organs)])


def make_stub() -> Callable[[Mapping[str, Any]], CaseResult]:
    return stub


class StubLoader:
    """Cases that are done as they are asked for."""

    def __init__(self, cases: list[dict[str, str]]) -> None:
        self.cases = cases

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Any:
        return map(stub, self.cases)


def timed(name: str, do: Callable[[], Any], count: int = 1) -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    result = do()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    each = (
        f"; {cpu / count * 1e3:.3f} ms of the processor a case, {wall / count * 1e3:.3f} ms in all" if count > 1 else ""
    )
    print(f"{name:<42} {cpu:9.2f} s of the processor, {wall:9.2f} s in all{each}", flush=True)
    return result


def stages(args: argparse.Namespace) -> None:
    """Each stage of one case, in this process."""
    torch.set_num_threads(1)
    bundle = find_bundle(args.bundle)
    with tempfile.TemporaryDirectory() as out:
        settings = {"bundle_root": str(bundle.folder), "output_dir": out, "device": "cpu"}
        worker = timed("start: imports apart, network and weights", lambda: BundleWorker(
            [str(bundle.config("inference"))], json.dumps(settings), os.getcwd()))  # fmt: skip
        case = find_cases(args.volume)[0]
        runner, worker._dataset.data = worker._runner, [case]
        worker._dataset.output_dir = out
        item = timed("read and prepare", lambda: worker._dataset[0])
        print(f"  volume {tuple(item['image'].shape)}")
        image = item["image"][None]
        timed("network", lambda: runner.inferer(image, runner.network.eval()))
        prediction = runner.inferer(image, runner.network)[0]
        done = timed(
            "back to the image's grid, pieces, save", lambda: runner.postprocessing({**item, "pred": prediction})
        )
        runner.measurer.previews = False
        timed("measure", lambda: runner._measured(item, done))
        runner.measurer.previews = True
        timed("measure and draw", lambda: runner._measured(item, done))


def engine(args: argparse.Namespace) -> None:
    """The loop, the tables and the end around cases that cost nothing."""
    cases = [{"case": f"site/case{number:06d}"} for number in range(args.cases)]
    with tempfile.TemporaryDirectory() as folder:
        report = RunReport(folder, "acdc", previews=False)
        loader = RaySchedule(cases, partial(make_stub), args.ray) if args.ray else StubLoader(cases)
        handlers = [ReportHandler(report)]
        loop = CaseEvaluator("cpu", loader, torch.nn.Identity(), val_handlers=handlers, measurer=report.measurer)
        timed(f"{'Ray' if args.ray else 'one process'}: {args.cases} cases", loop.run, args.cases)
        timed("the end: page, run.json", report.finish)
    if args.ray:
        return
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.shards):
            shard = Shard(number + 1, args.shards)
            report = RunReport(folder, "acdc", previews=False, shard=shard)
            for case in shard.deal(cases):
                report.add(stub(case))
            report.finish()
        merged = timed(f"merging {args.shards} shards", lambda: RunReport.of_shards(folder))
        timed("the end: page, run.json", merged.finish)


def plan(args: argparse.Namespace) -> None:
    """Hours and cost of many cases."""
    busy = args.seconds * args.cases / 3600
    print(f"{args.cases:,} cases of {args.seconds:g} s: {busy:,.0f} hours of one worker")
    hours = busy / args.cores / args.efficiency
    print(
        f"{args.cores} workers, {args.efficiency:.0%} of the time at work: {hours:,.1f} hours ({hours / 24:.1f} days)"
    )
    print(f"at {args.price:g} per hour of a worker: {hours * args.cores * args.price:,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("stages")
    one.add_argument("--bundle", default="synapse_lite")
    one.add_argument("--volume", type=Path, required=True)
    many = commands.add_parser("engine")
    many.add_argument("--cases", type=int, default=100_000)
    many.add_argument("--shards", type=int, default=100)
    many.add_argument("--ray", type=int, metavar="WORKERS", help="on Ray instead of in one process")
    million = commands.add_parser("plan")
    million.add_argument("--cases", type=int, default=1_000_000)
    million.add_argument("--seconds", type=float, required=True, help="that a worker takes for a case")
    million.add_argument("--cores", type=int, default=1000, help="workers")
    million.add_argument("--price", type=float, default=0.05, help="of a worker for an hour, in any currency")
    million.add_argument("--efficiency", type=float, default=0.9, help="share of the time that workers work")
    args = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}"
    )
    {"stages": stages, "engine": engine, "plan": plan}[args.command](args)


if __name__ == "__main__":
    main()
