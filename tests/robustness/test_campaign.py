# SPDX-License-Identifier: Apache-2.0
"""Every kind of input of the table, in a few runs of the real command: each is handled as the table says."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pranet_monai.storage.tables import Row, read_csv

from .document import documents
from .kind import Command, Kind
from .kinds import COMMANDS, IMAGES, VOLUMES
from .kinds.images import SIZE
from .privileges import permissions_count
from .runs import segment

SECONDS = 900  # a run that takes longer waits for something, even on a busy machine
NOTHING_RESAMPLED = ("--set", f"image_size={list(SIZE)}")  # of images, whatever the bundle squeezes them to
NAMED_BY_FOLDER = ("--set", "cases#series_names=folder")  # of DICOM series, which are told by hashes otherwise
UNWORDED = re.compile(r"^[A-Za-z.]*(Error|Exception|Warning)\b")


class StillRunning(BaseException):
    """What no case may swallow."""


class Campaign:
    """One run over kinds of input, and what came of it."""

    def __init__(self, folder: Path, kinds: list[Kind], bundle: str, *options: str) -> None:
        self.data, self.out = folder / "data", folder / "out"
        self.truths: dict[str, np.ndarray | None] = {}
        for kind in kinds:
            (self.data / kind.folder).mkdir(parents=True)
            self.truths[kind.name] = kind.make(self.data / kind.folder)
        with limited(), permissions_count():
            self.code, self.said = segment(self.data, self.out, folder / "model.pt", bundle, *options)
        assert (self.out / "report" / "run.json").is_file(), self.said
        self.rows = read_csv(self.out / "report" / "cases.csv")
        self.left_out = json.loads((self.out / "report" / "run.json").read_text())["left_out"]

    def rows_of(self, kind: Kind) -> list[Row]:
        return [row for row in self.rows if re.match(rf"{kind.folder}(/|_frame|$)", row["case"])]

    def masks_of(self, kind: Kind) -> list[Path]:
        found = [
            path for path in self.out.rglob("*") if path.is_file() and re.search(r"_seg\.(nii\.gz|png)$", path.name)
        ]
        names = {path: path.relative_to(self.out).as_posix() for path in found}
        return [path for path, name in names.items() if re.match(rf"{kind.folder}(/|_seg)", name)]

    def is_left_out(self, kind: Kind) -> bool:
        return any(path.startswith(f"{kind.folder}/") for paths in self.left_out.values() for path in paths)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Ends what waits for ever."""

    def stop(*_: Any) -> None:
        raise StillRunning(f"after {SECONDS} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def flat(groups: dict[str, list[Any]]) -> list[Any]:
    return [kind for kinds in groups.values() for kind in kinds]


def by_name(kind: Kind | Command) -> str:
    return kind.name.replace(" ", "-")


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return Campaign(tmp_path_factory.mktemp("volumes"), flat(VOLUMES), "acdc", *NAMED_BY_FOLDER)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return Campaign(tmp_path_factory.mktemp("images"), flat(IMAGES), "polyp", *NOTHING_RESAMPLED)


@pytest.mark.parametrize("kind", flat(VOLUMES), ids=by_name)
def test_volumes(kind: Kind, volumes: Campaign) -> None:
    check(kind, volumes)


@pytest.mark.parametrize("kind", flat(IMAGES), ids=by_name)
def test_images(kind: Kind, images: Campaign) -> None:
    check(kind, images)


def check(kind: Kind, run: Campaign) -> None:
    rows, masks, truth = run.rows_of(kind), run.masks_of(kind), run.truths[kind.name]
    said = [(row["case"], row["status"], row["reason"], row["remark"]) for row in rows]
    assert len(rows) == kind.handled.rows, said
    assert {row["status"] for row in rows} <= {kind.handled.status}, said
    assert run.is_left_out(kind) == (kind.handled.status == "left out")
    for row in rows:
        assert kind.handled.words in (row["reason"] or ""), said
        assert (kind.handled.remark in (row["remark"] or "")) if kind.handled.remark else not row["remark"], said
        assert not UNWORDED.match(row["reason"] or ""), said
    assert bool(masks) == kind.handled.has_mask
    for path in masks if truth is not None else []:
        assert overlap(mask_of(path), truth) >= kind.handled.overlap, "the mask is another one than the foreground"


def mask_of(path: Path) -> np.ndarray:
    if path.suffix == ".png":
        return np.asarray(Image.open(path)) > 0
    return np.asarray(nib.load(path).dataobj) == 1


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Dice; two empty ones agree."""
    assert mask.shape == truth.shape
    size = int(mask.sum()) + int(truth.sum())
    return 2 * int((mask & truth).sum()) / size if size else 1.0


@pytest.mark.parametrize("name", ["volumes", "images"])
def test_what_holds_for_the_whole_run(name: str, request: pytest.FixtureRequest) -> None:
    run: Campaign = request.getfixturevalue(name)
    assert run.code == 1
    assert "Traceback" not in run.said
    assert [path.name for path in run.out.rglob(".*")] == [".cases.json"], "half a file was left"
    assert not list(Path.cwd().glob("pwned")) + list(run.data.rglob("pwned")), "something in a file was run"
    assert (run.out / "report" / "index.html").is_file()
    known = {kind.folder for kind in flat(VOLUMES if name == "volumes" else IMAGES)}
    assert {row["case"].split("/")[0] for row in run.rows} <= known


@pytest.mark.parametrize("kind", flat(COMMANDS), ids=by_name)
def test_commands(kind: Command, tmp_path: Path) -> None:
    arguments = kind.make(tmp_path)
    with limited(), permissions_count():
        code, said = segment(*arguments, tmp_path / "model.pt")
    assert (code, kind.words in said) == (kind.code, True), said
    assert "Traceback" not in said
    if (tmp_path / "precious").exists():
        assert (tmp_path / "precious").read_text() == "keep me"


def test_the_document_is_up_to_date() -> None:
    for page, text in documents().items():
        assert page.read_text(encoding="utf-8") == text, "python -m tests.robustness.document writes it"


def test_every_kind_has_a_name_of_its_own() -> None:
    names = [kind.name for kind in flat({**VOLUMES, **IMAGES, **COMMANDS})]
    assert len(names) == len(set(names)) >= 120
