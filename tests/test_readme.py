# SPDX-License-Identifier: Apache-2.0
"""What the README and docs/ say is true: examples run, commands, options and files exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pranet_monai.__main__ import COMMANDS, main
from pranet_monai.data.phantom import write_phantom

from .bundles.conftest import BUNDLES, ROOT, read_json

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in sorted(ROOT.glob("docs/*.md"))}
DOCUMENTS = PAGES | {
    name: (ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
}
TEXT = "\n".join((README, *PAGES.values()))


def block(marker: str) -> str:
    """The fenced block after ``<!-- marker -->``, of which there is one."""
    (text,) = re.findall(rf"<!-- {re.escape(marker)} -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
    return text


@pytest.mark.parametrize("name", re.findall(r"<!-- example: (\w+) -->", TEXT))
def test_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "segmenter":
        write_phantom(tmp_path / "sample", 1)
    names: dict = {}
    exec(compile(block(f"example: {name}"), f"README.md ({name})", "exec"), names)
    if name == "plug":
        assert names["loss"].ndim == 0
        names["loss"].backward()
    if name == "segmenter":
        assert set(np.unique(names["result"].mask)) == {0, *names["result"].labels}
        assert (tmp_path / "mask.nii.gz").is_file()
    if name == "network":
        assert names["logits"].shape == (1, 4, 224, 224)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    found = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", DOCUMENTS[document])
    targets = [target for target in found if "://" not in target]
    assert not [target for target in targets if not (ROOT / document).parent.joinpath(target).exists()]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_files_exist(document: str) -> None:
    named = re.findall(r"(?<![\w/])(?:bundles|pranet_monai|tests|benchmarks)/[\w./-]*\w", DOCUMENTS[document])
    ours = [name for name in named if not re.search(r"bundles/my_|/my_|/model_trained", name)]
    assert not [name for name in ours if not (ROOT / name).exists()]


def test_commands_exist() -> None:
    named = set(re.findall(r"^pranet-monai ([a-z-]+)", TEXT, re.MULTILINE))
    assert len(named) > 5 and named <= set(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_of_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: pranet-monai {command}" in capsys.readouterr().out


@pytest.mark.parametrize(("command", "config"), [("segment", "inference"), ("train", "train")])
def test_options_exist(command: str, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the tables are the command's, and what ``--set`` sets is in every bundle's config."""
    rows = re.findall(r"^\|( `--.*?) \|", PAGES[f"docs/{command}.md"], re.MULTILINE)
    options = {option for row in rows for option in re.findall(r"`(--[\w-]+)", row)}
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert len(options) >= 8 and options <= shown
    configs = [set(read_json(bundle / "configs" / f"{config}.json")) for bundle in BUNDLES]
    ids = {id for row in rows for id in re.findall(r"--set (\w+)", row)} - {"id"}
    assert all(ids <= known for known in configs)
    for id in re.findall(r"`--set (pixdim|image_size)", PAGES["docs/train.md"]):
        assert any(id in known for known in configs)


def test_readme_is_short() -> None:
    words = [word for word in re.sub(r"\]\([^)]*\)", "]", README).split() if re.search(r"\w", word)]
    assert len(words) <= 700


def test_every_bundle_is_in_the_table() -> None:
    for bundle in BUNDLES:
        assert f"| [`{bundle.name}`](bundles/{bundle.name}/docs/README.md) |" in README


def commands_in(marker: str, folder: Path) -> list[list[str]]:
    """The words of each command of a block but its set-up, with the block's folders below one of the test's own."""
    lines = [part.strip() for part in block(marker).replace("\\\n", " ").split("&&")]
    words = [shlex.split(line) for line in lines if line.startswith(("pranet-monai", "python -m monai"))]
    return [[str(folder / word) if word in ("sample", "results") else word for word in command] for command in words]


def masks_below(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*_seg.nii.gz")}


@pytest.mark.e2e
def test_first_command_and_monais_own_way(tmp_path: Path) -> None:
    """Both make the same masks, of every volume of the sample."""
    draw, segment = commands_in("command: run", tmp_path)
    assert main([*draw[1:], "--patients", "1"]) == main(segment[1:]) == 0
    assert (tmp_path / "results" / "report" / "index.html").is_file()
    masks = masks_below(tmp_path / "results")
    assert len(masks) == len(list((tmp_path / "sample" / "imagesTr").iterdir())) > 0

    shutil.rmtree(tmp_path / "results")
    (monai,) = commands_in("command: monai", tmp_path)
    done = subprocess.run([sys.executable, *monai[1:]], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert masks_below(tmp_path / "results") == masks
