# SPDX-License-Identifier: Apache-2.0
"""A DICOM segmentation of ours, seen by a radiologist: OHIF in a browser, over an Orthanc server.

Wants the program ``Orthanc`` with its DICOMweb plugin (Debian: ``apt install orthanc orthanc-dicomweb``), Chromium, and
OHIF's built pages, the folder ``dist`` of the npm package ``@ohif/app``, which ``PRANET_MONAI_OHIF`` names.
"""

from __future__ import annotations

import http.server
import io
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image
from pranet_monai.data.cases import find_cases
from pranet_monai.data.labels import get_label_map
from pranet_monai.transforms.load import LoadCased
from pranet_monai.transforms.save import SaveMaskd

from tests.data.dicom_series import grid, header, write_series
from tests.e2e.ports import free_port

pytestmark = pytest.mark.e2e

VARIABLE = "PRANET_MONAI_OHIF"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
DICOM_WEB = "/dicom-web"
SOURCE = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "orthanc",
    "configuration": {
        "friendlyName": "Orthanc",
        "name": "orthanc",
        "qidoRoot": DICOM_WEB,
        "wadoRoot": DICOM_WEB,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "bulkDataURI": {"enabled": True},
    },
}
CONFIG = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "customizationService": {},
    "showStudyList": True,
    "defaultDataSourceName": "orthanc",
    "dataSources": [SOURCE],
}
# where the organs lie in the image, as rows and columns; the patient's left is on the right of the screen
KIDNEYS = {"right_kidney": (slice(20, 34), slice(12, 26)), "left_kidney": (slice(30, 44), slice(42, 52))}


class _Pages(http.server.SimpleHTTPRequestHandler):
    """OHIF's files, and Orthanc's DICOMweb from the same origin, as a hospital's proxy gives them."""

    def __init__(self, *arguments: Any, orthanc: str, directory: str) -> None:
        self._orthanc = orthanc
        super().__init__(*arguments, directory=directory)

    def do_GET(self) -> None:
        if self.path.startswith(DICOM_WEB):
            self._pass_on()
            return
        name = self.path.partition("?")[0].lstrip("/")
        if name == "app-config.js":
            self._answer(200, "text/javascript", f"window.config = {json.dumps(CONFIG)};".encode())
            return
        if not Path(self.directory, name).is_file():
            self.path = "/index.html"  # the viewer's own addresses
        super().do_GET()

    def _pass_on(self) -> None:
        asked = urllib.request.Request(self._orthanc + self.path, headers={"Accept": self.headers.get("Accept", "*/*")})
        try:
            with urllib.request.urlopen(asked) as answer:
                self._answer(answer.status, answer.headers["Content-Type"], answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.headers["Content-Type"], error.read())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[str]:
    """Address of an empty server."""
    program = shutil.which("Orthanc")
    if program is None or not PLUGIN.is_file():
        pytest.skip("finds no Orthanc with DICOMweb (apt install orthanc orthanc-dicomweb)")
    port, database = free_port(), str(tmp_path / "orthanc")
    settings = {
        "StorageDirectory": database,
        "IndexDirectory": database,
        "HttpPort": port,
        "DicomServerEnabled": False,
        "Plugins": [str(PLUGIN)],
    }
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    server = subprocess.Popen([program, str(tmp_path / "orthanc.json")], stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/system").close()
                break
            except urllib.error.URLError:
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture
def ohif(orthanc: str) -> Iterator[str]:
    """Address of OHIF over that server."""
    if VARIABLE not in os.environ:
        pytest.skip(f"wants {VARIABLE}, the folder package/dist of: npm pack @ohif/app")
    handler = partial(_Pages, orthanc=orthanc, directory=os.environ[VARIABLE])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    page.set_default_timeout(120_000)
    yield page
    page.close()


def segmented(folder: Path, rows: int) -> tuple[list[Path], str]:
    """A series with two bright kidneys on grey, cut from below or from above, and its mask; files and study."""
    label_map = get_label_map("chaos_mr")
    image = np.full((64, 64, 5), 100, np.int16)
    mask = np.zeros(image.shape, np.uint8)
    for number, name in label_map.foreground.items():
        if name in KIDNEYS:
            row, column = KIDNEYS[name]
            image[column, row], mask[column, row] = 400, number
    affine = grid((1.5, 1.5, 4.0)) @ np.diag([1, rows, 1, 1])
    shared = write_series(folder / "in", image[:, ::rows], affine, header("MR"), intercept=0)
    (item,) = find_cases(folder / "in", output_dir=folder / "out")
    loaded = LoadCased("image")(item)["image"]
    made = MetaTensor(torch.from_numpy(np.ascontiguousarray(mask[:, ::rows])[None]), meta=dict(loaded.meta))
    SaveMaskd("pred", folder / "out", "chaos_mr", output_format="dicom_seg")({**item, "pred": made, "image": loaded})
    return [*(folder / "in").iterdir(), *(folder / "out").rglob("*_seg.dcm")], shared.StudyInstanceUID


def screen(page: Any) -> np.ndarray:
    """The middle of the image on the screen (H, W, 3), without the texts at its edges."""
    shot = Image.open(io.BytesIO(page.locator("canvas.cornerstone-canvas").first.screenshot())).convert("RGB")
    width, height = shot.size
    return np.asarray(shot.crop((width // 8, height // 8, width - width // 8, height - height // 8)), float)


def by_color(shown: np.ndarray, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Where on the screen (H, W) each class is drawn: its color mixed with grey."""
    label_map = get_label_map("chaos_mr")
    tints = {name: np.array(label_map.colors[label_map.regions[name][0]], float) for name in names}
    directions = np.stack([(tint - tint.mean()) / np.linalg.norm(tint - tint.mean()) for tint in tints.values()])
    tint_of_pixels = shown - shown.mean(-1, keepdims=True)
    nearest = (tint_of_pixels @ directions.T).argmax(-1)
    return {name: (nearest == k) & (np.ptp(shown, axis=-1) > 40) for k, name in enumerate(tints)}


@pytest.mark.parametrize("rows", [1, -1], ids=["rows to the back", "rows to the front"])
def test_organs_are_drawn_where_they_are(rows: int, tmp_path: Path, orthanc: str, ohif: str, page: Any) -> None:
    files, study = segmented(tmp_path, rows)
    for file in files:
        urllib.request.urlopen(f"{orthanc}/instances", data=file.read_bytes()).close()
    page.goto(f"{ohif}/viewer?StudyInstanceUIDs={study}")
    page.get_by_text("Skip all").click()
    page.locator("canvas.cornerstone-canvas").first.wait_for()
    page.wait_for_timeout(5_000)
    bright = screen(page).min(-1) > 180
    page.get_by_text("Segmentation: chaos_mr").dblclick()
    page.get_by_role("button", name="Yes").click()
    page.wait_for_timeout(20_000)
    found = by_color(screen(page), KIDNEYS)
    left_of_screen = np.arange(bright.shape[1]) < bright.shape[1] / 2  # where the patient's right is
    for name, half in (("right_kidney", left_of_screen), ("left_kidney", ~left_of_screen)):
        organ = bright & half
        overlap = 2 * (organ & found[name]).sum() / (organ.sum() + found[name].sum())
        assert overlap > 0.9, (name, overlap)
