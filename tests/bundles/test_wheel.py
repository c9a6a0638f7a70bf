# SPDX-License-Identifier: Apache-2.0
"""The package as pip brings it, where no checkout is: install a packed bundle, segment, get the checkout's voxels."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from pranet_monai.apps.pack import pack_bundle

from .conftest import ROOT, SMALLEST
from .test_run import rows_of, run_here

pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel in it; what the package needs is borrowed from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "pranet_monai", source / "pranet_monai", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    quiet = ["--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip"]
    call([*pip, "wheel", *quiet, "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)])
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(source)

    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    call([*pip, f"--python={python}", "install", *quiet, "--no-deps", "--no-index", str(wheel)], env=clean())
    site = call([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).stdout.strip()
    (Path(site) / "borrowed.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    return python.parent


def clean() -> dict[str, str]:
    """The variables of this process without those that lead to this checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PRANET_MONAI"))}


def call(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Run:
    """Calls a program of that environment, in a folder of its own and as a user who has no bundle yet."""
    own = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return lambda program, *arguments: call(
        [str(environment / program), *arguments], cwd=tmp_path, env={**clean(), **own}
    )


def test_links_work_on_a_package_index(run: Run) -> None:
    """Those to files of the repository lead nowhere there: they are absolute or gone."""
    text = "from importlib.metadata import metadata; print(metadata('pranet-monai').get_payload())"
    shown = run("python", "-c", text).stdout
    assert "# pranet-monai" in shown and "pranet-monai segment" in shown
    assert re.findall(r"\]\((.*?)\)", shown)
    assert not re.findall(r"\]\((?!https://).*?\)|<!--", shown)


def test_the_wheel_holds_everything(run: Run, labelled_volumes: Path, tmp_path: Path) -> None:
    loaded = run("python", "-c", "import pranet_monai; print(pranet_monai.__file__)").stdout
    assert str(ROOT) not in loaded and "site-packages" in loaded
    assert "No bundle is here" in run("pranet-monai", "info", "bundles").stdout

    run("pranet-monai", "install", str(pack_bundle(SMALLEST, tmp_path)))
    listed = run("pranet-monai", "info", "bundles").stdout
    assert listed.splitlines()[1].startswith("acdc ") and "here, " in listed

    run("pranet-monai", "segment", str(labelled_volumes), "results", "--bundle", "acdc", "--quiet")
    assert run_here(SMALLEST, labelled_volumes, tmp_path / "checkout") == 0
    masks, expected = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*_seg.nii.gz")}
        for folder in (tmp_path / "results", tmp_path / "checkout")
    )
    assert masks == expected and len(masks) == 4
    page = (tmp_path / "results" / "report" / "index.html").read_text(encoding="utf-8")
    assert "<style>" in page and "<script>" in page
    assert {row["status"] for row in rows_of(tmp_path / "results").values()} == {"ok"}
    planned = run("pranet-monai", "new-bundle", "mine", "--data", str(labelled_volumes), "--hours", "0.01", "--quiet")
    assert "pranet-monai train mine" in planned.stdout
    bundle = tmp_path / "data" / "pranet_monai" / "bundles" / "mine_segmentation"
    assert (bundle / "bundle.yaml").is_file() and (bundle / "configs" / "train.json").is_file()
    assert "mine " in run("pranet-monai", "info", "bundles").stdout
    splits = "from pranet_monai.data.splits import load_split_parts; print(len(load_split_parts('acdc_70_10_20')))"
    assert run("python", "-c", splits).stdout.strip() == "3"
