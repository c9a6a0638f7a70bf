# SPDX-License-Identifier: Apache-2.0
"""A folder of volumes or images through a bundle: masks, tables and a page."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pranet_monai.apps.bundle_worker import RayCluster, on_ray
from pranet_monai.apps.overrides import parsed
from pranet_monai.apps.workflow import as_path, device_of, is_distributed, mirrored, run_workflow, runtime_options
from pranet_monai.bundle_store import all_bundles, find_bundle
from pranet_monai.errors import UsageError
from pranet_monai.forms.run_folder import OutputFormat
from pranet_monai.forms.shard import Shard

__all__ = ["run", "segment"]


def segment(
    source: str | Path,
    output: str | Path,
    bundle: str | Path,
    *,
    device: str | None = None,
    resume: bool = False,
    quiet: bool = False,
    labels: str | Path | None = None,
    evaluate: bool = False,
    tta: bool = False,
    runtime: str | Path | None = None,
    precision: str | None = None,
    save_probabilities: bool = False,
    quality_map: bool = False,
    output_format: OutputFormat | None = None,
    shard: str | None = None,
    cluster: RayCluster | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> int:
    """Segments whatever is in a folder, to the voxel as ``monai.bundle run`` does with the bundle's config.

    Args:
        source: the folder, sub-folders included, or one file.
        output: folder for the masks and the report.
        bundle: name, folder or packed zip, see :func:`~pranet_monai.bundle_store.find_bundle`.
        device: see ``torch.device``; default: the GPU where there is one.
        resume: keep what an earlier run has finished.
        quiet: no progress bar.
        labels: folder of the reference masks, or "none"; default: they are looked for beside the images.
        evaluate: a case without a reference counts as failed.
        tta: average over mirrored passes.
        runtime: what runs the network: "auto", a name of :data:`~pranet_monai.runtimes.RUNTIMES`, or a file of
            ``pranet-monai export``; default: the config's, PyTorch.
        precision: "fp32" or "bf16"; default: the config's, fp32.
        save_probabilities: write them as well, floats on the image's grid.
        quality_map: write how sure the network is of each voxel, 0 to 1, on the image's grid.
        output_format: "nifti", "dicom_seg" or "both"; default: the bundle's, which is "both" where the input is DICOM.
        shard: do a share of the cases, "3/8" or "slurm"; see :class:`~pranet_monai.forms.shard.Shard`.
        cluster: whose workers do the cases; default: this process.
        overrides: further changes of the config, ``id#part`` → value.

    Returns:
        0 all good, 1 some cases failed, 2 wrong use, named on stderr.

    Raises:
        UsageError: there is no such bundle or device, or an override isn't in the config.
    """
    options: dict[str, Any] = {"dataset_dir": as_path(source), "output_dir": as_path(output), **device_of(device)}
    wanted = {"resume": resume, "quiet": quiet, "save_probabilities": save_probabilities, "quality_map": quality_map}
    options |= {name: True for name, is_wanted in wanted.items() if is_wanted}
    options |= _references(labels, evaluate) | runtime_options(runtime, precision)
    texts = {"output_format": output_format, "shard": shard if shard is None else str(Shard.parse(shard))}
    options |= {name: text for name, text in texts.items() if text is not None}
    found = find_bundle(bundle)
    options |= mirrored(found) if tta else {}
    configs = ["inference", *_overlays(evaluate)]
    if cluster:
        options |= on_ray(found, configs, {**options, **(overrides or {})}, cluster)
    return run_workflow(found, configs, "inference", options, overrides or {})


def run(args: argparse.Namespace) -> int:
    """Segments; the bundle's report says what became of each case."""
    if args.bundle is None:
        known = [bundle for bundle in all_bundles() if bundle.weights]
        listed = "; ".join(f"{bundle.short_name}: {', '.join(bundle.metadata.get('organs', []))}" for bundle in known)
        raise UsageError(
            f"found no --bundle, and an image doesn't say what to look for in it; fix: --bundle NAME; with weights "
            f"are {listed or 'none (pranet-monai install ZIP)'}; all: pranet-monai info bundles"
        )
    return segment(
        args.input, args.output, args.bundle, device=args.device, resume=args.resume, quiet=args.quiet,
        labels=args.labels, evaluate=args.evaluate, tta=args.tta, runtime=args.runtime, precision=args.precision,
        save_probabilities=args.save_probabilities, quality_map=args.quality_map, output_format=args.output_format,
        shard=args.shard, cluster=_cluster(args), overrides=parsed(args.overrides),
    )  # fmt: skip


def _overlays(evaluate: bool) -> list[str]:
    """Names of the configs that are laid over the one for inference."""
    return ["evaluate"] * evaluate + ["multi_gpu_evaluate"] * is_distributed()


def _references(labels: str | Path | None, evaluate: bool) -> dict[str, str]:
    """The option that says where the reference masks are; none looks for them beside the images."""
    if labels is None:
        return {}
    if str(labels) != "none":
        return {"cases#label_dir": as_path(labels)}
    if evaluate:
        raise UsageError("--evaluate with --labels none: found nothing to compare with; fix: leave out one of the two")
    return {"cases#labels": "none"}


def _cluster(args: argparse.Namespace) -> RayCluster | None:
    if args.engine == "ray":
        return RayCluster(args.workers, args.address)
    if args.workers is not None or args.address is not None:
        raise UsageError("--workers, --address: have no effect with --engine local; fix: --engine ray")
    return None
