# SPDX-License-Identifier: Apache-2.0
"""A bundle as a Python object: loaded once, it segments many volumes or images, to the voxel as the command does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import Compose, SaveImaged
from monai.utils import CommonKeys
from pranet_monai.apps.overrides import check_ids
from pranet_monai.apps.workflow import device_of, mirrored, runtime_options
from pranet_monai.bundle_store import find_bundle
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import LabelMap
from pranet_monai.engines.case_dataset import CASE
from pranet_monai.engines.case_runner import EVIDENCE, CaseRunner
from pranet_monai.errors import UsageError, unwrapped
from pranet_monai.forms import FORMS, Form, form_of
from pranet_monai.forms.base import DicomPaths
from pranet_monai.forms.grid import original_affine
from pranet_monai.forms.memory import image_in_memory, volume_in_memory
from pranet_monai.forms.provenance import Algorithm, Provenance
from pranet_monai.forms.run_folder import RunFolder
from pranet_monai.forms.volume_form import mask_on_file_grid
from pranet_monai.quality import Evidence, Judgement, QualityJudge
from pranet_monai.reports.kinds import create_kind
from pranet_monai.storage.hashing import file_sha256
from pranet_monai.transforms.load import LoadCased

__all__ = ["Segmentation", "Segmenter"]

# kind → the form whose files a mask is saved as
_SAVED_AS = {"volume": FORMS["volume_file"], "image": FORMS["rgb_image"]}


@dataclass(frozen=True)
class Segmentation:
    """A mask on the grid of what was segmented.

    Attributes:
        tensor: class numbers, uint8, as MONAI has them: (1 or frames, H, W, D), or (1, H, W) of an image.
        label_map: the classes.
        kind: "volume" or "image".
        made_by: hashes of the input and the weights, which a saved mask holds.
        algorithm: name and version of the bundle, which a DICOM segmentation holds.
        item: the case that it was made of.
        evidence: what the mask's quality can be told from, where it was gathered.
        judgements: for each frame the Dice to be expected of each organ, and whether to look at the mask first; empty
            where the bundle has no calibration of its weights.
    """

    tensor: MetaTensor
    label_map: LabelMap
    kind: str
    made_by: Provenance
    algorithm: Algorithm = Algorithm()
    item: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None
    judgements: tuple[Judgement, ...] = ()

    @property
    def mask(self) -> np.ndarray:
        """Class numbers, uint8, as the input's file has its voxels: (H, W), (H, W, D) or (H, W, D, T)."""
        array = self.tensor.numpy(force=True)[0] if self.kind == "image" else mask_on_file_grid(self.tensor)
        return array.astype(np.uint8, copy=False)

    @property
    def labels(self) -> dict[int, str]:
        """Class number → name, without the background."""
        return self.label_map.foreground

    @property
    def affine(self) -> np.ndarray | None:
        """Voxel to RAS mm, 4 x 4, of the input; None for an image."""
        return None if self.kind == "image" else original_affine(self.tensor)

    def save(self, path: str | Path) -> Path:
        """Writes the file that ``pranet-monai segment`` would, with names and colours of the classes, completely or
        not at all.

        Args:
            path: ends in ``.nii.gz`` or ``.nii``, of an image's mask in ``.png``; its folder is made if need be. Of
                DICOM input also in ``.dcm``: a DICOM segmentation, with a report of the volumes beside it as
                ``…_report.dcm``; of a cine one of each per frame, ``…_frame01.dcm``.

        Returns:
            The file; of a cine in DICOM that of its first frame.

        Raises:
            UsageError: it ends otherwise.
        """
        target = Path(path).expanduser()
        form = form_of(self.item) if self.item else _SAVED_AS[self.kind]
        endings = (".png",) if self.kind == "image" else (".nii.gz", ".nii", *((".dcm",) if form.writes_dicom else ()))
        if not target.name.lower().endswith(endings):
            raise UsageError(f"{target}: found another kind of file; allowed for this mask: {', '.join(endings)}")
        if target.suffix.lower() == ".dcm":
            return self._save_dicom(target, form)
        _SAVED_AS[self.kind].write_mask(target, self.tensor, self.label_map, self.made_by)
        return target

    def _save_dicom(self, target: Path, form: Form) -> Path:
        names = RunFolder(target.parent).row_names({"case": target.stem}, self.tensor)
        paths = [
            DicomPaths(target.with_name(f"{name}.dcm"), target.with_name(f"{name.removesuffix('_seg')}_report.dcm"))
            for name in names
        ]
        form.write_dicom(self.item, paths, self.tensor, self.label_map, self.made_by, self.algorithm)
        for pair, judgement in zip(paths, self.judgements):  # none without a calibration
            form.note_quality(pair, judgement.expected_dice)
        return paths[0].segmentation


