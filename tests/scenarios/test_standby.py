"""Two listeners on one bus, each with a data folder of its own: one hears X, the other stands by and takes over."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from background import background
from harness import Deployment, Running, read_all, until

from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.ingest.gaps import ledger
from listener.model.gaps import is_whole
from tests.fakes.x import FakeX

TAKEN_OVER = 10.0
FILLED = 75.0
"""Seconds: search is asked half a minute after a gap's end."""


class Pair:
    """What the two share, and what they left there."""

    def __init__(self, home: Path, deploy: Callable[..., Deployment], fake: FakeX) -> None:
        (home / "bus").mkdir()
        self.fake = fake
        self.url = f"embedded://{home / 'bus' / 'bus.sqlite'}"
        settings = {"BUS__URL": self.url, "X__BASE_URL": fake.url, "X__BEARER_TOKEN": "a-token-of-no-account"}
        key = home / "keys" / "pseudonym.key"
        self.first, self.second = (deploy(name, settings=dict(settings), key=key) for name in ("first", "second"))

    def captured(self) -> Counter[str]:
        bus = open_bus(self.url, self.first.home, SystemClock())
        try:
            keys = [r.key.removeprefix("x:") for r in read_all(bus, "mentions") if r.value is not None]
            return Counter(key for key in keys if key.isdecimal())
        finally:
            bus.close()

    def gaps_whole(self) -> bool:
        bus = open_bus(self.url, self.first.home, SystemClock())
        try:
            return all(map(is_whole, ledger(bus)))
        finally:
            bus.close()


@pytest.fixture
def pair(tmp_path: Path, deploy: Callable[..., Deployment]) -> Iterator[Pair]:
    with FakeX(keep_alive=5.0) as fake:
        yield Pair(tmp_path, deploy, fake)


def posting(fake: FakeX) -> AbstractContextManager[None]:
    """Twenty posts a second, whoever hears them."""

    def post(stop: threading.Event) -> None:
        number = 0
        while not stop.wait(0.05):
            number += 1
            fake.post(f"Det brenner i Granvik, melding {number}")

    return background(post)


def is_in(running: Running, state: str) -> bool:
    return running.metric("lyttepost_source_state", source="x", state=state) == 1


def mentions(running: Running) -> float:
    return running.metric("lyttepost_mentions_published_total", source="x")


def cpu_stopped(running: Running) -> bool:
    return Path(f"/proc/{running.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"


@pytest.mark.slow
@pytest.mark.long
def test_a_standby_takes_over_from_the_killed_and_from_the_frozen_who_publish_nothing_more(pair: Pair) -> None:
    first = pair.first.start("--role", "listener")
    done = pair.first.command(
        "mode", "crisis", "--name", "Brann", "--track", "granvik", "--lookback", "0s", "--why", "prøve", "--no-wait"
    )
    assert done.returncode == 0, done.stderr
    until(lambda: is_in(first, "listening"), 15, "the first listens")
    second = pair.second.start("--role", "listener")
    until(lambda: is_in(second, "standby"), 10, "the second stands by")

    with posting(pair.fake):
        until(lambda: mentions(first) > 20, 10, "the first hears")
        first.kill()
        killed = time.monotonic()
        until(lambda: is_in(second, "listening"), TAKEN_OVER, "the second listens")
        assert time.monotonic() - killed < TAKEN_OVER
        until(lambda: mentions(second) > 20, 10, "the second hears")

        first = pair.first.start("--role", "listener")
        until(lambda: is_in(first, "standby"), 10, "the first stands by, back again")
        said = mentions(second)
        second.process.send_signal(signal.SIGSTOP)
        until(lambda: cpu_stopped(second), 5, "the second is frozen")
        until(lambda: is_in(first, "listening"), 6 * TAKEN_OVER, "the first listens, though X still counts the frozen")
        until(lambda: mentions(first) > 20, 10, "the first hears")
        frozen = pair.captured()
        second.process.send_signal(signal.SIGCONT)
        until(lambda: is_in(second, "standby"), 10, "the second knows that it is out")
        # What it published between our look and the signal, it published as the one who held the lease.
        assert mentions(second) - said < 20
        heard = mentions(second)
        until(lambda: sum(pair.captured().values()) > sum(frozen.values()) + 40, 10, "the first goes on hearing")
        assert mentions(second) == heard
        assert is_in(first, "listening")
        assert len(pair.fake.streams.open) == 1

    posts = set(pair.fake.world.posts)
    until(lambda: pair.captured().keys() == posts, FILLED, "what was missed is found", every=0.5)
    until(pair.gaps_whole, FILLED, "all gaps are filled", every=0.5)
    assert set(pair.captured().values()) == {1}
    (code, seconds), (other, _) = first.terminate(), second.terminate()
    assert code == other == 0
    assert seconds < 3
    assert not pair.fake.streams.open
