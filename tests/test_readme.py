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
from pranet_monai.__main__ import COMMANDS, _parser, main
from pranet_monai.apps.bundle_table import fill_bundles
from pranet_monai.data.phantom import write_phantom

from .bundles.conftest import BUNDLES, ROOT, read_json

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in sorted(ROOT.glob("docs/**/*.md"))}
DOCUMENTS = PAGES | {
    name: (ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
}
CARDS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in sorted(ROOT.glob("bundles/*/docs/*.md"))
}
TEXT = "\n".join((README, *PAGES.values()))
BLOCK = re.compile(r"(?:<!-- ([^\n]*) -->\n)?^ *```(bash|python)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
COMMANDS_RUN = {"run", "monai", "segment", "judge", "test"}
"""Marks of the shell blocks that run: in this file, and ``test`` by .ci/run."""


def block(marker: str) -> str:
    """The fenced block after ``<!-- marker -->``, of which there is one."""
    (text,) = re.findall(rf"<!-- {re.escape(marker)} -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
    return text


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_runs_or_says_why_not(document: str) -> None:
    """``example`` and ``recipe`` run by their names; of ``command`` the test must know the name."""
    for mark, _, text in BLOCK.findall(DOCUMENTS[document]):
        kind, _, name = mark.partition(": ")
        assert kind in ("example", "recipe", "command", "not run") and name, f"no mark above {text!r}"
        assert kind != "command" or name in COMMANDS_RUN


@pytest.mark.parametrize("document", [name for name, text in (DOCUMENTS | CARDS).items() if "```bash" in text])
def test_commands_are_understood(document: str) -> None:
    """Run or not: every command of the project that a block gives has the options that it is given."""
    lines = [text.replace("\\\n", " ") for _, _, text in BLOCK.findall((DOCUMENTS | CARDS)[document])]
    for line in re.split(r"\n|&&|;", "\n".join(lines)):
        ours = re.fullmatch(r"(?:.*-m pranet_monai|pranet-monai) (.*)", line.strip())
        assert not ours or _parser().parse_args(shlex.split(ours[1], comments=True)).command in COMMANDS


@pytest.mark.parametrize("name", re.findall(r"<!-- example: (\w+) -->", TEXT))
def test_example_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And prints what its comments promise: ``print(…)  # 0.875``."""
    monkeypatch.chdir(tmp_path)
    if name == "segmenter":
        write_phantom(tmp_path / "sample", 1)
    names: dict = {}
    text = block(f"example: {name}")
    exec(compile(text, f"README.md ({name})", "exec"), names)
    promised, printed = re.findall(r"^print\(.*\)  # (\S+)", text, re.MULTILINE), capsys.readouterr().out.splitlines()
    assert [line.startswith(value) for line, value in zip(printed, promised)] == [True] * len(promised)
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


def test_table_of_bundles_is_up_to_date() -> None:
    assert fill_bundles(ROOT / "README.md", BUNDLES) == README, "run: pranet-monai build-bundles"
    assert all(f"](bundles/{bundle.name}/docs/README.md)" in README for bundle in BUNDLES)


FOLDERS = {name: name for name in ("sample", "results", "masks", "others", "references", "judged", "other")}
FOLDERS |= {"/path/to/volumes": "sample", "/path/to/results": "results"}


def commands_in(marker: str, folder: Path) -> list[list[str]]:
    """The words of each command of a block but its set-up, with the block's folders below one of the test's own."""
    lines = [part.strip() for part in re.split(r"&&|\n", block(marker).replace("\\\n", " "))]
    words = [shlex.split(line) for line in lines if line.startswith(("pranet-monai", "python -m monai"))]
    return [[str(folder / FOLDERS[word]) if word in FOLDERS else word for word in command] for command in words]


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


def test_masks_of_any_origin_are_judged_and_compared(tmp_path: Path) -> None:
    write_phantom(tmp_path / "sample", 2)
    for name in ("masks", "others", "references"):
        shutil.copytree(tmp_path / "sample" / "labelsTr", tmp_path / name)
    for command in commands_in("command: judge", tmp_path):
        assert main(command[1:]) == 0
    assert read_json(tmp_path / "judged" / "report" / "summary.json")["overall"]["dice"]["mean"] == 1


@pytest.mark.e2e
def test_own_folder(tmp_path: Path) -> None:
    write_phantom(tmp_path / "sample", 1)
    (segment,) = commands_in("command: segment", tmp_path)
    assert main(segment[1:]) == 0
    assert len(masks_below(tmp_path / "results")) == 2
