"""The sockets: HTTP/1.1 with keep-alive for the calls, a chunked body without end for the stream."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..platform.sockets import Sockets
from ..platform.web import Handler
from .api import Api, Open
from .compliance_api import STORAGE
from .control import PREFIX, Control
from .faults import Faults
from .plans import Limits
from .problems import Refusal, Reply, not_found, of_status, too_many_requests, unauthorized, unsupported
from .streams import End, Streams
from .times import Clock, wait
from .world import Request, World


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
        self._sockets = Sockets(lambda connection, client: _Handler(connection, client, self), port, "fake-x")
        self.port = self._sockets.port
        api.compliance.host = f"http://localhost:{self.port}"

    @property
    def clock(self) -> Clock:
        return self.world.clock

    @property
    def errors(self) -> list[str]:
        return self._sockets.errors

    @property
    def stopping(self) -> threading.Event:
        return self._sockets.stopping

    def start(self) -> None:
        self._sockets.start()

    def stop(self) -> None:
        """Close everything; all threads have ended when it returns. Raises RuntimeError if one has not."""
        self._sockets.stop(self._end_streams)

    def _end_streams(self) -> None:
        for connection in self.streams.open:
            connection.end(End.CLOSE, "the fake stopped")


class _Handler(Handler):
    server_version = "fake-x"

    def __init__(self, connection: socket.socket, client: Any, web: Web) -> None:
        self.web = web
        super().__init__(connection, client, web.clock, web.stopping)

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        url = urlsplit(self.path)
        params = {k: ",".join(v) for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.read_body()
        if url.path.startswith(PREFIX):
            self._send(self.web.control.handle(method, url.path, params, body), {})
            return
        request = Request(self._now(), method, url.path, params, _decoded(body), len(self.web.streams.open))
        with self.web.world.lock:
            self.web.world.requests.append(request)
        if url.path.startswith(STORAGE):
            self._store(method, url.path.removeprefix(STORAGE), body, request)
            return
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

    def _store(self, method: str, path: str, body: bytes, request: Request) -> None:
        """The storage beside the API: no token opens it, and whoever sends one has given it away."""
        kind, _, key = path.partition("/")
        if self._misbehave(f"storage.{kind}"):
            return
        with self.web.world.lock:
            compliance = self.web.api.compliance
            refusal = self._take("refuse", f"storage.{kind}")
            if self.headers.get("Authorization") is not None:
                compliance.leaks.append(f"{method} {path}")
                reply = Reply(401, b"")
            elif refusal is not None:
                reply = of_status(refusal.status)
            else:
                reply = compliance.put(key, body) if method == "PUT" else compliance.fetch(key)
        request.status = reply.status
        self._send(reply, {})

    def _misbehave(self, family: str) -> bool:
        """Hang, then go on; or drop the connection: True, there is nothing left to answer."""
        hang = self._take("hang", family)
        if hang is not None and wait(self.web.clock, hang.seconds, self.web.stopping):
            self.close_connection = True
            return True
        if self._take("drop", family) is not None:
            self.reset()
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
            self.reset()
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
                    answer.ask, str(self.client_address[0]), self.is_read, answer.backfill
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
            self.reset()

    def _send(self, reply: Reply, headers: Mapping[str, str], seconds: float = 0.0) -> None:
        body = reply.content()
        head = {**headers, **reply.headers, "Content-Type": reply.content_type, "Content-Length": str(len(body))}
        self._write_head(reply.status, head, body, seconds)

    def _write_head(self, status: int, headers: Mapping[str, str], body: bytes, seconds: float = 0.0) -> None:
        self.write_head(status, headers, body, seconds=seconds, skew=self.web.faults.skew)

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
