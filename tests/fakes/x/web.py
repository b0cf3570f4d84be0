"""The sockets: HTTP/1.1 with keep-alive for the calls, a chunked body without end for the stream."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .api import Api, Open
from .control import PREFIX, Control
from .faults import Faults
from .plans import Limits
from .problems import Refusal, Reply, not_found, of_status, too_many_requests, unauthorized, unsupported
from .streams import End, Streams
from .times import Clock, wait
from .world import Request, World

_MAX_BODY = 10_000_000
_JOIN = 0.9
"""Seconds in which all threads have ended after `stop`."""


class Web:
    """The server on 127.0.0.1. `bearer`: the one good token; None: any is. `errors`: the fake's own mistakes."""

    def __init__(
        self,
        api: Api,
        control: Control,
        world: World,
        faults: Faults,
        streams: Streams,
        limits: Limits,
        bearer: str | None,
        port: int,
    ) -> None:
        self.api = api
        self.control = control
        self.world = world
        self.faults = faults
        self.streams = streams
        self.limits = limits
        self.bearer = bearer
        self.errors: list[str] = []
        self.stopping = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self)
        self.port = int(self._server.server_address[1])
        self._loop: threading.Thread | None = None

    @property
    def clock(self) -> Clock:
        return self.world.clock

    def start(self) -> None:
        self._loop = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._loop.start()

    def stop(self) -> None:
        """Close everything; all threads have ended when it returns. Raises RuntimeError if one has not."""
        self.stopping.set()
        if self._loop is not None:
            self._server.shutdown()
            self._loop.join()
        self._server.server_close()
        with self._lock:
            sockets, threads = list(self._sockets), list(self._threads)
        for end in sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for connection in self.streams.open:
            connection.end(End.CLOSE, "the fake stopped")
        until = time.monotonic() + _JOIN
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        if alive := [t.name for t in threads if t.is_alive()]:
            raise RuntimeError(f"threads of the fake did not end: {', '.join(alive)}")

    def take(self, connection: socket.socket, client: Any) -> None:
        """Serve one TCP connection in a thread of its own."""
        thread = threading.Thread(target=self._serve, args=(connection, client), daemon=True, name="fake-x")
        with self._lock:
            self._sockets.add(connection)
            thread.start()
            # A thread is forgotten when it has ended, not before: `stop` waits for the others.
            self._threads = {t for t in self._threads if t.is_alive()} | {thread}

    def _serve(self, connection: socket.socket, client: Any) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Handler(connection, client, self)
        except OSError:
            pass  # the far end left
        except Exception:
            self.errors.append(traceback.format_exc())
        finally:
            with self._lock:
                self._sockets.discard(connection)
            connection.close()


