"""What may lie for less long than the rest goes in time and from every byte, and the rest stays. All made up."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path
from typing import Any, cast

import pytest
from command_support import Machine, live_bus
from prometheus_client import CollectorRegistry

from alerts.annotate.story import story
from alerts.register.view import Register
from listener.bus import spool
from listener.bus.messages import message
from listener.bus.protocol import Bus, Message, open_bus
from listener.bus.scan import scan_records
from listener.clock import ManualClock, SystemClock
from listener.model.records import FINDINGS, MENTIONS, Cue, Finding, Kind, Mention, Tick
from listener.model.topics import topic_specs
from listener.privacy.expiry import EARLY, WITH_IT, Expiry, oldest_held
from listener.runtime.expiring import LEASE_SECONDS, RETRY_SECONDS, TURN_SECONDS, Expiring
from listener.runtime.health import Health, Part
from listener.runtime.metrics import Metrics

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
LIMIT = 48 * HOUR
LIMITS = {"linkedin": LIMIT}
OLD, YOUNG, OTHER = "skredvakten", "nyfallsnoen", "granvikbrua"


def said(source: str, id_: str, word: str, captured: datetime) -> list[Message]:
    """A mention of an incident that is open and of one that is closed, and its findings."""
    common: dict[str, Any] = {
        "source": source,
        "id": id_,
        "at": captured,
        "captured_at": captured,
        "author": f"p_{word}",
    }
    text = f"Vi trenger {word} i fjord"
    mention = Mention(**common, text=text, incidents={"brann-0": ("fjord",), "flom-0": ("fjord",)})
    findings = (
        Finding(**common, text=text, incident=incident, story=story(text, None), cues=(Cue(kind=Kind.WISH),))
        for incident in mention.incidents
    )
    return [message(MENTIONS, mention), *(message(FINDINGS, each) for each in findings)]


def fill(bus: Bus, now: datetime = NOW) -> None:
    bus.publish(said("linkedin", "urn:li:comment:1", OLD, now - LIMIT + HOUR))
    bus.publish(said("linkedin", "urn:li:comment:2", YOUNG, now - 10 * HOUR))
    bus.publish(said("x", "17", OTHER, now - 10 * LIMIT))
    bus.publish([message(MENTIONS, Tick(source="linkedin", until=now))])


def files_with(folder: Path, word: str) -> list[str]:
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and word.encode() in path.read_bytes()]


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with closing(open_bus("embedded:", tmp_path, SystemClock())) as bus:
        bus.ensure(topic_specs(2, {}))
        fill(bus)
        yield bus


class Turning:
    """The worker on a clock of its own."""

    def __init__(self, bus: Bus, folder: Path, *, holder: str = "one", clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock(NOW)
        self.metrics, self.part = Metrics(CollectorRegistry(), "0"), Health(self.clock).part("expire")
        self.register = Register(bus, folder / "register.sqlite")
        self.worker = Expiring(
            bus, LIMITS, bus.lease("expire", holder, LEASE_SECONDS), folder=folder, clock=self.clock,
            metrics=self.metrics, part=self.part, after=self.register.release,
        )  # fmt: skip

    def turn(self) -> bool:
        """One of the worker, after which the register's own thread has had its turn."""
        done = self.worker.step(0.0)
        self.register.catch_up()
        self.clock.advance(timedelta(seconds=TURN_SECONDS))
        return done

    def oldest(self) -> float:
        labels = {"source": "linkedin"}
        name = "lyttepost_retention_oldest_content_timestamp_seconds"
        found = self.metrics.registry.get_sample_value(name, labels)
        assert found is not None
        return found

    def close(self) -> None:
        self.worker.close()
        self.register.close()


