"""The phases of the two workers that read a source, one transition after the other: the lease, the bus, the source."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from listener.bus.protocol import Bus, open_bus
from listener.bus.spool import Spool, path_of
from listener.clock import ManualClock
from listener.errors import BusError, LyttepostError
from listener.ingest.context import IngestContext
from listener.ingest.ingestor import Ingestor, IngestorPhase
from listener.ingest.player import Player, PlayerPhase
from listener.ingest.worker import LEASE_SECONDS, RETRY_SECONDS, SourceWorker
from listener.model.incidents import Action, Command, Incident
from listener.model.records import Gap, Post
from listener.model.topics import topic_specs
from listener.privacy.screen import Screen
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter
from listener.sources.contract import Batch, CatchUp, OfferedCounts

START = datetime(2031, 1, 13, tzinfo=UTC)
TRACK = "granvik"
SECOND = timedelta(seconds=1)


class Past:
    """A source of the past: it gives what it has, a post in each batch, from its cursor on."""

    name = "past"
    catch_up = CatchUp.REPLAY
    only_exercise = True

    def __init__(self, clock: ManualClock, posts: int) -> None:
        self.counts = OfferedCounts()
        self.clock = clock
        self.left = self.posts = posts
        self.is_open = False
        self.fails = False
        self.read_closed = 0

    def open(self, resume: str | None) -> None:
        self.left = self.posts if resume is None else int(resume)
        self.is_open = True

    def read(self, timeout: float) -> Batch | None:
        self.read_closed += not self.is_open
        if self.fails:
            raise LyttepostError("it fails")
        if not self.is_open or not self.left:
            return None
        self.left -= 1
        now = self.clock.now()
        post = Post(source=self.name, id=f"{self.left}", at=now, text=f"brann i {TRACK}")
        return Batch(posts=(post,), until=now, cursor=str(self.left), final=self.only_exercise and not self.left)

    def state(self) -> Mapping[str, Any]:
        return {"state": "listening"}

    def close(self) -> None:
        self.is_open = False


class Live(Past):
    """A source of today, which says what it is given to say."""

    name = "live"
    only_exercise = False

    def open(self, resume: str | None) -> None:
        self.is_open = True

    def recall(self, gaps: Sequence[Gap]) -> None:
        pass

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        pass

    def tend(self) -> None:
        assert self.is_open


class Process:
    """One worker on a bus in a folder; `turn` lets a second pass."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.folder = folder
        self.clock = clock
        self.bus: Bus = open_bus("embedded:", folder, clock, durable=False)
        self.bus.ensure(topic_specs(1, {}))
        metrics, health = Metrics(CollectorRegistry(), "0"), Health(clock)
        self.part = health.part("listen")
        self.reporter = PresenceReporter(
            self.bus, "one", ["listener"], clock=clock, metrics=metrics, part=health.part("follow")
        )
        self.context = IngestContext(
            bus=self.bus, reporter=self.reporter, lease=self.bus.lease("source", "one", LEASE_SECONDS), standing=(),
            screen=Screen(b"k" * 32, {}), clock=clock, metrics=metrics, part=self.part,
        )  # fmt: skip
        self.worker: SourceWorker

    def turn(self) -> bool:
        self.clock.advance(SECOND)
        return self.worker.step(0.0)

    def switch(self, action: Action, name: str = "Brann", **more: Any) -> None:
        command = Command(action=action, at=self.clock.now(), by="vakt", why="prøve", name=name, **more)
        Control(self.bus).append(command)
        self.reporter.step(0.0)

    def open(self, name: str = "Brann", *, exercise: bool = False) -> None:
        self.switch(Action.OPEN, name, add=(TRACK,), exercise=exercise, review_after=3600, lookback=0.0)

    def values(self, type_: str) -> list[dict[str, Any]]:
        reader = self.bus.reader(["mentions"])
        values = [json.loads(r.value) for rs in iter(lambda: reader.poll(0.0, 5000), []) for r in rs if r.value]
        reader.close()
        return [value for value in values if value["type"] == type_]

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Another program keeps the log locked."""
        with closing(sqlite3.connect(self.folder / "bus.sqlite", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """Another process takes the lease, because ours was late."""
        self.clock.advance(2 * LEASE_SECONDS * SECOND)
        other = self.bus.lease("source", "two", 10 * LEASE_SECONDS)
        assert other.renew()
        yield
        other.release()

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """Another process has the lease since our last look, less than a second ago."""
        with closing(sqlite3.connect(self.folder / "bus.sqlite", isolation_level=None)) as db:
            db.execute("UPDATE leases SET holder='two', ttl=1e9")
            yield
            db.execute("UPDATE leases SET ttl=0")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    monkeypatch.setattr("listener.bus.sqlite.store.BUSY_SECONDS", 0.05)
    made = Process(tmp_path, ManualClock(START))
    made.reporter.step(0.0)
    yield made
    made.worker.close()
    made.reporter.close()
    made.bus.close()


def live(here: Process, *, most: int | None = 1 << 20) -> tuple[Live, Ingestor]:
    """`most`: the bytes that may be kept on disk; None: it keeps nothing."""
    source = Live(here.clock, 0)
    spool = None if most is None else Spool(path_of(here.folder, "live"), most, here.clock)
    here.worker = worker = Ingestor(source, here.context, spool=spool)
    here.open()
    return source, worker


def past(here: Process, posts: int = 2) -> tuple[Past, Player]:
    source = Past(here.clock, posts)
    here.worker = worker = Player(source, here.context)
    return source, worker


def phases(here: Process, its: Callable[[], Any], turns: int) -> list[Any]:
    found = []
    for _ in range(turns):
        here.turn()
        found.append(its())
    return found


# --- a live source ----------------------------------------------------------------------------------------------------


def test_a_live_source_is_listened_to_in_calm_and_crisis(here: Process) -> None:
    source, worker = live(here)
    assert worker.phase is IngestorPhase.STANDBY
    assert phases(here, lambda: worker.phase, 2) == [IngestorPhase.LISTENING] * 2
    source.left = 1
    assert here.turn()
    assert worker.phase is IngestorPhase.LISTENING
    here.switch(Action.CLOSE)
    here.turn()
    assert worker.phase is IngestorPhase.LISTENING
    assert [mention["id"] for mention in here.values("mention")] == ["0"]


def test_it_stands_by_while_another_listens_and_opens_again_afterwards(here: Process) -> None:
    source, worker = live(here)
    here.turn()
    with here.replaced():
        assert phases(here, lambda: (worker.phase, source.is_open), 2) == [(IngestorPhase.STANDBY, False)] * 2
    here.turn()
    assert (worker.phase, source.is_open) == (IngestorPhase.LISTENING, True)


def test_a_batch_that_another_has_the_right_to_is_given_up(here: Process) -> None:
    source, worker = live(here)
    here.turn()
    source.left = 1
    with here.fenced():
        assert not worker.step(0.0)
        assert (worker.phase, source.is_open) == (IngestorPhase.STANDBY, False)
        here.turn()
        assert worker.phase is IngestorPhase.STANDBY
    phases(here, lambda: worker.phase, 2)
    assert worker.phase is IngestorPhase.LISTENING
    assert here.values("mention") == []


def test_a_live_source_that_fails_is_opened_again_after_a_while(here: Process) -> None:
    source, worker = live(here)
    here.turn()
    source.fails = True
    here.turn()
    assert (worker.phase, source.is_open, here.part.reason) == (IngestorPhase.OPENING, False, "it fails")
    source.fails = False
    assert set(phases(here, lambda: worker.phase, int(RETRY_SECONDS) - 1)) == {IngestorPhase.OPENING}
    here.turn()
    assert (worker.phase, source.is_open, here.part.reason) == (IngestorPhase.LISTENING, True, None)


def test_while_the_bus_is_away_it_hears_on_and_delivers_that_first(here: Process) -> None:
    source, worker = live(here)
    here.turn()
    with here.cut_off():
        source.left = 2
        assert phases(here, lambda: worker.phase, 3) == [IngestorPhase.AWAY] * 3
        assert source.is_open
    seen = phases(here, lambda: worker.phase, 4)
    assert seen[-1] is IngestorPhase.LISTENING
    assert source.is_open
    assert [mention["id"] for mention in here.values("mention")] == ["1", "0"]
    assert here.part.reason is None


def test_a_source_that_fails_meanwhile_is_opened_once_the_bus_is_back(here: Process) -> None:
    source, worker = live(here)
    here.turn()
    with here.cut_off():
        source.left = 1
        here.turn()
        assert worker.phase is IngestorPhase.AWAY
        here.turn()
        source.fails = True
        here.turn()
        source.fails = False
        source.left = 1
        assert set(phases(here, lambda: (worker.phase, source.is_open), 3)) == {(IngestorPhase.OPENING, False)}
        assert "kept on disk" in (here.part.reason or "")
    assert source.read_closed == 0
    phases(here, lambda: worker.phase, int(RETRY_SECONDS))
    assert (worker.phase, source.is_open) == (IngestorPhase.LISTENING, True)
    assert [mention["id"] for mention in here.values("mention")] == ["0"]


def test_what_was_lost_for_want_of_room_is_searched_for_by_a_source_that_is_opened_anew(here: Process) -> None:
    source, worker = live(here, most=10)
    here.turn()
    opened: list[IngestorPhase] = []
    real = source.open

    def noted(resume: str | None) -> None:
        opened.append(worker.phase)
        real(resume)

    source.open = noted  # type: ignore[method-assign]
    with here.cut_off():
        source.left = 1
        phases(here, lambda: worker.phase, 3)
    phases(here, lambda: worker.phase, 4)
    assert worker.phase is IngestorPhase.LISTENING
    assert opened == [IngestorPhase.OPENING]
    assert [gap["cause"] for gap in here.values("gap")] == ["bus_away"]


def test_without_a_disk_to_keep_it_on_it_publishes_again_what_it_has(here: Process) -> None:
    source, worker = live(here, most=None)
    here.turn()
    source.left = 1
    with here.cut_off():
        worker.step(0.0)
        assert worker.phase is IngestorPhase.PUBLISHING
        assert here.part.reason
        with pytest.raises(BusError):
            here.turn()
    assert here.turn()
    assert worker.phase is IngestorPhase.LISTENING
    assert [mention["id"] for mention in here.values("mention")] == ["0"]


# --- a recording ------------------------------------------------------------------------------------------------------


def test_a_recording_is_played_under_an_exercise_to_its_end_which_is_said_once(here: Process) -> None:
    source, worker = past(here)
    here.open("Alvor")
    assert phases(here, lambda: (worker.phase, source.is_open), 2) == [(PlayerPhase.IDLE, False)] * 2
    here.open("Øvelse", exercise=True)
    played = phases(here, lambda: worker.phase, 3)
    assert played == [PlayerPhase.PLAYING, PlayerPhase.FINISHED, PlayerPhase.FINISHED]
    assert worker.ended
    here.switch(Action.CLOSE, "Øvelse")
    assert phases(here, lambda: (worker.phase, source.is_open), 2) == [(PlayerPhase.IDLE, False)] * 2
    assert [tick["final"] for tick in here.values("tick")] == [False, True]


def test_one_that_is_ended_before_its_end_says_its_last_word(here: Process) -> None:
    source, worker = past(here, 5)
    here.open(exercise=True)
    here.turn()
    here.switch(Action.CLOSE)
    with here.cut_off():
        worker.step(0.0)
        assert worker.phase is PlayerPhase.STOPPING
    here.turn()
    assert (worker.phase, source.is_open) == (PlayerPhase.IDLE, False)
    assert [tick["final"] for tick in here.values("tick")] == [False, True]


def test_the_last_word_of_a_process_that_died_is_said_by_the_next(here: Process) -> None:
    _, first = past(here, 5)
    here.open(exercise=True)
    here.turn()
    assert first.phase is PlayerPhase.PLAYING
    here.switch(Action.CLOSE)
    _, second = past(here, 5)
    assert here.turn()
    assert second.phase is PlayerPhase.IDLE
    assert [tick["final"] for tick in here.values("tick")] == [False, True]


def test_a_finished_one_begins_anew_for_an_exercise_that_is_opened_later(here: Process) -> None:
    source, worker = past(here, 1)
    here.open("Brann", exercise=True)
    here.turn()
    assert worker.phase is PlayerPhase.FINISHED
    here.open("Ras", exercise=True)
    assert phases(here, lambda: worker.phase, 2) == [PlayerPhase.IDLE, PlayerPhase.FINISHED]
    assert source.left == 0


def test_another_process_plays_and_this_one_goes_on_where_the_bus_says(here: Process) -> None:
    source, worker = past(here, 3)
    here.open(exercise=True)
    here.turn()
    with here.replaced():
        assert phases(here, lambda: (worker.phase, source.is_open), 2) == [(PlayerPhase.STANDBY, False)] * 2
    assert phases(here, lambda: worker.phase, 2) == [PlayerPhase.PLAYING, PlayerPhase.FINISHED]
    assert [mention["id"] for mention in here.values("mention")] == ["2", "1", "0"]


def test_a_batch_that_another_has_the_right_to_is_played_once_more(here: Process) -> None:
    source, worker = past(here, 3)
    here.open(exercise=True)
    here.turn()
    with here.fenced():
        assert not worker.step(0.0)
        assert (worker.phase, source.is_open) == (PlayerPhase.STANDBY, False)
    phases(here, lambda: worker.phase, 4)
    assert worker.phase is PlayerPhase.FINISHED
    assert [mention["id"] for mention in here.values("mention")] == ["2", "1", "0"]


def test_a_recording_that_fails_is_opened_again_after_a_while(here: Process) -> None:
    source, worker = past(here, 1)
    here.open(exercise=True)
    source.fails = True
    here.turn()
    assert (worker.phase, source.is_open, here.part.reason) == (PlayerPhase.OPENING, False, "it fails")
    source.fails = False
    assert set(phases(here, lambda: worker.phase, int(RETRY_SECONDS) - 1)) == {PlayerPhase.OPENING}
    here.turn()
    assert (worker.phase, here.part.reason) == (PlayerPhase.FINISHED, None)