class Segmenter:
    """Loads a bundle once and segments whatever it is called with.

    Args:
        bundle: name, folder or packed zip, see :func:`~pranet_monai.bundle_store.find_bundle`.
        device: see ``torch.device``; default: the GPU where there is one.
        tta: average over mirrored passes.
        runtime: what runs the network: "auto", a name of :data:`~pranet_monai.runtimes.RUNTIMES`, or a file of
            ``pranet-monai export``; default: the config's, PyTorch.
        precision: "fp32" or "bf16"; default: the config's, fp32.
        overrides: further changes of the bundle's ``inference.json``, ``id#part`` → value.

    Raises:
        UsageError: there is no such bundle or device, it has no weights, or an override isn't in its config.

    Attributes:
        labels: class number → name, without the background.
        kind: of what it segments, "volume" or "image".
        label_map: the classes.
        data_set: whose layouts of files it knows; None for none.
        passes: how many it averages, mirrored ones and those of several views.
    """

    def __init__(
        self,
        bundle: str | Path,
        device: str | None = None,
        *,
        tta: bool = False,
        runtime: str | Path | None = None,
        precision: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        found = find_bundle(bundle)
        self._algorithm = Algorithm(found.name, str(found.metadata.get("version", "")))
        options: dict[str, Any] = {"bundle_root": str(found.folder), **device_of(device)}
        options |= runtime_options(runtime, precision)
        options |= mirrored(found) if tta else {}
        changes = dict(overrides or {})
        check_ids({id: id for id in changes}, [found.config("inference")], "overrides: ")
        parser = ConfigParser()
        parser.read_config(found.config("inference"))
        parser.update({**options, **changes})
        with unwrapped():
            self._load(parser)

    def _load(self, config: ConfigParser) -> None:
        """Makes the parts of the config that a case goes through, and loads the weights."""
        get = config.get_parsed_content
        self.label_map: LabelMap = get("label_map")
        self.labels = self.label_map.foreground
        self.kind: str = get("cases#kind")
        self.data_set: str | None = get("cases#data_set")
        get("checkpointloader")()
        self._weights_sha256 = file_sha256(get("checkpointloader#load_path"))
        self._preprocessing: Compose = get("preprocessing")
        # as MONAI Label does: whoever called gets the mask, and saves it or doesn't
        steps = [step for step in get("postprocessing").transforms if not isinstance(step, SaveImaged)]
        self._quality: QualityJudge | None = get("quality") if "quality" in config else None
        parts = get("network"), None, get("inferer"), Compose(steps), get("device")
        self.passes = int(getattr(get("inferer"), "passes", 1))
        self._runner = CaseRunner(*parts, self._quality)

    def __call__(
        self,
        source: str | Path | Mapping[str, Any] | np.ndarray | torch.Tensor,
        affine: np.ndarray | torch.Tensor | None = None,
    ) -> Segmentation:
        """Segments one case.

        Args:
            source: a file of any form that ``pranet-monai segment`` reads, of DICOM a folder or a zip with one series,
                too; or an item of ``find_cases``. Or an array as its file would hold it, (H, W), (H, W, D) or
                (H, W, D, T), an image (H, W, 3) in 0 to 255; or a MetaTensor as MONAI's transforms have it,
                (C, H, W, D) or (3, H, W).
            affine: of an array, voxel to RAS mm, 4 x 4; a MetaTensor has its own, an image none.

        Returns:
            The mask on the grid of the source.

        Raises:
            BadCaseError: when the case can't be read whole, or holds what no case may.
            UsageError: when a file isn't there, or a folder holds several cases.
        """
        with unwrapped():
            item: Mapping[str, Any]
            if isinstance(source, (str, Path, Mapping)):
                item = source if isinstance(source, Mapping) else self._item(source)
                fingerprint = form_of(item).fingerprint(item)
                loaded = self._preprocessing(item)
            else:
                item = self._in_memory(source, affine)
                fingerprint = sha256(item[CommonKeys.IMAGE].numpy(force=True).tobytes()).hexdigest()
                loaded = self._preprocessing(item, start=1)  # the first step is the loader
            done = self._runner.segment(loaded)
        made_by, evidence = Provenance(fingerprint, self._weights_sha256), done.get(EVIDENCE)
        from_file = item if isinstance(source, (str, Path, Mapping)) else {}
        tensor, algorithm = done[CommonKeys.PRED], self._algorithm
        result = Segmentation(tensor, self.label_map, self.kind, made_by, algorithm, from_file, evidence)
        return replace(result, judgements=self._judgements(result))

    def _judgements(self, result: Segmentation) -> tuple[Judgement, ...]:
        if self._quality is None or not self._quality.is_on or result.evidence is None:
            return ()
        masks = result.tensor.numpy(force=True)
        rows = [create_kind(self.kind).measure(mask, None, result.affine, self.label_map) for mask in masks]
        return tuple(
            self._quality.judge(result.evidence, frame, organs, masks[frame].size) for frame, organs in enumerate(rows)
        )

    def _item(self, path: str | Path) -> dict[str, Any]:
        cases = find_cases(path, kind=self.kind, data_set=self.data_set)  # type: ignore[arg-type]
        if len(cases) != 1 or "error" in cases[0]:
            raise UsageError(
                f"{path}: found {len(cases)} cases; allowed: one; fix: name a file, or use pranet-monai segment"
            )
        return cases[0]

    def _in_memory(self, source: Any, affine: Any) -> dict[str, Any]:
        first = self._preprocessing.transforms[0]
        if not isinstance(first, LoadCased):
            raise UsageError(
                f"this bundle's preprocessing begins with {type(first).__name__}: give a file, not an array"
            )
        image = volume_in_memory(source, affine) if self.kind == "volume" else image_in_memory(source)
        return {CASE: str(image.meta["filename_or_obj"]), "form": _SAVED_AS[self.kind].name, CommonKeys.IMAGE: image}
