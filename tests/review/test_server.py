# SPDX-License-Identifier: Apache-2.0
"""The server answers its own page and nobody else, gives out the run's layers and no file by its path, and ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pranet_monai.errors import UsageError
from pranet_monai.forms.reviews import Review, Reviews
from pranet_monai.review import ReviewedRun, ReviewServer, niivue

from tests.data.samples import write_nifti
from tests.review.runs import finished_run


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    for name in ("a", "sub/b ü"):
        write_nifti(folder / f"in/{name}.nii.gz", np.zeros((4, 5, 3), np.int16), np.eye(4))
    write_nifti(folder / "secret.nii.gz", np.zeros((4, 5, 3), np.int16), np.eye(4))
    finished_run(folder / "in", folder / "out")
    return folder / "out"


@pytest.fixture
def another(output: Path, tmp_path: Path) -> Path:
    """The same run where nobody has it open."""
    shutil.copytree(output.parent / "in", tmp_path / "in")
    return shutil.copytree(output, tmp_path / "out", ignore=shutil.ignore_patterns("*.lock"))


@pytest.fixture(scope="module")
def served(output: Path) -> Iterator[ReviewServer]:
    run = ReviewedRun(output)
    with ReviewServer(run) as made:
        thread = threading.Thread(target=made.serve)
        thread.start()
        yield made
        made.shutdown()
        thread.join()
    run.close()


def ask(
    served: ReviewServer, place: str, method: str = "GET", body: Any = None, token: str | None = None, **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """An answer to an address below the token; ``Content_Type`` stands for ``Content-Type``."""
    connection = http.client.HTTPConnection("127.0.0.1", served.server_address[1], timeout=30)
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, f"/{served.token if token is None else token}/{place}", skip_host="Host" in sent)
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    for name, value in (sent | {"Content-Length": str(len(content))}).items():
        connection.putheader(name, value)
    connection.endheaders(content)
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.getheaders())
    connection.close()
    return found


def test_page_and_its_parts(served: ReviewServer) -> None:
    status, page, headers = ask(served, "")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    for place in re.findall(r'(?:src|href)="([^":]+)"', page.decode()):
        assert ask(served, place)[0] == 200, place
    assert (
        "default-src 'none'" in headers["Content-Security-Policy"] and "http" not in headers["Content-Security-Policy"]
    )
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"] == "no-store"


def test_no_asset_names_another_host(served: ReviewServer) -> None:
    """Nothing is fetched from a network; NiiVue's own text isn't ours."""
    for place, (content, _) in served.assets.items():
        assert place == "niivue.js" or not re.search(rb"https?://|//cdn", content), place


def test_listing_and_layers(served: ReviewServer) -> None:
    listing = json.loads(ask(served, "cases.json")[1])
    assert listing["cases"] == ["a", "sub/b ü"] and listing["reviews"] == {}
    for place in ("a/image", "sub%2Fb%20%C3%BC/mask", "sub/b%20%C3%BC/unsure"):
        status, content, _ = ask(served, place)
        assert status == 200 and len(content) > 352, place


@pytest.mark.parametrize(
    "place",
    [
        *("a/reference", "a/label", "a/", "a", "c/image", "../secret/image", "..%2Fsecret/image", "out/a_seg.nii.gz"),
        *(
            "report/cases.csv",
            "%2Fetc%2Fpasswd",
            "..%2f..%2fetc%2fpasswd",
            "assets/",
            ".cases.json",
            "view.py",
            "a/mask/",
        ),
    ],
)
def test_no_address_is_a_path(served: ReviewServer, place: str) -> None:
    assert ask(served, place)[:2] == (404, b"Not Found")


@pytest.mark.parametrize("token", ["", "x", "report", "%00"])
def test_without_the_token_there_is_nothing(served: ReviewServer, token: str) -> None:
    for place in ("", "cases.json", "a/image", "alive"):
        assert ask(served, place, token=token)[:2] == (404, b"Not Found")
    assert ask(served, "review", "POST", {"case": "a", "verdict": "accepted", "comment": ""}, token=token)[0] == 404
    assert served.token not in str(ask(served, "", token=token)) and len(served.token) >= 32


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("127.0.0.1:80", 200), ("localhost:9999", 200), ("localhost", 200), ("evil.example", 403), ("", 403)),
        *(("evil.example:80", 403), ("127.0.0.1.evil.example:80", 403), ("[::1]:80", 403)),
    ],
)
def test_another_hosts_name_is_refused(served: ReviewServer, host: str, status: int) -> None:
    assert ask(served, "cases.json", Host=host)[0] == status


def test_it_listens_on_this_machine_alone(served: ReviewServer) -> None:
    assert served.socket.getsockname()[0] == "127.0.0.1" and served.address.startswith("http://127.0.0.1:")


def test_a_review_is_written_at_once(served: ReviewServer, output: Path) -> None:
    status, content, _ = ask(served, "review", "POST", {"case": "a", "verdict": "rejected", "comment": " too\nbig"})
    assert status == 200 and json.loads(content) == {"verdict": "rejected", "comment": "too big", "is_outdated": False}
    assert Reviews(output / "report").get("a") == Review("rejected", "too big")
    assert json.loads(ask(served, "cases.json")[1])["reviews"]["a"]["verdict"] == "rejected"
    ask(served, "review", "POST", {"case": "a", "verdict": "", "comment": ""})
    assert set(Reviews(output / "report")) == set()


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", {"case": "a"}, {"case": "../x", "verdict": "accepted", "comment": ""}),
        *({"case": "a", "verdict": "maybe", "comment": ""}, {"case": "a", "verdict": "accepted", "comment": 3}),
        *({"case": ["a"], "verdict": "accepted", "comment": ""}, b"x" * 70_000),
    ],
)
def test_what_is_no_review_changes_nothing(served: ReviewServer, output: Path, body: Any) -> None:
    assert ask(served, "review", "POST", body)[0] == 400
    assert ask(served, "cases.json")[0] == 200 and set(Reviews(output / "report")) == set()


def test_another_pages_form_is_refused(served: ReviewServer, output: Path) -> None:
    said = {"case": "a", "verdict": "accepted", "comment": ""}
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert ask(served, "review", "POST", said, Content_Type=kind)[0] == 404
    assert ask(served, "review", "PUT", said)[0] == 501 and set(Reviews(output / "report")) == set()


def test_what_is_wrong_with_a_file_is_told(served: ReviewServer, output: Path) -> None:
    mask = output / "a_seg.nii.gz"
    whole = mask.read_bytes()
    mask.write_bytes(whole[:100])
    status, reason, headers = ask(served, "a/mask")
    mask.write_bytes(whole)
    assert status == 500 and b"a_seg.nii.gz" in reason and headers["Content-Type"].startswith("text/plain")


def test_it_ends_when_nobody_asks(another: Path) -> None:
    run = ReviewedRun(another)
    with ReviewServer(run, idle_seconds=3) as made:
        thread = threading.Thread(target=made.serve)
        started = time.monotonic()
        thread.start()
        while time.monotonic() < started + 4.5:
            assert ask(made, "alive", "POST")[0] == 200, "an open page keeps it"
            assert ask(made, "alive", "POST", token="x")[0] == 404
            time.sleep(0.5)
        last = time.monotonic()
        while thread.is_alive() and time.monotonic() < last + 30:
            ask_wrongly(made)  # whoever doesn't know the token doesn't keep it
            time.sleep(0.5)
        assert not thread.is_alive()
    run.close()


def ask_wrongly(made: ReviewServer) -> None:
    with socket.create_connection(made.server_address, timeout=1) as connection:
        connection.sendall(b"GET /x/ HTTP/1.1\r\nHost: localhost\r\n\r\n")


def test_niivue_is_found_whole() -> None:
    module = niivue.niivue_module()
    exported = module.rpartition(b"export{")[2]
    assert {b"Niivue", b"SLICE_TYPE"} <= set(re.split(rb"[,}; ]", exported)) and len(module) > 1_000_000


def test_without_it_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(niivue, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'pranet-monai\[view\]'"):
        niivue.niivue_module()


@pytest.mark.e2e
def test_the_command_ends_in_one_line(another: Path) -> None:
    command = [sys.executable, "-m", "pranet_monai", "view", str(another)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(2)]
    assert re.fullmatch(r"2 cases, open in a browser of this machine: http://127\.0\.0\.1:\d+/\S{32}/\n", said[0])
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and errors == ""
    assert rest.strip() == f"0 accepted, 0 rejected, 2 without a verdict; {another / 'report' / 'review.csv'}"
