# SPDX-License-Identifier: Apache-2.0
"""The packed bundle holds what it needs and nothing else; tests/bundles runs one."""

from __future__ import annotations

import configparser
import re
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version
from pranet_monai.__main__ import main
from pranet_monai.apps import pack
from pranet_monai.errors import UsageError

from tests.bundles.conftest import BUNDLES, ROOT, read_json


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny_segmentation"
    files = {
        "configs/metadata.json": '{"version": "1.2.3"}',
        "configs/inference.json": "{}",
        "bundle.yaml": "",
        "eval/a_seg.nii.gz": "",
        "LICENSE": "free",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_contents(bundle: Path, tmp_path: Path) -> None:
    target = pack.pack_bundle(bundle, tmp_path / "dist")
    assert target.name == "tiny_segmentation_v1.2.3.zip"
    with zipfile.ZipFile(target) as archive:
        names = set(archive.namelist())
        assert archive.read("tiny_segmentation/LICENSE") == b"free"
    assert {"tiny_segmentation/configs/metadata.json", "tiny_segmentation/pranet_monai/__init__.py"} <= names
    assert not [name for name in names if "eval/" in name or "bundle.yaml" in name or "__pycache__" in name]


def test_large_files_are_listed_only_where_one_is_missing(bundle: Path, tmp_path: Path) -> None:
    """The zoo downloads what is listed, and fails without an address."""
    entry = f"- path: models/model.pt\n  hash_val: {'a' * 64}\n  hash_type: sha256\n"
    (bundle / "large_files.yml").write_text(f"large_files:\n{entry}")
    listing, packed = "tiny_segmentation/large_files.yml", "tiny_segmentation/hashes.yml"
    with zipfile.ZipFile(pack.pack_bundle(bundle, tmp_path / "without")) as archive:
        assert listing in archive.namelist()
    (bundle / "models").mkdir()
    (bundle / "models" / "model.pt").write_text("tensors")
    with zipfile.ZipFile(pack.pack_bundle(bundle, tmp_path / "with")) as archive:
        assert listing not in archive.namelist() and packed in archive.namelist()


@pytest.mark.parametrize("folder", BUNDLES, ids=lambda folder: folder.name)
def test_metadata_name_every_package_that_the_code_needs(folder: Path) -> None:
    """As setup.cfg does; the model zoo installs what metadata name, and nothing else."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    ranges = dict(
        re.fullmatch(r"([\w-]+)>=(.+)", line).groups() for line in setup["options"]["install_requires"].split()
    )
    metadata = read_json(folder / "configs" / "metadata.json")
    stated = {name: metadata[f"{key}_version"] for name, key in pack.MAIN_PACKAGES.items()}
    stated |= metadata["required_packages_version"]
    assert stated.keys() == ranges.keys()
    assert all(Version(stated[name]) >= Version(lowest) for name, lowest in ranges.items())


def test_same_content_is_the_same_file(bundle: Path, tmp_path: Path) -> None:
    first = pack.pack_bundle(bundle, tmp_path / "a").read_bytes()
    (bundle / "LICENSE").write_text("free")  # a new date on the same content
    assert pack.pack_bundle(bundle, tmp_path / "b").read_bytes() == first


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ('{"version": ', "text that is not valid JSON"),
        ('["1.2.3"]', "found list; allowed: an object"),
        ("{}", "found version None; allowed: text such as 0.1.0"),
        ('{"version": 1}', "found version 1;"),
        ('{"version": ""}', "found version '';"),
        ('{"version": "../.."}', "found version '../..';"),
        ('{"version": "1/../../../x"}', "found version"),
        ('{"version": "1\\u0000"}', "found version"),
    ],
)
def test_a_version_that_is_none_is_wrong_use(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], metadata: str, found: str
) -> None:
    """A version of slashes and dots would lead out of the output folder."""
    (bundle / "configs" / "metadata.json").write_text(metadata)
    assert main(["pack", str(bundle), "--output-dir", str(tmp_path / "a" / "dist")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and found in said
    assert not list(tmp_path.rglob("*.zip"))


def test_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without configs/inference.json, which is not a bundle"):
        pack.pack_bundle(tmp_path, tmp_path)


def test_command_says_that_weights_are_missing(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", str(bundle), "--output-dir", str(bundle.parent)]) == 0
    said = capsys.readouterr().out
    assert "tiny_segmentation_v1.2.3.zip" in said
    assert "holds no weights" in said