class _Server(TCPServer):
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], web: Web) -> None:
        self._web = web
        super().__init__(address, BaseHTTPRequestHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._web.take(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fake-x"
    sys_version = ""
    wbufsize = 0

    def __init__(self, connection: socket.socket, client: Any, web: Web) -> None:
        self.web = web
        super().__init__(connection, client, None)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        url = urlsplit(self.path)
        params = {k: ",".join(v) for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        length = min(int(self.headers.get("Content-Length") or 0), _MAX_BODY)
        body = self.rfile.read(length) if length else b""
        if url.path.startswith(PREFIX):
            self._send(self.web.control.handle(method, url.path, params, body), {})
            return
        request = Request(self._now(), method, url.path, params, _decoded(body), len(self.web.streams.open))
        with self.web.world.lock:
            self.web.world.requests.append(request)
        found = self.web.api.find(method, url.path)
        if found is None:
            request.status = 404
            self._send(not_found(), {})
            return
        route, named = found
        family = route.limit
        if self._misbehave(family):
            return
        headers: dict[str, str] = {}
        try:
            asked = {**params, **named}
            self._authorize(method, route.user)
            answer: Reply | Open = self._decide(family, headers, lambda: route.handle(asked, request.body))
        except Refusal as refused:
            answer = refused.reply
        if isinstance(answer, Open):
            request.status = 200
            self._stream(answer, headers)
        elif not (route.name == "tweets" and answer.status == 201 and self._lose(request)):
            request.status = answer.status
            slow = self._take("slow", family)
            self._send(answer, headers, slow.seconds if slow else 0.0)

    def _misbehave(self, family: str) -> bool:
        """Hang, then go on; or drop the connection: True, there is nothing left to answer."""
        hang = self._take("hang", family)
        if hang is not None and wait(self.web.clock, hang.seconds, self.web.stopping):
            self.close_connection = True
            return True
        if self._take("drop", family) is not None:
            self._reset()
            return True
        return False

    def _authorize(self, method: str, user: bool) -> None:
        """Raises Refusal for who may not ask this."""
        header = self.headers.get("Authorization", "")
        scheme, _, token = header.partition(" ")
        with self.web.world.lock:
            if scheme == "OAuth" and user:
                self.web.api.account.authorize(method, f"http://{self.headers.get('Host', '')}{self.path}", header)
                return
            good = scheme == "Bearer" and token and (self.web.bearer is None or token == self.web.bearer)
            if not good:
                raise Refusal(unauthorized())
            if user:
                raise Refusal(unsupported("OAuth 2.0 Application-Only"))

    def _lose(self, request: Request) -> bool:
        """What was published is not told to whoever sent it: True where nothing is left to answer."""
        with self.web.world.lock:
            lost = self.web.faults.lost.pop(0) if self.web.faults.lost else None
        if lost is None:
            return False
        if lost.how == "status":
            request.status = lost.status
            self._send(of_status(lost.status), {})
        elif lost.how == "garbage":
            self._write_head(201, {"Content-Type": "text/html", "Content-Length": "6"}, b"<html>")
        elif lost.how == "close":
            self.close_connection = True
        else:
            if lost.how == "hang":
                wait(self.web.clock, lost.seconds, self.web.stopping)
            self._reset()
        return True

    def _decide(self, family: str, headers: dict[str, str], handle: Callable[[], Reply | Open]) -> Reply | Open:
        """The reply, and in `headers` what the limits say."""
        with self.web.world.lock:
            left = self.web.limits.take(family)
            headers |= self.web.limits.headers(family)
            if family in ("tweets", "me", "timeline"):
                headers["x-access-level"] = self.web.api.account.account.level
            refusal = self._take("refuse", family)
            if refusal is not None:
                if refusal.status == 429 and refusal.reset:
                    headers["x-rate-limit-remaining"] = "0"
                    if refusal.until is not None:
                        headers["x-rate-limit-reset"] = str(int(refusal.until.timestamp()) + 1)
                elif refusal.status == 429:
                    headers.clear()
                return of_status(refusal.status)
            if not left:
                return too_many_requests()
            answer = handle()
            if isinstance(answer, Open) and not answer.at_once:
                self._line = self.web.streams.connect(
                    answer.ask, str(self.client_address[0]), self._alive, answer.backfill
                )
            return answer

    def _stream(self, opened: Open, headers: Mapping[str, str]) -> None:
        self.close_connection = True
        head = {**headers, "Content-Type": "application/json; charset=utf-8", "Transfer-Encoding": "chunked"}
        if opened.at_once:
            self._write_head(200, head, b"0\r\n\r\n")
            return
        line, how = self._line, End.GONE
        try:
            slow = self._take("slow", "stream")
            self._write_head(200, head, b"", slow.seconds if slow else 0.0)
            how = self.web.streams.serve(line, self.connection.sendall, self.web.stopping)
            if how is End.CLOSE:
                self.connection.sendall(b"0\r\n\r\n")
        except OSError:
            how = End.GONE
        finally:
            self.web.streams.closed(line, how)
        if how is End.RESET:
            self._reset()

    def _send(self, reply: Reply, headers: Mapping[str, str], seconds: float = 0.0) -> None:
        body = b"" if reply.body is None else json.dumps(reply.body, ensure_ascii=False).encode()
        head = {**headers, **reply.headers, "Content-Type": reply.content_type, "Content-Length": str(len(body))}
        self._write_head(reply.status, head, body, seconds)

    def _write_head(self, status: int, headers: Mapping[str, str], body: bytes, seconds: float = 0.0) -> None:
        """Everything in one write, or, spread over `seconds`, the head byte by byte."""
        date = format_datetime(self._now() + timedelta(seconds=self.web.faults.skew), usegmt=True)
        lines = [f"HTTP/1.1 {status} {self.responses.get(status, ('',))[0]}", f"Date: {date}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        if seconds:
            for place in range(len(head)):
                if wait(self.web.clock, seconds / len(head), self.web.stopping):
                    self.close_connection = True
                    return
                self.connection.sendall(head[place : place + 1])
            head = b""
        self.connection.sendall(head + body)

    def _alive(self) -> bool:
        """Whether the reader is still there: nothing more comes from it, not even an end."""
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return not readable or bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except (OSError, ValueError):
            return False

    def _reset(self) -> None:
        """A close with this set tells the far end by RST."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _take(self, what: str, family: str) -> Any:
        with self.web.world.lock:
            return self.web.faults.take(what, family, self._now())

    def _now(self) -> datetime:
        return self.web.clock.now()


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")
