"""A receiver of webhooks on a loopback socket that keeps what it gets and misbehaves on command."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.serving import serving


@dataclass(frozen=True)
class Call:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.body)
        return data


class FakeWebhook:
    """`faults` are used up one a call: a status (`500`, `429`), `302 URL`, `hang`, `hang after` (it
    was taken), `reset`, `slow` (0.3 s). `answer` is the body of every answer."""

    def __init__(self) -> None:
        self.faults: deque[str] = deque()
        self.always: str | None = None
        self.answer = b""
        self.seen: list[Call] = []
        self.tries = 0
        self.stop = threading.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?room=1"


@contextmanager
def webhook_server() -> Iterator[FakeWebhook]:
    fake = FakeWebhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # whoever sent it is gone in the middle of it: nothing arrived
                return
            fake.tries += 1
            fault = fake.faults.popleft() if fake.faults else fake.always
            if fault == "hang after":
                fake.seen.append(Call(self.path, dict(self.headers), body))
            if fault in ("hang", "hang after"):
                fake.stop.wait(60)
                return
            if fault == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            if fault == "slow":
                fake.stop.wait(0.3)
            usual = "200" if fake.answer else "204"
            status, _, where = (fault or usual).partition(" ")
            code = int(status if status.isdigit() else usual)
            if code // 100 == 2:
                fake.seen.append(Call(self.path, dict(self.headers), body))
            self.send_response(code)
            if where:
                self.send_header("Location", where)
            self.send_header("Content-Length", str(len(fake.answer)))
            self.end_headers()
            self.wfile.write(fake.answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(Handler, fake.stop) as fake.port:
        yield fake
