"""One HTTP exchange: what is told of it, how much of an answer is read, and what no log ever holds."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from certificates import authority, signed

from alerts.notify.channels.addresses import web_address
from alerts.notify.channels.contract import ChannelError, FailureReason
from alerts.notify.channels.http import LARGEST_ANSWER, exchange
from tests.fakes.drip import dripping_server
from tests.fakes.webhook import FakeWebhook, webhook_server

HEADERS = {"Authorization": "Bearer hemmelig"}


@pytest.fixture
def hook() -> Iterator[FakeWebhook]:
    with webhook_server() as fake:
        yield fake


def failure(port: int, *, path: str = "/key", timeout: float = 0.3) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        exchange(web_address(f"http://127.0.0.1:{port}{path}"), b"x", HEADERS, timeout=timeout, read=True)
    return caught.value


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"nonsense\r\n\r\n", b"HTTP/1.1 2"],
)
def test_no_log_holds_anything_of_a_send_however_it_ends(
    beginning: bytes, caplog: pytest.LogCaptureFixture, hook: FakeWebhook
) -> None:
    caplog.set_level(logging.DEBUG)
    exchange(web_address(hook.url), b"x", HEADERS, timeout=0.3, read=True)
    hook.faults.append(f"302 {hook.url}")
    assert exchange(web_address(hook.url), b"x", HEADERS, timeout=0.3).status == 302
    with dripping_server(beginning) as port:
        url = web_address(f"http://127.0.0.1:{port}/key")
        with suppress(ChannelError):  # some of these are answers
            exchange(url, b"x", HEADERS, timeout=0.3, read=True)
    failure(1)
    assert caplog.text == ""


def test_what_others_log_of_http_stays_in_the_log(caplog: pytest.LogCaptureFixture, hook: FakeWebhook) -> None:
    exchange(web_address(hook.url), b"x", {}, timeout=0.3)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("urllib3.connectionpool").debug("another's")
    assert "another's" in caplog.text


@pytest.mark.parametrize(
    "head", [b"Content-Length: 100000\r\n\r\n", b"\r\n", b"Transfer-Encoding: chunked\r\n\r\n1\r\n"]
)
def test_an_answer_that_drips_is_left_after_the_time_for_a_send(head: bytes) -> None:
    with dripping_server(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + head, every=0.05) as port:
        began = time.monotonic()
        if head == b"\r\n":  # its end is the connection's: what came is all there is
            answer = exchange(web_address(f"http://127.0.0.1:{port}/"), b"", {}, timeout=0.7, read=True)
            assert set(answer.body) == {ord("x")}
        else:
            error = failure(port)
            assert (error.reason, error.permanent) == (FailureReason.NO_ANSWER, False)
    assert 1.0 < time.monotonic() - began < 4


def test_an_answer_without_an_end_is_not_read_to_its_end() -> None:
    with dripping_server(b"HTTP/1.1 200 OK\r\n\r\n", drop=b"x" * 50_000, every=0.001) as port:
        error = failure(port, timeout=10)
    assert (error.reason, error.code) == (FailureReason.NO_ANSWER, 200)


def test_an_answer_as_large_as_may_be_is_read() -> None:
    body = b"y" * LARGEST_ANSWER
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    with dripping_server(head + body) as port:
        answer = exchange(web_address(f"http://127.0.0.1:{port}/"), b"", {}, timeout=5, read=True)
    assert answer.body == body


class Quiet(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_certificate_of_a_trusted_authority_is_trusted_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*signed(ca, "gateway"))
    server = HTTPServer(("127.0.0.1", 0), Quiet)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    port = server.server_address[1]
    try:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        assert exchange(web_address(f"https://127.0.0.1:{port}/"), b"", {}, timeout=5).status == 204
        for host, trusted in (("localhost", True), ("127.0.0.1", False)):
            if not trusted:
                monkeypatch.delenv("SSL_CERT_FILE")
            with pytest.raises(ChannelError) as caught:
                exchange(web_address(f"https://{host}:{port}/"), b"", {}, timeout=5)
            assert (caught.value.reason, caught.value.permanent) == (FailureReason.INSECURE, True)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
