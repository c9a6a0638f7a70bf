# SPDX-License-Identifier: Apache-2.0
"""One training of a bundle, the parts of its split, and how weights are judged on one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser
from pranet_monai.apps.workflow import as_path, is_distributed, run_workflow
from pranet_monai.bundle_store import Bundle
from pranet_monai.bundle_store.bundle import SUMMARY
from pranet_monai.data.cases import cases_to_train
from pranet_monai.data.labels import LabelMap
from pranet_monai.data.splits import cases_of_split
from pranet_monai.errors import UsageError

__all__ = ["Parts", "Training", "parts_of"]


@dataclass(frozen=True)
class Parts:
    """Who trains and who validates: ids of ``train.json``, with what was changed on the command line.

    Attributes:
        split: of the patients.
        train_part: parts of the split that are trained on.
        val_part: parts that validate; none where the training has no validation.
    """

    split: str
    train_part: list[str]
    val_part: list[str]


def parts_of(bundle: Bundle, overrides: Mapping[str, Any]) -> Parts:
    """As a training of the bundle will have them."""
    config = ConfigParser()
    config.read_config(bundle.config("train"))
    config["bundle_root"] = str(bundle.folder)
    split, *parts = (overrides.get(id, config.get_parsed_content(id)) for id in ("split", "train_part", "val_part"))
    return Parts(split, *([part] if isinstance(part, str) else list(part) for part in parts))


@dataclass(frozen=True)
class Training:
    """A training.

    Attributes:
        bundle: whose.
        data: folder of images with the reference masks.
        output: folder for the state, the last weights and the curve.
        resume: go on after an interruption.
        device: the option that names one, or none.
    """

    bundle: Bundle
    data: Path
    output: Path
    resume: bool
    device: Mapping[str, Any]

    def run(self, overrides: Mapping[str, Any], tracking: str | None = None) -> int:
        """Trains; returns the exit code."""
        options = {"dataset_dir": as_path(self.data), "output_dir": as_path(self.output), **self.device}
        options |= {"resume": True} if self.resume else {}
        configs = ["train", *(["multi_gpu_train"] if is_distributed() else [])]
        return run_workflow(self.bundle, configs, "training", options, overrides, tracking)

    def cases(self, split: str, part: str | Sequence[str]) -> list[Mapping[str, Any]]:
        """The cases of a part of a split, as ``cases_to_train`` lists them."""
        stated = ConfigParser.load_config_file(str(self.bundle.config("train")))["cases"]
        return cases_of_split(cases_to_train(self.data, stated["kind"], stated["data_set"]), split, part)

    def classes(self) -> dict[int, str]:
        """Class number → name, without the background."""
        config = ConfigParser(ConfigParser.load_config_file(str(self.bundle.config("train"))))
        label_map: LabelMap = config.get_parsed_content("label_map")
        return label_map.foreground

    def judge(
        self, weights: Path, split: str, part: str | Sequence[str], overrides: Mapping[str, Any]
    ) -> tuple[Path, int]:
        """Segments the cases of a part and measures them, into ``validation`` of the output.

        With ``resume``, masks of these very weights are kept.

        Returns:
            The folder of the report, which holds scores, and 0, or 1 where a case couldn't be judged.

        Raises:
            SystemExit: it was stopped, or wrong use that it has named.
            UsageError: no case could be judged.
        """
        options = {"dataset_dir": as_path(self.data), "output_dir": as_path(self.output / "validation"), **self.device}
        options |= {"checkpointloader#load_path": as_path(weights)}
        options |= {"cases#only": [case["case"] for case in self.cases(split, part)], "cases#series_names": "folder"}
        options |= {"resume": True} if self.resume else {}
        code = run_workflow(self.bundle, ["inference", "evaluate"], "inference", options, overrides)
        if code not in (0, 1):
            raise SystemExit(code)
        report = self.output / "validation" / "report"
        if not (report / SUMMARY.name).is_file():
            raise UsageError(
                f"{report}: found no scores, as no case could be judged; fix: mend what {report / 'cases.csv'} says, "
                "and run the same command with --resume"
            )
        return report, code
