"""Our web servers under TLS, against clients that take no part in its handshake."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from certificates import authority, signed
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from listener.webserver import server as webserver
from listener.webserver.server import WebServer, listen


def well(request: Request) -> PlainTextResponse:
    return PlainTextResponse("well")


def test_who_takes_no_part_in_the_handshake_is_hung_up_on_and_delays_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webserver, "HANDSHAKE_SECONDS", 0.5)
    ca = authority(tmp_path)
    certificate, key = signed(ca, "board")
    app = Starlette(routes=[Route("/", well)])
    server = WebServer(lambda its: app, listen("127.0.0.1", 0, "board"), "board", certificate=(certificate, key))
    mute = []
    try:
        for _ in range(70):  # more than may be connected at once
            mute.append(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        trusts = ssl.create_default_context(cafile=str(ca))
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=5) as plain,
            trusts.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert secure.recv(12) == b"HTTP/1.1 200"
        for each in mute:
            with suppress(ConnectionResetError):
                assert each.recv(1) == b""
    finally:
        for each in mute:
            each.close()
        server.close()
