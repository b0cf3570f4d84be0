"""Answers that are none of X's own: a proxy's, a gateway's, a broken one's. Each is told for what its status says."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from listener.clock import SystemClock
from listener.sources.x.access import Access
from listener.sources.x.client import Api, Trouble, XError
from listener.sources.x.rule_sync import Failed, RuleResult, RuleSync, Wanted

NOON = datetime(2031, 2, 3, 12, tzinfo=UTC)


@contextmanager
def answering(status: int, body: bytes, asked: list[str] | None = None, **headers: str) -> Iterator[Api]:
    """Somebody who says the same to every request, and notes in `asked` what it was for."""

    class Same(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            if asked is not None:
                asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response_only(status, "Said")
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Same)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Api(Access(f"http://127.0.0.1:{server.server_port}", "a-token-of-no-account"), seconds=10)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


BODIES = [b"", b"null", b"5", b"[1, 2]", b'"no"', b"[" * 50_000, b'{"errors": "x", "title": 7}', b"\xff\xfe", b"<html>"]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (400, Trouble.REFUSED),
        (401, Trouble.UNAUTHORIZED),
        (403, Trouble.FORBIDDEN),
        (404, Trouble.REFUSED),
        (429, Trouble.RATE_LIMITED),
        (503, Trouble.SERVER),
    ],
)
def test_whatever_the_body_the_status_tells(status: int, trouble: Trouble, body: bytes) -> None:
    with answering(status, body) as api:
        for ask in (
            api.rules,
            lambda: api.search("brann", NOON, NOON),
            lambda: api.counts("brann", NOON, NOON),
            api.drop_connections,
            lambda: api.look("/2/usage/tweets"),
        ):
            with pytest.raises(XError) as told:
                ask()
            assert (told.value.trouble, told.value.status) == (trouble, status)


def test_a_body_that_cannot_be_unpacked_does_not_hide_the_status() -> None:
    with answering(401, b"not packed", Content_Encoding="gzip") as api, pytest.raises(XError) as told:
        api.rules()
    assert told.value.trouble is Trouble.UNAUTHORIZED


@pytest.mark.parametrize("reset", ["NaN", "inf", "-inf", "soon", ""])
def test_a_time_to_come_back_that_is_none_is_passed_over(reset: str) -> None:
    with answering(429, b"", x_rate_limit_reset=reset) as api, pytest.raises(XError) as told:
        api.rules()
    assert told.value.reset is None


def test_an_answer_that_cannot_be_read_is_told_as_one_that_refuses() -> None:
    heard: queue.SimpleQueue[RuleResult] = queue.SimpleQueue()
    with answering(200, b'{"data": [], "meta": ["odd"]}') as api:
        sync = RuleSync(api, SystemClock(), lambda: 0.0, heard.put)
        sync.want(Wanted(1, ("brann",), reposts=True))
        told = heard.get(timeout=20)
        sync.stop()
    assert told == Failed(1, Trouble.REFUSED, "AttributeError")


def test_a_redirect_is_not_followed_and_says_so() -> None:
    asked: list[str] = []
    with answering(302, b"", asked=asked, Location="/2/tweets/search/stream/rules") as api:
        for ask in (api.rules, lambda: api.search("brann", NOON, NOON), lambda: api.look("/2/usage/tweets")):
            with pytest.raises(XError, match=r"HTTP 302.*redirects us, which is not followed: is x\.base_url") as told:
                ask()
            assert (told.value.trouble, told.value.status) == (Trouble.REFUSED, 302)
    assert len(asked) == 3
