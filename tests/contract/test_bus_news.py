"""One look for all readers of a process: how often, by whom, and that nobody waits for long."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bus_support import PATIENCE, SetClock

from listener.bus.protocol import Message
from listener.bus.sqlite.bus import EmbeddedBus
from listener.bus.sqlite.news import POLL_SECONDS, News
from listener.errors import BusError
from listener.model.topics import TOPICS


def test_eight_readers_look_no_more_often_than_one() -> None:
    looks: list[float] = []

    def count() -> int:
        looks.append(time.monotonic())
        return 0

    news = News(count)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as readers:
        list(readers.map(lambda number: news.wait(0, 10 * POLL_SECONDS + number / 1000), range(8)))
    # The first looks at once; and who takes over at the end may look once more.
    assert len(looks) <= (time.monotonic() - began) / POLL_SECONDS + 2


def test_who_waits_on_looks_when_the_one_that_looked_has_left() -> None:
    left = threading.Event()
    news = News(lambda: int(left.is_set()))
    with ThreadPoolExecutor(1) as other:
        looking = other.submit(news.wait, 0, 4 * POLL_SECONDS)
        looking.add_done_callback(lambda _: left.set())
        began = time.monotonic()
        news.wait(0, PATIENCE)
    assert news.written == 1
    assert time.monotonic() - began < PATIENCE / 2


def test_a_look_that_fails_is_told_to_each_who_waits() -> None:
    def fail() -> int:
        raise BusError("gone")

    news = News(fail)
    began = time.monotonic()
    with ThreadPoolExecutor(8) as readers:
        told = [readers.submit(news.wait, 0, PATIENCE) for _ in range(8)]
    assert all(isinstance(one.exception(), BusError) for one in told)
    assert time.monotonic() - began < PATIENCE / 2


@pytest.mark.parametrize("wait", [0.0, PATIENCE])
def test_a_reader_that_had_read_all_sees_what_another_wrote_since(tmp_path: Path, wait: float) -> None:
    ours, theirs = (EmbeddedBus("", tmp_path, SetClock(), reserve=0) for _ in range(2))
    ours.ensure([TOPICS["gaps"]])
    reader = ours.reader(["gaps"])
    assert reader.poll(0.0) == []
    theirs.publish([Message("gaps", "a", b"1")])
    assert [record.value for record in reader.poll(wait)] == [b"1"]
    reader.seek(next(iter(reader.assignment)), 0)
    assert [record.value for record in reader.poll(wait)] == [b"1"]
    ours.close()
    theirs.close()
