"""Publishing over TLS: the gate stands behind the handshake and before any byte of the post; strangers get nothing."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from certificates import authority, signed

from alerts.highlights.account import XAccount
from alerts.highlights.contract import NotSent
from listener.model.highlights import Why
from listener.settings.highlights import KEYS, HighlightsSettings


@contextmanager
def encrypted(certificate: Path, key: Path, asked: list[str]) -> Iterator[str]:
    """A server that takes every post; `asked` gets the `Authorization` of each."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.headers["Authorization"])
            self.rfile.read(int(self.headers["Content-Length"]))
            body = b'{"data": {"id": "17", "text": "Hei"}}'
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_gate_stands_behind_the_handshake_and_no_stranger_gets_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = authority(tmp_path)
    asked: list[str] = []
    passed: list[int] = []

    def gate() -> None:
        passed.append(len(asked))

    def shut() -> None:
        raise NotSent(Why.CRISIS)

    with encrypted(*signed(ca, "x"), asked) as address:
        ours = XAccount(HighlightsSettings.model_validate(dict.fromkeys(KEYS, "1-a")).keys, address)
        with pytest.raises(NotSent) as refused:
            ours.publish("Hei", gate)
        assert (refused.value.why, passed, asked) == (Why.NETWORK, [], []), "its certificate is nobody's we know"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
        with pytest.raises(NotSent) as refused:
            ours.publish("Hei", shut)
        assert (refused.value.why, asked) == (Why.CRISIS, [])
        assert ours.publish("Hei", gate) == "17"
        assert passed == [0]
    assert [each.partition(" ")[0] for each in asked] == ["OAuth"]