def test_what_ends_is_in_no_byte_of_the_folder_and_the_rest_stays(bus: Bus, tmp_path: Path) -> None:
    with closing(spool.Spool(spool.path_of(tmp_path, "linkedin"), 1 << 20, SystemClock())) as waiting:
        waiting.append(NOW - LIMIT + HOUR, said("linkedin", "urn:li:comment:3", OLD, NOW - LIMIT + HOUR))
        with closing(Turning(bus, tmp_path)) as its:
            its.register.catch_up()
            assert {"bus.sqlite-wal", "spool-linkedin.jsonl"} <= set(files_with(tmp_path, OLD))
            assert files_with(tmp_path, f"p_{OLD}") != []
            assert its.turn()
            assert its.turn()
            for word in (OLD, "urn:li:comment:3"):
                assert files_with(tmp_path, word) == []
            assert files_with(tmp_path, YOUNG) != []
            assert files_with(tmp_path, OTHER) != []
            assert [row.posts for row in its.register.top(Kind.WISH, limit=9)] == [1, 1]
            assert its.oldest() == (NOW - 10 * HOUR).timestamp()
    assert oldest_held(bus, tmp_path, LIMITS) == {"linkedin": NOW - 10 * HOUR}


def test_it_counts_from_the_capture_however_late_the_bus_took_it(bus: Bus, tmp_path: Path) -> None:
    bus.publish(said("linkedin", "urn:li:comment:4", "sentkommet", NOW - LIMIT - HOUR))
    with closing(Turning(bus, tmp_path)) as its:
        its.turn()
        assert files_with(tmp_path, "sentkommet") == []


def test_something_goes_before_its_end_with_what_ends_soon_after_and_nothing_sooner(tmp_path: Path) -> None:
    with closing(open_bus("embedded:", tmp_path, SystemClock())) as bus:
        bus.ensure(topic_specs(1, {}))
        bus.publish(said("linkedin", "1", "forst", NOW - LIMIT + EARLY))
        bus.publish(said("linkedin", "2", "med", NOW - LIMIT + WITH_IT))
        bus.publish(said("linkedin", "3", "senere", NOW - LIMIT + WITH_IT + timedelta(minutes=1)))
        with closing(Expiry(bus, LIMITS)) as expiry:
            assert expiry.expire(NOW) == 0
            assert expiry.expire(NOW + timedelta(seconds=1)) == 6
            assert expiry.oldest() == {"linkedin": NOW - LIMIT + WITH_IT + timedelta(minutes=1)}
            assert expiry.expire(NOW + timedelta(minutes=30)) == 0
            assert expiry.expire(NOW + timedelta(minutes=32)) == 3
            assert expiry.oldest() == {}


def test_what_a_worker_had_in_its_hands_goes_at_the_next_turn(bus: Bus, tmp_path: Path) -> None:
    with closing(Turning(bus, tmp_path)) as its:
        its.turn()
        bus.publish(said("linkedin", "urn:li:comment:1", OLD, NOW - LIMIT + HOUR)[1:])
        its.turn()
        its.turn()
    assert files_with(tmp_path, OLD) == []


def test_one_process_does_it_and_another_takes_over_when_it_is_gone(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with closing(open_bus("embedded:", tmp_path, clock)) as bus:
        bus.ensure(topic_specs(2, {}))
        fill(bus)
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        one, two = (Turning(bus, tmp_path / name, holder=name, clock=clock) for name in ("a", "b"))
        one.worker.step(0.0)
        two.worker.step(0.0)
        assert isnan(two.oldest())
        assert not isnan(one.oldest())
        bus.publish(said("linkedin", "urn:li:comment:5", "etterpaa", NOW - LIMIT + HOUR))
        clock.advance(timedelta(seconds=LEASE_SECONDS + 1))  # `one` was killed
        two.worker.step(0.0)
        assert not isnan(two.oldest())
        assert files_with(tmp_path, "etterpaa") == []
        one.close()
        two.close()


def test_while_a_reader_keeps_the_bytes_it_says_so_and_tries_again(bus: Bus, tmp_path: Path) -> None:
    with closing(Turning(bus, tmp_path)) as its:
        with closing(sqlite3.connect(tmp_path / "bus.sqlite")) as holding:
            holding.execute("BEGIN")
            holding.execute("SELECT count(*) FROM topics").fetchone()
            assert not its.worker.step(0.0)
            assert "a reader keeps old bytes" in (its.part.reason or "")
        its.clock.advance(timedelta(seconds=RETRY_SECONDS))
        assert its.turn()
        assert its.part.reason is None
        its.turn()
    assert files_with(tmp_path, OLD) == []


PROGRAM = """
import sys
from contextlib import closing
from pathlib import Path
from test_expiry import Turning
from listener.bus.protocol import open_bus
from listener.clock import SystemClock

folder = Path(sys.argv[1])
with closing(open_bus("embedded:", folder, SystemClock())) as bus, closing(Turning(bus, folder)) as its:
    its.register.catch_up()
    its.turn()
    its.turn()
"""


def test_killed_before_the_views_have_let_go_they_do_after_the_restart(bus: Bus, tmp_path: Path) -> None:
    def run(crash: str) -> int:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "program"), str(Path(__file__).parent)])
        environment = {**os.environ, "PYTHONPATH": paths} | ({"LYTTEPOST_CRASH": crash} if crash else {})
        arguments = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        return subprocess.run(arguments, env=environment, cwd=ROOT, timeout=90, check=False).returncode

    assert run("expiry.purged") == -signal.SIGKILL
    assert any(name.startswith("register.sqlite") for name in files_with(tmp_path, f"p_{OLD}"))
    assert run("") == 0
    assert files_with(tmp_path, OLD) == []
    assert files_with(tmp_path, YOUNG) != []


