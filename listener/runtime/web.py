"""The web port: /metrics, /healthz and /readyz, read-only, on this machine alone unless set otherwise.

A thread for each request; every connection has a deadline, and the oldest makes room when too many are open, so
that a client that dawdles costs the others nothing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from prometheus_client.exposition import choose_encoder

from listener.errors import ConfigError
from listener.runtime.health import Health
from listener.runtime.logs import reason_of
from listener.runtime.metrics import Metrics

DEADLINE_SECONDS = 5.0
LOOK_SECONDS = 0.5
"""So often it is looked whether the server is to stop, and which connections are too old."""
MAX_CONNECTIONS = 32
REST_SECONDS = 0.2
REST_BLOCKS = 20

OPEN_METRICS, PLAIN, OLD_PLAIN = "application/openmetrics-text; version=1.0.0", "text/plain; version=1.0.0", ""
"""The formats we serve, in the words that the Prometheus client's `choose_encoder` asks for. It raises on odd versions,
and repeats what it is given in our own header: so it is never handed a stranger's words."""


def preferred(accept: str) -> str:
    """What to serve to who sends this `Accept`. Whatever it says, there is an answer: the old plain text at worst."""
    wanted = []
    for given in accept.split(","):
        kind, *params = (part.strip().lower() for part in given.split(";"))
        named = {name.strip(): value.strip(' \t"') for name, _, value in (param.partition("=") for param in params)}
        match kind, _first_number(named.get("version")):
            case "application/openmetrics-text", 1 | None:
                form = OPEN_METRICS
            case "text/plain", 1:
                form = PLAIN
            case (("text/plain" | "text/*" | "*/*"), _):
                form = OLD_PLAIN
            case _:
                continue
        wanted.append((_quality(named.get("q", "1")), form))
    # max takes the first of equals: what stands first is preferred.
    quality, form = max(wanted, key=lambda each: each[0], default=(0.0, OLD_PLAIN))
    return form if quality > 0 else OLD_PLAIN


def _first_number(version: str | None) -> int | None:
    """1 of `1.0.0`; None where there is no version, -1 where it is none that we know."""
    if version is None:
        return None
    return 1 if re.fullmatch(r"1(\.[0-9]{1,9}){0,2}", version) else -1


def _quality(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.[0-9]{0,3})?", text) else 1.0


class Web:
    """Serves from the moment it is made until `stop`. Raises ConfigError when the port cannot be had."""

    def __init__(self, metrics: Metrics, health: Health, host: str = "127.0.0.1", port: int = 0) -> None:
        try:
            self._server = _Server(metrics, health, host, port)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            fix = "stop the program that has it (`ss -ltnp` names it), or set another web.host or web.port"
            raise ConfigError(f"web.host, web.port: cannot listen on {host} port {port}: {why}; {fix}") from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(LOOK_SECONDS,), name="web", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Closes the port and every connection within a second. Stopping twice does no harm."""
        self._server.shutdown()
        self._server.server_close()
        self._server.drop(0, 0.0)
        self._thread.join()


class _Server(ThreadingTCPServer):
    # Not http.server's own, which asks DNS for a name before it opens: when DNS is down, that can take minutes.
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, metrics: Metrics, health: Health, host: str, port: int) -> None:
        self.metrics, self.health = metrics, health
        self._since: dict[socket.socket, float] = {}
        self._lock, self._scrape_lock = threading.Lock(), threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def drop(self, most: int, seconds: float) -> None:
        """Hang up on the oldest connections beyond `most`, and on those older than `seconds`."""
        now = self.health.clock.monotonic()
        with self._lock:
            over = len(self._since) - most
            old = [c for n, (c, since) in enumerate(self._since.items()) if n < over or now - since > seconds]
            for connection in old:
                del self._since[connection]
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def service_actions(self) -> None:
        self.drop(MAX_CONNECTIONS, DEADLINE_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._since[request] = self.health.clock.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._since.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            logging.getLogger(__name__).error("the web port could not answer: %s", reason_of(error))

    def scrape(self, accept: str) -> tuple[bytes, str]:
        """All metrics, in the format that the client asks for, and that format's name."""
        encode, content_type = choose_encoder(preferred(accept))
        with self._scrape_lock:
            self.metrics.ready.clear()
            for part, reason in self.health.ready()[1].items():
                self.metrics.ready.labels(part).set(reason is None)
            return encode(self.metrics.registry), content_type


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    default_request_version = "HTTP/1.0"

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                accept = ",".join(self.headers.get_all("Accept", ()))
                self._answer(HTTPStatus.OK, *self.server.scrape(accept))
            case "/healthz":
                self._verdict(*self.server.health.alive())
            case "/readyz":
                self._verdict(*self.server.health.ready())
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """In plain words, without repeating what the client sent. A method we do not have is 405, not 501."""
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self._answer(status, f"{status.phrase}\n".encode(), "text/plain; charset=utf-8")
        self._read_rest()

    def _read_rest(self) -> None:
        """A little of what a refused client still sends: closing over unread bytes may throw our answer away."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(REST_SECONDS)
            for _ in range(REST_BLOCKS):
                if not self.connection.recv(1 << 16):
                    return

    def log_message(self, format: str, *args: Any) -> None:
        """No access log: a scrape every few seconds would drown what matters."""

    def version_string(self) -> str:
        return "lyttepost"

    def _verdict(self, ok: bool, parts: Mapping[str, str | None]) -> None:
        body = json.dumps({"ok": ok, "parts": parts}, ensure_ascii=False, indent=2) + "\n"
        status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, body.encode(), "application/json")

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
