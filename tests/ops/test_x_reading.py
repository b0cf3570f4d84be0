"""How the stream's bytes are read: alone at once, many together, all of them, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from x_support import TOKEN

from listener.clock import SystemClock
from listener.sources.common.buffer import Line, ReceiveBuffer
from listener.sources.x.access import Access
from listener.sources.x.client import Api
from listener.sources.x.stream import GATHER, Stream
from tests.fakes.x import FakeX
from tests.fakes.x.streams import Connection


class Waits(SystemClock):
    """The system's clock, which counts how often somebody let more gather."""

    def __init__(self) -> None:
        self.gathered = 0

    def wait(self, seconds: float, until: threading.Event) -> bool:
        self.gathered += seconds == GATHER
        return super().wait(seconds, until)


@contextmanager
def stream(clock: SystemClock) -> Iterator[tuple[Connection, Stream, ReceiveBuffer]]:
    """One that is up, and X's end of it."""
    with FakeX(bearer=TOKEN, keep_alive=60.0) as fake:
        fake.do("foreign_rule", value="granvik", tag="somebody")
        buffer, access = ReceiveBuffer(), Access(fake.url, TOKEN)
        its = Stream(access, Api(access), buffer, clock, lambda: 0.5)
        its.start()
        try:
            until = time.monotonic() + 20
            while not fake.streams.open or not len(buffer):
                assert time.monotonic() < until
                time.sleep(0.01)
            yield fake.streams.open[0], its, buffer
        finally:
            its.stop()


def lines(buffer: ReceiveBuffer, count: int, seconds: float = 20.0) -> list[bytes]:
    """The next so many, as soon as they are there."""
    found: list[bytes] = []
    until = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < until:
        found += [item.raw for item in buffer.take(1000)[0] if isinstance(item, Line)]
        time.sleep(0.001)
    return found


def test_what_comes_in_a_row_is_all_there_in_order_and_mostly_read_together() -> None:
    clock = Waits()
    with stream(clock) as (x, _, buffer):
        said = [b"post %d" % number for number in range(600)]
        began = time.monotonic()
        for each in said:
            x.send(each + b"\r\n")
            time.sleep(0.001)
        assert lines(buffer, len(said)) == said
        took = time.monotonic() - began
        assert 1 <= clock.gathered <= took / GATHER + 1


def test_a_burst_in_one_piece_gathers_once_and_not_for_each_post() -> None:
    clock = Waits()
    with stream(clock) as (x, _, buffer):
        x.send(b"".join(b"post %d\r\n" % number for number in range(500)))
        assert len(lines(buffer, 500)) == 500
        assert clock.gathered <= 2


def test_a_connection_that_is_to_end_does_so_while_more_is_let_gather() -> None:
    ended = threading.Event()

    class Ending(SystemClock):
        def wait(self, seconds: float, until: threading.Event) -> bool:
            if seconds == GATHER:
                ended.set()
                return super().wait(60.0, until)
            return super().wait(seconds, until)

    with stream(Ending()) as (x, its, buffer):
        x.send(b"post\r\n")
        assert lines(buffer, 1) == [b"post"]
        assert ended.wait(5)
        its.stop()
        until = time.monotonic() + 20
        while any(thread.name == "x-stream" for thread in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.01)