def test_on_kafka_it_is_removed_record_by_record(kafka_url: str, tmp_path: Path) -> None:
    url = f"{kafka_url}?prefix=expiry-{secrets.token_hex(4)}-"
    with closing(open_bus(url, tmp_path, SystemClock())) as bus:
        bus.ensure(topic_specs(2, {}))
        fill(bus)
        with closing(Turning(bus, tmp_path)) as its:
            assert its.turn(), its.part.reason
            assert its.turn(), its.part.reason
        left = [record.value for record in scan_records(bus, ["mentions", "findings"]) if record.value]
        assert not any(OLD.encode() in value for value in left)
        assert sum(YOUNG.encode() in value for value in left) == 3
        assert sum(OTHER.encode() in value for value in left) == 3
    assert files_with(tmp_path, OLD) == []


def test_the_command_proves_it_for_each_source_and_ends_with_1_where_something_is_too_old(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"LYTTEPOST_RETENTION__SOURCES__BLUESKY": "48h"})
    with live_bus(machine) as bus:
        bus.publish(said("bluesky", "at://did:plc:a/app.bsky.feed.post/1", OLD, NOW - LIMIT - HOUR))
        bus.publish(said("bluesky", "at://did:plc:a/app.bsky.feed.post/2", YOUNG, NOW - HOUR))
    checked = machine.run("privacy", "retention", "--check")
    assert checked.returncode == 1
    assert "content of bluesky: older than allowed" in checked.stderr
    row = next(line for line in checked.stdout.splitlines() if line.startswith("content of bluesky"))
    assert row.split()[3] == "2d"
    assert row.endswith("TOO OLD")
    doctor = {each["id"]: each for each in json.loads(machine.run("doctor", "--json").stdout)["findings"]}
    assert doctor["retention.kept"]["level"] == "failed"

    done = machine.run("privacy", "retention")
    assert done.returncode == 0, done.stderr
    assert "content of sources with a limit of their own: 3 records removed" in done.stderr
    checked = machine.run("privacy", "retention", "--check", "--json")
    assert checked.returncode == 0, checked.stderr
    assert files_with(machine.data, OLD) == []
    assert files_with(machine.data, YOUNG) != []


class Dear:
    """A bus on which a purge takes minutes; it looks whether the worker passes for stuck."""

    def __init__(self, bus: Bus, clock: ManualClock) -> None:
        self._bus = bus
        self._clock = clock
        self.part: Part | None = None
        self.purged = 0

    def purge(self, places: Any) -> int:
        self._clock.advance(timedelta(minutes=5))
        assert self.part is not None
        assert self.part.stuck() is None
        self.purged += 1
        return self._bus.purge(places)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


def test_a_purge_that_takes_minutes_makes_no_worker_that_hangs(bus: Bus, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    dear = Dear(bus, clock)
    with closing(Turning(cast(Bus, dear), tmp_path, clock=clock)) as turning:
        dear.part = turning.part
        turning.turn()
    assert dear.purged > 0
    assert files_with(tmp_path, OLD) == []
