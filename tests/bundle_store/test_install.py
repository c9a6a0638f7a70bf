# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
from pranet_monai.__main__ import main
from pranet_monai.apps.pack import pack_bundle
from pranet_monai.bundle_store import find_bundle, install_bundle
from pranet_monai.errors import UsageError

from .conftest import MakeBundle


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Path:
    return make_bundle("made", "heart_segmentation", short_name="heart")


@pytest.fixture
def packed(bundle: Path, machine: Path) -> Path:
    return pack_bundle(bundle, machine)


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_what_is_installed_is_the_bundle_without_the_code(bundle: Path, packed: Path, form: str) -> None:
    expected = files_in(bundle)
    for left_over in ("eval/a_seg.nii.gz", "runs/model_last.pt", "configs/__pycache__/x.pyc", "bundle.yaml"):
        (bundle / left_over).parent.mkdir(parents=True, exist_ok=True)
        (bundle / left_over).write_text("left over")
    installed = install_bundle(packed if form == "zip" else bundle)
    assert files_in(installed.folder) == expected
    assert oct(installed.folder.stat().st_mode & 0o700) == oct(0o700)
    assert [path.name for path in installed.folder.parent.iterdir()] == ["heart_segmentation"]


def test_command_says_what_to_type(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", str(packed)]) == 0
    said = capsys.readouterr().out
    assert "own copy of the code was left out" in said
    assert "pranet-monai segment INPUT OUTPUT --bundle heart" in said


def test_command_says_that_another_is_found_first(
    packed: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRANET_MONAI_BUNDLES", str(bundle.parent))
    assert main(["install", str(packed)]) == 0
    assert f"--bundle heart still means {bundle}, which is found first" in capsys.readouterr().out


def test_already_there_needs_force(packed: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed = install_bundle(packed)
    (installed.folder / "mine.txt").write_text("kept")
    assert main(["install", str(packed)]) == 2
    assert "found this bundle there already; fix: --force" in capsys.readouterr().err
    assert (installed.folder / "mine.txt").is_file()
    assert main(["install", str(packed), "--force"]) == 0
    assert files_in(installed.folder) == files_in(bundle)


def repack(packed: Path, target: Path, **changes: bytes | None) -> Path:
    """The zip with entries (named below the bundle's folder) changed, added or left out."""
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if name not in changes:
                new.writestr(name, old.read(name))
        for name, content in changes.items():
            if content is not None:
                new.writestr(name, content)
    return target


TOP = "heart_segmentation"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({f"{TOP}/../../evil.txt": b"x"}, "evil.txt', which could lead out of the bundle's folder"),
        ({f"{TOP}/configs/..\\..\\evil.txt": b"x"}, "could lead out"),
        ({f"{TOP}/C:evil.txt": b"x"}, "could lead out"),
        ({"/etc/evil.txt": b"x"}, "is not a packed bundle: found , heart_segmentation in it"),
        ({"evil.txt": b"x"}, "is not a packed bundle: found evil.txt, heart_segmentation in it"),
        ({f"{TOP}/configs/inference.json": None}, "is not a packed bundle: found heart_segmentation in it; allowed"),
        ({f"{TOP}/models/model.pt": b"other"}, "model.pt: found SHA-256 .*; allowed: .*large_files.yml"),
        ({f"{TOP}/configs/metadata.json": b'{"bundle_format": 99}'}, "bundle_format 99, made for a newer"),
    ],
)
def test_a_bad_zip_installs_nothing(packed: Path, machine: Path, changes: dict, message: str) -> None:
    bad = repack(packed, machine / "bad.zip", **changes)
    before = files_in(machine)
    with pytest.raises(UsageError, match=message) as caught:
        install_bundle(bad)
    assert ".partial" not in str(caught.value)
    with pytest.raises(UsageError, match=message):
        find_bundle(bad)
    assert files_in(machine) == before


def test_a_link_in_a_zip_is_refused(packed: Path, machine: Path) -> None:
    bad = repack(packed, machine / "bad.zip")
    link = zipfile.ZipInfo(f"{TOP}/models/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(bad, "a") as archive:
        archive.writestr(link, "/etc")
    with pytest.raises(UsageError, match="link', a link, which could lead out"):
        install_bundle(bad)


def test_a_damaged_zip_is_named(packed: Path, machine: Path) -> None:
    whole = bytearray(packed.read_bytes())
    with zipfile.ZipFile(packed) as archive:
        start = archive.getinfo(f"{TOP}/LICENSE").header_offset
    whole[start + 30 + len(f"{TOP}/LICENSE")] ^= 0xFF  # the first byte of what is compressed
    (machine / "bad.zip").write_bytes(whole)
    with pytest.raises(UsageError, match="bad.zip: found a damaged zip"):
        install_bundle(machine / "bad.zip")
    (machine / "half.zip").write_bytes(packed.read_bytes()[:1000])
    with pytest.raises(UsageError, match="half.zip: found an incomplete or damaged zip"):
        install_bundle(machine / "half.zip")


def test_too_large_a_zip_is_refused(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pranet_monai.bundle_store.install.MOST_BYTES", 100)
    with pytest.raises(UsageError, match="bytes in it; allowed: 100"):
        install_bundle(packed)


@pytest.mark.parametrize(
    ("source", "message"),
    [("nowhere.zip", "found no such file or folder"), (".", "is not a bundle: it has no configs")],
)
def test_wrong_sources_are_named(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        install_bundle(source)


def test_a_place_that_cannot_be_written_is_named(packed: Path, machine: Path) -> None:
    (machine / "data").write_text("a file where the folder should be")
    with pytest.raises(UsageError, match="can't write there"):
        install_bundle(packed)
