# SPDX-License-Identifier: Apache-2.0
"""A small server on this machine alone, for one reviewer's browser.

It listens on 127.0.0.1; every address begins with a random token; a request that names another host is refused, as a
page from elsewhere could send one whose name it has turned to 127.0.0.1 (DNS rebinding). No address is a file's path.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import unquote

from pranet_monai.errors import reason_of
from pranet_monai.forms.reviews import VERDICTS
from pranet_monai.review.layers import LAYERS
from pranet_monai.review.niivue import niivue_module
from pranet_monai.review.run import ReviewedRun

__all__ = ["ReviewServer"]

_HOSTS = ("127.0.0.1", "localhost")  # whatever the port: it may come through a tunnel
_MAX_BODY, _MAX_COMMENT = 64_000, 4_000
_ASSETS = {
    "": ("review", "view.html", "text/html"),
    "view.css": ("review", "view.css", "text/css"),
    "view.js": ("review", "view.js", "text/javascript"),
    "volumes.js": ("review", "volumes.js", "text/javascript"),
    "pictures.js": ("review", "pictures.js", "text/javascript"),
    "page.css": ("reports", "page.css", "text/css"),
}
"""Address below the token → what it is: sub-package, file among its assets, type."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self' data:; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ReviewServer(ThreadingHTTPServer):
    """Serves the page of a run's review.

    Args:
        run: what is reviewed.
        port: 0 takes a free one.
        idle_seconds: without a request, after which it stops; an open page asks far more often.

    Raises:
        OSError: the port is taken.
        UsageError: the viewer isn't installed.

    Attributes:
        address: of the page.
    """

    daemon_threads = True

    def __init__(self, run: ReviewedRun, port: int = 0, idle_seconds: float = 1800) -> None:
        self.run, self.token = run, secrets.token_urlsafe(24)
        self.assets = {name: _asset(*place) for name, place in _ASSETS.items()}
        if run.listing["kind"] == "volume":
            self.assets["niivue.js"] = (niivue_module(), "text/javascript")
        super().__init__(("127.0.0.1", port), _Handler)
        self.idle_seconds = idle_seconds
        self.last_request = time.monotonic()
        self.has_ended = False

    def server_close(self) -> None:
        """Ends connections that a browser holds open, too: nothing is written after the end."""
        self.has_ended = True
        super().server_close()

    @property
    def address(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.server_address[1]}/{self.token}/"

    def serve(self) -> None:
        """Serves until no request has come for long; Ctrl-C is passed on."""
        watch = threading.Thread(target=self._stop_when_idle, daemon=True)
        watch.start()
        self.serve_forever(poll_interval=0.2)

    def _stop_when_idle(self) -> None:
        while (left := self.last_request + self.idle_seconds - time.monotonic()) > 0:
            time.sleep(min(left, 1))
        self.shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that disconnects is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "pranet-monai", ""
    timeout = 60

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        """Page, listing and layers."""
        place = self._place()
        if place is None:
            return
        run = self.server.run
        if place in self.server.assets:
            self._send(*self.server.assets[place])
        elif place == "cases.json":
            said = {case: review._asdict() for case, review in run.reviews.items()}
            self._send_json({**run.listing, "reviews": said})
        else:
            self._send_layer(*place.rpartition("/")[::2])

    def do_POST(self) -> None:  # noqa: N802
        """A review, or the sign that the page is still open."""
        length = self.headers.get("Content-Length", "")
        fits = length.isdecimal() and int(length) <= _MAX_BODY
        body = self.rfile.read(int(length)) if fits else b""
        self.close_connection = not fits  # what wasn't read would pass for the next request
        place = self._place()
        if place is None:
            return
        if place == "alive":
            self._send_json({})
        elif place != "review" or self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.NOT_FOUND)  # a form of another page can't send JSON
        else:
            self._take_review(body)

    def _place(self) -> str | None:
        """The address below the token; None after a refusal."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        _, token, place = (*self.path.split("?")[0].split("/", 2), "", "")[:3]
        if self.server.has_ended:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        elif host not in _HOSTS:
            self._refuse(HTTPStatus.FORBIDDEN)
        elif not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self.server.last_request = time.monotonic()
            return unquote(place)
        return None

    def _send_layer(self, case: str, layer: str) -> None:
        """One of the layers that the run's own list says a case has."""
        run = self.server.run
        if case not in run or layer not in LAYERS or layer not in run[case].available:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        try:
            self._send(*run[case].read(layer))
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one file is told where it would be shown
            self._send(reason_of(error).encode(), "text/plain", HTTPStatus.INTERNAL_SERVER_ERROR)

    def _take_review(self, body: bytes) -> None:
        try:
            said = json.loads(body)
            case, verdict, comment = said["case"], said["verdict"], said["comment"]
            if not (case in self.server.run and verdict in VERDICTS and isinstance(comment, str)):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        try:
            self._send_json(self.server.run.put(case, verdict, comment[:_MAX_COMMENT])._asdict())
        except OSError as error:
            self._send(str(error).encode(), "text/plain", HTTPStatus.INTERNAL_SERVER_ERROR)

    def _send_json(self, value: Any) -> None:
        self._send(json.dumps(value, allow_nan=False).encode(), "application/json")

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(status.phrase.encode(), "text/plain", status)

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: a line per request would hide what a user has to see."""


def _asset(package: str, name: str, kind: str) -> tuple[bytes, str]:
    return (resources.files(f"pranet_monai.{package}") / "assets" / name).read_bytes(), kind
