"""HTTP/1.1 with keep-alive on a platform's socket: its routes, the faults that they run into, and what was asked."""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .control import PREFIX
from .faults import Fault, FaultKind, garbage
from .times import Clock, wait

if TYPE_CHECKING:
    from .platform import Platform

JSON = "application/json; charset=utf-8"
MAX_BODY = 32_000_000


@dataclass
class Request:
    """What was asked. `params` has every value of a name, `named` what the route's path names, `status` what was
    answered (0: nothing, or not yet), `drips` for how many seconds the head of its answer takes."""

    at: datetime
    route: str
    method: str
    path: str
    params: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    named: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    drips: float = 0.0

    def one(self, name: str, default: str = "") -> str:
        """The first value of a parameter."""
        return self.params.get(name, [default])[0]

    def json(self) -> Any:
        """Raises ValueError."""
        return json.loads(self.body)

    def shown(self) -> dict[str, Any]:
        """For the control path. Headers are left out: they hold tokens."""
        return {
            "at": self.at.isoformat(), "route": self.route, "method": self.method, "path": self.path,
            "params": dict(self.params), "status": self.status, "bytes": len(self.body),
        }  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """A whole answer. `body`: bytes as they are, None for none, anything else as JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()


Takes = Callable[["Handler"], None]
"""Takes over the connection: what it writes is the answer, and the connection ends with it."""


@dataclass(frozen=True)
class Route:
    """`path` is matched as a whole; `{name}` in it is one segment. `name` is what faults and records call it."""

    name: str
    method: str
    path: str
    handle: Callable[[Request], Reply | Takes]

    def match(self, method: str, path: str) -> Mapping[str, str] | None:
        if method != self.method:
            return None
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path), path)
        return None if found is None else found.groupdict()


class Handler(BaseHTTPRequestHandler):
    """One connection: what every fake needs to answer well and badly."""

    protocol_version = "HTTP/1.1"
    server_version = "fake"
    sys_version = ""
    wbufsize = 0

    def __init__(self, connection: socket.socket, client: Any, clock: Clock, stopping: threading.Event) -> None:
        self.clock = clock
        self.stopping = stopping
        super().__init__(connection, client, None)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def read_body(self) -> bytes:
        length = min(int(self.headers.get("Content-Length") or 0), MAX_BODY)
        return self.rfile.read(length) if length else b""

    def write_head(
        self, status: int, headers: Mapping[str, str], body: bytes = b"", *, seconds: float = 0.0, skew: float = 0.0
    ) -> None:
        """Everything in one write, or, spread over `seconds`, the head byte by byte. `skew`: by so many seconds is the
        `Date` header wrong."""
        date = format_datetime(self.clock.now() + timedelta(seconds=skew), usegmt=True)
        lines = [f"HTTP/1.1 {status} {self.responses.get(status, ('',))[0]}", f"Date: {date}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        if seconds:
            for place in range(len(head)):
                if wait(self.clock, seconds / len(head), self.stopping):
                    self.close_connection = True
                    return
                self.connection.sendall(head[place : place + 1])
            head = b""
        self.connection.sendall(head + body)

    def is_read(self) -> bool:
        """Whether the reader is still there: nothing more comes from it, not even an end."""
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return not readable or bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except (OSError, ValueError):
            return False

    def reset(self) -> None:
        """A close with this set tells the far end by RST."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class PlatformHandler(Handler):
    """Answers from a platform's routes, its faults before them."""

    def __init__(self, connection: socket.socket, client: Any, platform: Platform) -> None:
        self.platform = platform
        super().__init__(connection, client, platform.clock, platform.stopping)

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        url = urlsplit(self.path)
        params = parse_qs(url.query, keep_blank_values=True)
        body = self.read_body()
        if url.path.startswith(PREFIX):
            self._send(self.platform.control.handle(method, url.path, params, body))
            return
        route, named = self._route(method, url.path)
        name = route.name if route is not None else ""
        request = Request(self.clock.now(), name, method, url.path, params, dict(self.headers), body, named)
        with self.platform.lock:
            self.platform.asked.append(request)
        if route is None:
            self._send(self.platform.unknown(request), request)
            return
        fault = self.platform.faults.take(route.name, self.clock.now())
        if fault is not None and self._ends_badly(fault, request):
            return
        if fault is not None and fault.kind is FaultKind.SLOW:
            request.drips = fault.seconds
        with self.platform.lock:
            answer = route.handle(request)
        if isinstance(answer, Reply):
            self._send(answer, request, fault)
            return
        request.status = 200
        self.close_connection = True
        answer(self)

    def _route(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str]]:
        for route in self.platform.table:
            if (named := route.match(method, path)) is not None:
                return route, named
        return None, {}

    def _ends_badly(self, fault: Fault, request: Request) -> bool:
        """Whatever comes before a route's own answer; True: there is nothing left to answer."""
        match fault.kind:
            case FaultKind.DELAY:
                if wait(self.clock, fault.seconds, self.stopping):
                    self.close_connection = True
                    return True
                return False
            case FaultKind.HANG:
                wait(self.clock, fault.seconds, self.stopping)
                self.close_connection = True
            case FaultKind.RESET:
                self.reset()
            case FaultKind.STATUS:
                self._send(Reply(fault.status, fault.body, fault.headers), request)
            case FaultKind.GARBAGE:
                self._send(Reply(200, garbage(fault.size), fault.headers), request)
            case FaultKind.CUT | FaultKind.SLOW:
                return False
        return True

    def _send(self, reply: Reply, request: Request | None = None, fault: Fault | None = None) -> None:
        if request is not None:
            request.status = reply.status
        body = reply.content()
        head = {"Content-Type": reply.content_type, "Content-Length": str(len(body)), **reply.headers}
        if fault is not None and fault.kind is FaultKind.CUT:
            self.write_head(reply.status, head, body[: len(body) // 2], skew=self.platform.faults.skew)
            if fault.seconds:
                wait(self.clock, fault.seconds, self.stopping)
            self.close_connection = True
            return
        slow = fault.seconds if fault is not None and fault.kind is FaultKind.SLOW else 0.0
        self.write_head(reply.status, head, body, seconds=slow, skew=self.platform.faults.skew)
