# SPDX-License-Identifier: Apache-2.0
"""Imports inside the package run one way. The table below is the whole rule; a new sub-package needs a row."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pranet_monai
import pytest

ROOT = Path(pranet_monai.__file__).parent
NETWORK_PARTS = {"networks.blocks", "networks.backbones", "networks.decoders", "networks.nets"}

# layer -> the layers it may import from, beside itself and the error kinds
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "geometry": set(),
    "quiet": set(),
    "storage": set(),
    "networks.table": set(),
    "networks.blocks": set(),
    "networks.backbones": {"networks.blocks", "networks.table", "storage"},
    "networks.decoders": {"networks.blocks"},
    "networks.nets": {"networks.blocks", "networks.backbones", "networks.decoders", "networks.table"},
    "networks": NETWORK_PARTS,
    "losses": set(),
    "runtimes": {"storage"},
    "inferers": {"geometry", "storage", "transforms"},
    "data.organs": set(),
    "data.labels": {"data.organs"},
    "forms": {"data.labels", "data.organs", "geometry", "quiet", "storage"},
    "transforms": {"data.labels", "forms", "geometry", "storage"},
    "data": {"data.labels", "data.organs", "forms", "storage", "transforms"},
    "metrics": {"data.labels"},
    "planning": {"data", "data.labels", "forms", "geometry", "storage", "transforms"},
    "reports": {"data.labels", "forms", "geometry", "metrics", "storage"},
    "quality": {"data.labels", "inferers", "storage", "transforms"},
    "engines": {
        *("data", "data.labels", "forms", "inferers", "losses", "metrics", "quality", "reports", "storage"),
        "transforms",
    },
}
ALLOWED["bundle_store"] = {"storage"}
ALLOWED["review"] = {"data.labels", "forms", "reports", "storage"}
ALLOWED["apps"] = set(ALLOWED)
ALLOWED["label"] = {"apps", "bundle_store", "runtimes", "storage"}  # inside MONAI Label's server
# read whenever somebody asks for help: tests/test_main.py holds that they load nothing heavy
ALLOWED["commands"] = {"bundle_store"}
ALLOWED[""] = {"apps"}  # when Segmenter is asked for
ALLOWED["__main__"] = {"apps", "commands"}


def layer_of(module: str) -> str:
    """The row of the table that a dotted path inside the package belongs to: ``networks.nets.emcad`` -> its folder."""
    parts = module.split(".")
    two = ".".join(parts[:2])
    return two if two in ALLOWED else parts[0]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted path (without the package's name) of every import of our own, wherever it stands in the file."""
    package = module_name(path).split(".") if path.name == "__init__.py" else module_name(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ["pranet_monai", *package[: len(package) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            names = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            first, _, rest = name.partition(".")
            if first == "pranet_monai" and rest and not rest.startswith("__version__"):
                yield node.lineno, rest


SOURCES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    own = layer_of(module_name(path)) if path != ROOT / "__init__.py" else ""
    assert not own or own in ALLOWED, f"{own}: new sub-package; add its row to ALLOWED"
    allowed = ALLOWED.get(own, set()) | {own, "errors"}
    found = imported_modules(path)
    wrong = [f"{path}:{line}: {own} imports {name}" for line, name in found if layer_of(name) not in allowed]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (("storage.atomic", "storage.hashing", "storage.tables"), {"matplotlib", "monai", "pandas", "torch"}),
        (("bundle_store",), {"matplotlib", "monai", "numpy", "pandas", "torch"}),
        (("engines.weights",), {"matplotlib", "monai", "pandas", "pranet_monai.reports"}),
    ],
    ids=["storage", "bundles", "weights"],
)
def test_ground_floor_is_light(modules: tuple[str, ...], heavy: set[str]) -> None:
    """Who only hashes, writes or loads weights doesn't wait for pictures, tables or MONAI."""
    imports = "\n".join(f"import pranet_monai.{module}" for module in modules)
    code = f"{imports}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert not heavy & set(done.stdout.split())


def test_dicom_libraries_wait_for_dicom(tmp_path: Path) -> None:
    """MONAI Label's environment has another pydicom and no highdicom: everything loads and reads NIfTI without both."""
    code = f"""
import importlib, pkgutil, sys
sys.modules["pydicom"] = sys.modules["highdicom"] = None
import nibabel, numpy, pranet_monai
for module in pkgutil.walk_packages(pranet_monai.__path__, "pranet_monai."):
    if not module.name.endswith("__main__") and ".label." not in module.name:  # those need MONAI Label itself
        importlib.import_module(module.name)
nibabel.save(nibabel.Nifti1Image(numpy.ones((3, 4, 5), "int16"), numpy.eye(4)), {str(tmp_path / "a.nii.gz")!r})
from pranet_monai.transforms.load import LoadCased
print(LoadCased("image")(dict(image={str(tmp_path / "a.nii.gz")!r}))["image"].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert "(1, 3, 4, 5)" in done.stdout.replace("torch.Size([", "(").replace("])", ")")


def test_table_has_no_cycle() -> None:
    done: set[str] = set()
    while len(done) < len(ALLOWED):
        ready = {layer for layer, below in ALLOWED.items() if layer not in done and below - {layer} <= done}
        assert ready, f"these layers import each other: {sorted(set(ALLOWED) - done)}"
        done |= ready


def test_walker_sees_every_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule is only as good as the walker: absolute, relative, aliased and local imports are all seen."""
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    source = tmp_path / "losses" / "dice.py"
    source.parent.mkdir()
    source.write_text(
        "import pranet_monai.networks.nets as n\nfrom pranet_monai import engines\nfrom ..data import labels\n"
        "def f():\n    from .structure import g\n    import torch\n    return g, torch\n"
    )
    seen = {name for _, name in imported_modules(source)}
    assert seen == {"networks.nets", "engines", "data.labels", "losses.structure.g"}


def test_what_is_imported_is_declared() -> None:
    """``pip install`` brings all that the package imports, and doesn't count on another library to bring it along.

    What runs inside MONAI Label's server finds that there.
    """
    config = configparser.ConfigParser()
    config.read(ROOT.parent / "setup.cfg")
    declared = {re.split("[<>=]", line)[0] for line in config["options"]["install_requires"].split()}
    imported: set[str] = set()
    for path in SOURCES:
        if layer_of(module_name(path)) == "label":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            imported |= {name.partition(".")[0] for name in names}
    providers = metadata.packages_distributions()
    foreign = imported - set(sys.stdlib_module_names) - {"pranet_monai"}
    # Python 3.10 doesn't list packages without a top_level.txt: those are known by their own name
    missing = {name for name in foreign if not {known.lower() for known in providers.get(name, [name])} & declared}
    assert not missing, f"imported, but not in setup.cfg's install_requires: {sorted(missing)}"


def names_of_bundles_folder(source: str) -> list[int]:
    """Lines where code makes a path with a folder ``bundles`` in it; words in texts and docstrings aren't paths."""
    tree = ast.parse(source)
    parts = [node for node in ast.walk(tree) if isinstance(node, (ast.BinOp, ast.Call, ast.Assign, ast.AnnAssign))]
    lines = set()
    for node in parts:
        if isinstance(node, ast.BinOp):
            values = [node.left, node.right] if isinstance(node.op, ast.Div) else []
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            values = node.args if name in ("Path", "PurePath", "joinpath", "join", "open", "glob", "rglob") else []
        else:
            values = [node.value] if node.value else []
        for value in values:
            constant = value.value if isinstance(value, ast.Constant) else None
            if isinstance(constant, str) and "bundles" in constant.split("/"):
                lines.add(value.lineno)
    return sorted(lines)


def test_only_the_finder_knows_the_bundles_folder() -> None:
    """A bundle refers to the package; the package must work where no bundle is near."""
    found = {path.relative_to(ROOT).as_posix(): names_of_bundles_folder(path.read_text("utf-8")) for path in SOURCES}
    assert [name for name, lines in found.items() if lines] == ["bundle_store/places.py"]


@pytest.mark.parametrize(
    "code",
    [
        *('Path("bundles")', 'root / "bundles" / name', 'open("../bundles/x/configs/inference.json")'),
        *('FOLDER = "bundles"', 'FOLDER: str = "bundles"', 'os.path.join(root, "bundles")', 'root.glob("bundles/*")'),
    ],
)
def test_the_rule_sees_every_spelling(code: str) -> None:
    assert names_of_bundles_folder(code) == [1]


def test_a_word_is_no_path() -> None:
    assert not names_of_bundles_folder('"""In bundles/x."""\nprint("bundles")\nparser.add(choices=["bundles"])')


def test_loading_the_package_reads_no_bundle() -> None:
    """Every module is imported under an audit hook that sees each file opened and each folder listed."""
    code = f"""
import importlib, os, pkgutil, sys
seen = []
def look(event, args):
    if event in ("open", "os.listdir", "os.scandir") and args and isinstance(args[0], (str, os.PathLike)):
        if str(os.path.abspath(args[0])).startswith({str(ROOT.parent / "bundles")!r}):
            seen.append(str(args[0]))
sys.addaudithook(look)
open({str(ROOT.parent / "bundles" / "acdc_emcad_dsra_segmentation" / "bundle.yaml")!r}).close()
import pranet_monai
for module in pkgutil.walk_packages(pranet_monai.__path__, "pranet_monai."):
    if not module.name.endswith("__main__") and not module.name.startswith("pranet_monai.label."):
        importlib.import_module(module.name)
print(len(seen))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.split()[-1] == "1", "the hook sees the file that the test itself opens, and nothing else"
