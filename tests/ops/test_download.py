"""A document fetched from whoever publishes it: where it leads us, what it unpacks to, what it says of waiting."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from listener.runtime.download import DownloadError, Limits, download, is_inside
from tests.fakes.drip import dripping_server
from tests.fakes.publisher import Publisher, publisher, rss

QUICK = Limits(seconds=5.0, step=2.0, size=1_000_000)


@pytest.fixture(scope="module")
def web() -> Iterator[Publisher]:
    with publisher() as fake:
        fake.put("/feed", rss())
        yield fake


@contextmanager
def answers(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives these answers, one a connection, the last one for ever. Gives its port and what was asked."""
    listening, asked, stop = socket.create_server(("127.0.0.1", 0)), [], threading.Event()
    listening.settimeout(0.05)
    todo = list(answers)

    def serve() -> None:
        while not stop.is_set():
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.settimeout(5)
                    asked.append(connection.recv(65536))
                    connection.sendall(todo.pop(0) if len(todo) > 1 else todo[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], asked
    finally:
        stop.set()
        thread.join()
        listening.close()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(head).encode() + body


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("172.16.0.9", True),
        ("192.168.1.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),  # noqa: S104
        ("224.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("64:ff9b::a00:1", True),
        ("2002:a00:1::", True),
        ("93.184.216.34", False),
        ("2606:2800:220:1::1", False),
        ("::ffff:93.184.216.34", False),
        ("64:ff9b::5db8:d822", False),
    ],
)
def test_what_lies_inside_a_network_is_known(address: str, inside: bool) -> None:
    assert is_inside(address) is inside


def test_the_host_that_a_person_named_may_lie_inside(web: Publisher) -> None:
    assert download(web.at("/feed"), "*/*", QUICK)[0].startswith(b"<?xml")


def test_nobody_is_led_to_another_host_inside(web: Publisher) -> None:
    """Here `localhost` is the host named, and the machine itself what it redirects to under another name."""
    before = len(web.asked)
    with answers(answer(b"", f"Location: {web.at('/feed')}", status="302 Found")) as (port, asked):
        with pytest.raises(DownloadError, match="inside a network") as refused:
            download(f"http://localhost:{port}/", "*/*", QUICK)
        assert len(asked) == 1
        assert "127.0.0.1" not in str(refused.value)
    assert len(web.asked) == before


def test_with_none_trusted_not_even_the_first_host_is_connected_to(web: Publisher) -> None:
    before = len(web.asked)
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(DownloadError, match="inside a network"):
            download(f"http://{host}:{web.port}/feed", "*/*", QUICK, inside=())
    assert len(web.asked) == before


def test_the_host_is_named_as_it_was_asked_for(web: Publisher) -> None:
    with answers(answer(b"hei")) as (port, asked):
        assert download(f"http://localhost:{port}/a?b=c", "*/*", QUICK)[0] == b"hei"
    assert asked[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert f"Host: localhost:{port}\r\n".encode() in asked[0]


def packed(how: str, content: bytes) -> bytes:
    return gzip.compress(content) if how == "gzip" else zlib.compress(content)


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_a_packed_answer_is_unpacked_though_none_was_asked_for(how: str) -> None:
    with answers(answer(packed(how, b"<rss/>"), f"Content-Encoding: {how}")) as (port, asked):
        assert download(f"http://127.0.0.1:{port}/", "*/*", QUICK)[0] == b"<rss/>"
    assert b"Accept-Encoding: identity\r\n" in asked[0]


def test_an_answer_that_breaks_off_is_none() -> None:
    whole = answer(b"<rss>" + b"x" * 100)
    with answers(whole[:-50]) as (port, _), pytest.raises(DownloadError, match="breaks off"):
        download(f"http://127.0.0.1:{port}/", "*/*", QUICK)


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_a_small_answer_that_unpacks_to_a_huge_one_is_refused_before_it_is_there(how: str) -> None:
    bomb = packed(how, bytes(200_000_000))
    with answers(answer(bomb, f"Content-Encoding: {how}")) as (port, _), pytest.raises(DownloadError, match="larger"):
        download(f"http://127.0.0.1:{port}/", "*/*", QUICK)


@pytest.mark.parametrize(
    ("body", "encoding", "why"),
    [(b"no gzip", "gzip", "cannot be unpacked"), (b"x", "br", "packed in a way"), (b"x", "gzip, gzip", "packed in")],
)
def test_what_cannot_be_unpacked_is_said(body: bytes, encoding: str, why: str) -> None:
    with answers(answer(body, f"Content-Encoding: {encoding}")) as (port, _), pytest.raises(DownloadError, match=why):
        download(f"http://127.0.0.1:{port}/", "*/*", QUICK)


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        ("503 Away", ("Retry-After: 120",), (503, 120.0)),
        ("429 Slow", ("Retry-After: Fri, 31 Dec 2027 23:59:59 GMT",), (429, None)),
        ("403 No", (), (403, None)),
        ("404 No", (), (404, None)),
    ],
)
def test_an_error_says_its_status_and_how_long_to_wait(
    status: str, headers: Sequence[str], said: tuple[int, float | None]
) -> None:
    with answers(answer(b"", *headers, status=status)) as (port, _), pytest.raises(DownloadError) as refused:
        download(f"http://127.0.0.1:{port}/", "*/*", QUICK)
    assert (refused.value.status, refused.value.after) == said


def test_a_body_that_never_ends_is_left_when_nobody_waits_any_more() -> None:
    until = time.monotonic() + 0.3
    with dripping_server(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<rss>") as port:
        with pytest.raises(DownloadError, match="is not read after 5 s"):
            download(f"http://127.0.0.1:{port}/", "*/*", QUICK, given_up=lambda: time.monotonic() > until)
        assert time.monotonic() < until + 20
