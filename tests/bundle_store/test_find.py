# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pranet_monai
import pytest
from pranet_monai.apps.pack import pack_bundle
from pranet_monai.bundle_store import all_bundles, find_bundle, install_bundle, places
from pranet_monai.bundle_store.find import bundle_names, name_to_type
from pranet_monai.errors import UsageError

from .conftest import MakeBundle


@pytest.fixture
def variable(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two folders of bundles, ``a`` and ``b``."""
    for name in "ab":
        (machine / name).mkdir(exist_ok=True)
    monkeypatch.setenv("PRANET_MONAI_BUNDLES", os.pathsep.join(str(machine / name) for name in "ab"))


def test_by_path_from_anywhere(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_bundle("somewhere", "heart_segmentation")
    assert find_bundle(folder).folder == folder
    monkeypatch.chdir(folder.parent)
    assert find_bundle("heart_segmentation").folder == folder
    assert find_bundle("heart_segmentation/").folder == folder
    monkeypatch.chdir(folder)
    assert find_bundle(".").folder == folder and find_bundle(".").name == "heart_segmentation"


def test_by_names(make_bundle: MakeBundle, variable: None) -> None:
    heart, gut = make_bundle("a", "heart_segmentation", short_name="heart"), make_bundle("b", "gut_segmentation")
    assert find_bundle("heart_segmentation").folder == find_bundle("heart").folder == heart
    assert find_bundle("gut_segmentation").folder == gut
    assert bundle_names() == ["gut_segmentation", "heart", "heart_segmentation"]


def test_a_folders_name_goes_before_a_short_name(make_bundle: MakeBundle, variable: None) -> None:
    make_bundle("a", "other_segmentation", short_name="heart")
    exact = make_bundle("b", "heart")
    assert find_bundle("heart").folder == exact


def test_first_place_wins(
    make_bundle: MakeBundle, machine: Path, variable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable before the checkout before what is installed; a short name that is shadowed isn't ambiguous."""
    monkeypatch.setattr("pranet_monai.bundle_store.places.checkout_folder", lambda: machine / "checkout")
    found = []
    for parent in ("data/pranet_monai/bundles", "checkout", "b", "a"):
        make_bundle(parent, "heart_segmentation", short_name="heart")
        found.append((find_bundle("heart").folder.parent.relative_to(machine).as_posix(), find_bundle("heart").place))
    assert found == [
        ("data/pranet_monai/bundles", "installed"),
        ("checkout", "checkout"),
        ("b", "PRANET_MONAI_BUNDLES"),
        ("a", "PRANET_MONAI_BUNDLES"),
    ]
    assert [bundle.name for bundle in all_bundles()] == ["heart_segmentation"]


def test_what_to_type_finds_the_bundle(make_bundle: MakeBundle, variable: None) -> None:
    """A message names a bundle by its short name only where that leads to this bundle."""
    heart, elsewhere = make_bundle("a", "heart_segmentation", short_name="heart"), make_bundle("my own", "gut")
    assert name_to_type(find_bundle(heart)) == "heart"
    assert name_to_type(find_bundle(elsewhere)) == f"'{elsewhere}'"
    hidden = make_bundle("far", "heart_segmentation", short_name="heart")
    assert name_to_type(find_bundle(hidden)) == str(hidden)


def test_in_the_current_folder(make_bundle: MakeBundle, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_bundle("mine", "gut_segmentation", short_name="gut")
    monkeypatch.chdir(folder.parent)
    assert find_bundle("gut").folder == folder and find_bundle("gut").place == "current folder"
    monkeypatch.chdir(machine)
    with pytest.raises(UsageError, match="found no bundle of this name"):
        find_bundle("gut")


def test_the_variable_may_name_one_bundle(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_bundle("mine", "heart_segmentation", short_name="heart")
    monkeypatch.setenv("PRANET_MONAI_BUNDLES", str(folder))
    assert find_bundle("heart").folder == folder


def test_a_folder_of_data_is_no_bundle(make_bundle: MakeBundle, variable: None) -> None:
    """``--bundle acdc`` beside a folder ``acdc`` of images means the bundle."""
    folder = make_bundle("a", "acdc_emcad_segmentation", short_name="acdc")
    Path("acdc").mkdir()
    assert find_bundle("acdc").folder == folder


def test_packed_is_unpacked_once(make_bundle: MakeBundle, machine: Path) -> None:
    packed = pack_bundle(make_bundle("made", "heart_segmentation", short_name="heart"), machine)
    bundle = find_bundle(packed)
    assert bundle.folder.is_relative_to(machine / "cache")
    assert bundle.name == "heart_segmentation" and bundle.weights
    before = bundle.folder.stat().st_ino
    assert find_bundle(packed).folder.stat().st_ino == before
    assert all_bundles() == [], "used, not installed"


def test_checkout_is_found_beside_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    folder = places.checkout_folder()
    assert folder is not None and folder.parent == Path(pranet_monai.__file__).parent.parent
    monkeypatch.setattr(pranet_monai, "__file__", str(tmp_path / "site-packages" / "pranet_monai" / "__init__.py"))
    assert places.checkout_folder() is None


def test_unknown_names_list_what_there_is(make_bundle: MakeBundle, variable: None) -> None:
    make_bundle("a", "heart_segmentation", short_name="heart")
    make_bundle("a", "gut_segmentation", short_name="gut", weights=False)
    with pytest.raises(UsageError) as caught:
        find_bundle("hart")
    message = str(caught.value)
    assert message.startswith("bundle hart: found no bundle of this name (did you mean heart")
    assert "here are heart (with weights); gut (without)" in message
    assert "pranet-monai install ZIP" in message and "\n" not in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("twice", r"found 2 of this short name: .*one_segmentation, .*two_segmentation; fix: name one in full"),
        ("data", "found a folder without configs/inference.json"),
        ("text.zip", "found a file that is not a zip"),
        ("newer", r"found bundle_format 99, made for a newer pranet_monai; allowed: up to 1; fix: pip install"),
        ("broken", "metadata.json: found text that is not valid JSON"),
    ],
)
def test_wrong_use_is_named(make_bundle: MakeBundle, variable: None, given: str, message: str) -> None:
    make_bundle("a", "one_segmentation", short_name="twice")
    make_bundle("b", "two_segmentation", short_name="twice")
    make_bundle("b", "newer", bundle_format=99)
    Path("data").mkdir()
    Path("text.zip").write_text("no zip")
    if given == "broken":
        (make_bundle("b", "broken") / "configs" / "metadata.json").write_text("{")
    with pytest.raises(UsageError, match=message):
        find_bundle(given)


def test_a_wrong_variable_is_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRANET_MONAI_BUNDLES", str(machine / "nowhere"))
    with pytest.raises(UsageError, match="PRANET_MONAI_BUNDLES=.*nowhere: found no such folder"):
        find_bundle("heart")


def test_installed_is_found_by_name(make_bundle: MakeBundle, machine: Path) -> None:
    install_bundle(make_bundle("made", "heart_segmentation", short_name="heart"))
    assert find_bundle("heart").folder == machine / "data" / "pranet_monai" / "bundles" / "heart_segmentation"
