"""A request to a platform that is polled: whatever the far end does, an outcome comes within its seconds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from listener.model.gaps import Cause
from listener.sources.common.polling import Answer, Ask, Outcome, Poller, Unanswered, answer_to

PATIENCE = 20.0


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of one that serves each connection so, after the head of a request came."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def run() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with closing(connection), suppress(OSError):
                        connection.recv(65536)
                        serve(connection)

        threading.Thread(target=run, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/path?x=1"


def says(*pieces: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)

    return serve


def test_an_answer_of_any_status_is_one() -> None:
    with server(says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-A: b\r\n\r\n{}")) as url:
        found = answer_to(Ask(url))
    assert found == Answer(403, b"{}", {"content-length": "2", "x-a": "b"})


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with server(says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")) as url:
        found = answer_to(Ask(url))
    assert isinstance(found, Answer)
    assert found.status == 302


@pytest.mark.parametrize(
    ("pieces", "pause", "cause"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",), 0.0, Cause.RESET),
        ((b"no HTTP at all\r\n\r\n",), 0.0, Cause.RESET),
        ((), 0.0, Cause.RESET),
        ((b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000,), 0.0, Cause.GARBLED),
        ((*[b"H"] * 30,), 0.1, Cause.SILENCE),
        ((b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 30), 0.1, Cause.SILENCE),
        ((b"HTTP/1.1 200 OK\r\n", b""), 1.5, Cause.SILENCE),
    ],
    ids=["cut", "garbage", "nothing", "too large", "drips its head", "drips its body", "hangs"],
)
def test_what_is_no_whole_answer_has_a_cause(pieces: tuple[bytes, ...], pause: float, cause: Cause) -> None:
    with server(says(*pieces, pause=pause)) as url:
        began = time.monotonic()
        found = answer_to(Ask(url), seconds=0.5, size=1000)
    assert found == Unanswered(cause)
    assert time.monotonic() - began < PATIENCE


def test_where_nobody_listens_nothing_was_sent() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    assert answer_to(Ask(f"http://127.0.0.1:{port}/")) == Unanswered(Cause.UNREACHABLE, sent=False)


def test_no_repr_holds_an_address_a_header_or_a_body() -> None:
    ask = Ask("http://h/?secret=1", {"X-Key": "secret"}, "POST", b"secret")
    assert "secret" not in repr((ask, Answer(200, b"secret", {"x": "secret"})))


def taken(poller: Poller, rung: threading.Event) -> Outcome:
    assert rung.wait(PATIENCE)
    rung.clear()
    found = poller.take()
    assert found is not None
    return found


def test_a_poller_answers_one_request_after_another_and_rings() -> None:
    rung = threading.Event()
    poller = Poller("x", rung.set, lambda ask: Answer(200, ask.url.encode()))
    for name in ("a", "b"):
        assert poller.take() is None
        poller.ask(Ask(name))
        assert poller.busy
        with pytest.raises(RuntimeError):
            poller.ask(Ask("c"))
        assert taken(poller, rung) == Answer(200, name.encode())
        assert not poller.busy
    poller.stop()


def test_what_the_answering_raises_is_an_outcome() -> None:
    rung = threading.Event()

    def answer(ask: Ask) -> Outcome:
        raise KeyError("slip")

    poller = Poller("x", rung.set, answer)
    poller.ask(Ask("a"))
    assert taken(poller, rung) == Unanswered(Cause.RESET)
    poller.stop()


def test_a_stopped_poller_gives_nothing_of_before_and_asks_anew() -> None:
    rung, goes = threading.Event(), threading.Event()

    def answer(ask: Ask) -> Outcome:
        if ask.url == "old":
            goes.wait(PATIENCE)
        return Answer(200, ask.url.encode())

    poller = Poller("x", rung.set, answer)
    poller.ask(Ask("old"))
    poller.stop()
    assert not poller.busy
    poller.ask(Ask("new"))
    assert taken(poller, rung) == Answer(200, b"new")
    goes.set()
    assert rung.wait(PATIENCE)
    assert poller.take() is None
    poller.stop()
