"""What was deleted at its platform is purged here: once, whatever kills the worker, down to the bytes. All made up."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from alerts.annotate.story import story
from alerts.deletions import DECIDED_AT_ONCE, PAUSE_SECONDS, WHY, Deletions
from alerts.register.view import Register
from listener.bus import hashchain, spool
from listener.bus.messages import message
from listener.bus.protocol import Bus, Message, open_bus
from listener.bus.scan import scan, scan_records
from listener.clock import ManualClock, SystemClock
from listener.model.decisions import DECISIONS
from listener.model.records import FINDINGS, MENTIONS, Cue, Decision, Deletion, Finding, Kind, Mention
from listener.model.topics import topic_specs
from listener.runtime.health import Health, Part
from listener.runtime.metrics import Metrics

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC).replace(microsecond=0)
WORD, OTHER = "skredvakten", "granvikbrua"


def said(id_: str, text: str, source: str = "x", **more: Any) -> list[Message]:
    common: dict[str, Any] = {"source": source, "id": id_, "at": NOW, "captured_at": NOW, "text": text, **more}
    mention = Mention(**common, incidents={"brann-0": ("fjord",)})
    finding = Finding(**common, incident="brann-0", story=story(text, None), cues=(Cue(kind=Kind.WISH),))
    return [message(MENTIONS, mention), message(FINDINGS, finding)]


def deletion(*ids: str) -> Message:
    return message(MENTIONS, Deletion(source="x", at=NOW, ids=ids))


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    """With a post, a new version of it under its id, a repost, a copy, the same post as played, and one of another."""
    with closing(open_bus("embedded:", tmp_path, SystemClock())) as bus:
        bus.ensure(topic_specs(2, {}))
        text = f"Vi trenger {WORD} i fjord"
        for messages in (
            said("17", text),
            said("17@b", f"{text} straks", edits=("17",)),
            said("20", f"RT {text}", repost_of="17"),
            said("21", f"RT @p_a: {text}"),
            said("17", text, source="recording"),
            said("30", f"Vi trenger vann ved {OTHER}"),
        ):
            bus.publish(messages)
        with closing(Register(bus, tmp_path / "register.sqlite")) as view:
            view.catch_up()
        with closing(spool.Spool(spool.path_of(tmp_path, "x"), 1 << 20, SystemClock())) as waiting:
            waiting.append(NOW, said("17", text))
        yield bus


def worker(bus: Bus, folder: Path, clock: ManualClock) -> Deletions:
    metrics, part = Metrics(CollectorRegistry(), "0"), Health(clock).part("purge")
    return Deletions(bus, folder, clock=clock, metrics=metrics, part=part)


def turn(bus: Bus, folder: Path) -> None:
    clock = ManualClock(NOW)
    with closing(worker(bus, folder, clock)) as its:
        for _ in range(6):
            its.step(0.05)
            clock.advance(timedelta(seconds=PAUSE_SECONDS))


def files_with(folder: Path, word: str) -> list[str]:
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and word.encode() in path.read_bytes()]


def decided(bus: Bus) -> list[tuple[str, str, str]]:
    hashchain.verify(scan_records(bus, ["decisions"]))
    return [
        (each.kind.value, each.id, each.by)
        for each in scan(bus, DECISIONS)
        if isinstance(each, Decision) and each.why == WHY
    ]


def test_what_was_deleted_at_the_platform_is_in_no_byte_of_the_folder(bus: Bus, tmp_path: Path) -> None:
    assert {"register.sqlite", "spool-x.jsonl"} <= {path.name for path in tmp_path.iterdir()}
    assert "spool-x.jsonl" in files_with(tmp_path, WORD)
    bus.publish([deletion("17", "99")])
    turn(bus, tmp_path)
    assert files_with(tmp_path, WORD) == []
    assert files_with(tmp_path, OTHER) != []
    assert decided(bus) == [("purge", "x:17", "x")]
    with closing(Register(bus, tmp_path / "register.sqlite")) as view:
        view.catch_up()
        assert [row.posts for row in view.top(Kind.WISH)] == [1]


@pytest.mark.parametrize("again", ["the same worker", "another"])
def test_a_deletion_that_is_named_again_is_decided_once(bus: Bus, tmp_path: Path, again: str) -> None:
    bus.publish([deletion("17")])
    if again == "another":
        turn(bus, tmp_path)
    bus.publish([deletion("17"), deletion("17")])
    turn(bus, tmp_path)
    assert decided(bus) == [("purge", "x:17", "x")]
    assert files_with(tmp_path, WORD) == []


def test_of_what_we_do_not_hold_nothing_is_written_and_it_is_looked_for_together(bus: Bus, tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    before = len(list(scan_records(bus, ["decisions"])))
    with closing(worker(bus, tmp_path, clock)) as its:
        for number in range(100, 130):
            bus.publish([deletion(str(number))])
            its.step(0.0)
        behind = sum(bus.lag("purge").values())
        bus.publish([deletion("17")])
        its.step(0.0)
        assert files_with(tmp_path, WORD) != []
        for _ in range(2):  # the second reads the tombstones
            clock.advance(timedelta(seconds=PAUSE_SECONDS))
            its.step(0.0)
        assert behind > 0
        assert sum(bus.lag("purge").values()) == 0
    assert files_with(tmp_path, WORD) == []
    assert len(list(scan_records(bus, ["decisions"]))) == before + 1


PROGRAM = """
import sys
import time
from contextlib import closing
from pathlib import Path
from prometheus_client import CollectorRegistry
from alerts.deletions import Deletions
from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.runtime.health import Health, Part
from listener.runtime.metrics import Metrics

folder, clock = Path(sys.argv[1]), SystemClock()
with closing(open_bus("embedded:", folder, clock)) as bus:
    part, metrics = Health(clock).part("purge"), Metrics(CollectorRegistry(), "0")
    with closing(Deletions(bus, folder, clock=clock, metrics=metrics, part=part, member="host")) as worker:
        while sum(bus.lag("purge").values()):
            worker.step(0.1)
"""


@pytest.mark.parametrize(("point", "holds"), [("deletions.written", True), ("deletions.purged", False)])
def test_killed_between_reading_and_purging_it_purges_after_the_restart(
    bus: Bus, tmp_path: Path, point: str, holds: bool
) -> None:
    bus.publish([deletion("17")])

    def run(crash: str) -> int:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)} | ({"LYTTEPOST_CRASH": crash} if crash else {})
        arguments = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        return subprocess.run(arguments, env=environment, cwd=ROOT, timeout=60, check=False).returncode

    assert run(point) == -signal.SIGKILL
    assert bool(files_with(tmp_path, WORD)) is holds
    assert decided(bus) == [("purge", "x:17", "x")]
    assert sum(bus.lag("purge").values()) > 0
    assert run("") == 0
    assert files_with(tmp_path, WORD) == []
    assert decided(bus) == [("purge", "x:17", "x")]
    assert sum(bus.lag("purge").values()) == 0


def test_on_kafka_it_is_removed_and_committed_too(kafka_url: str, tmp_path: Path) -> None:
    url = f"{kafka_url}?prefix=deletions-{secrets.token_hex(4)}-"
    with closing(open_bus(url, tmp_path, SystemClock())) as bus:
        bus.ensure(topic_specs(2, {}))
        for messages in (said("17", f"Vi trenger {WORD}"), said("30", f"Vi trenger {OTHER}"), [deletion("17", "99")]):
            bus.publish(messages)
        clock = ManualClock(NOW)
        with closing(worker(bus, tmp_path, clock)) as its:
            deadline = time.monotonic() + 60
            while sum(bus.lag("purge").values()) or not decided(bus):
                its.step(0.2)
                clock.advance(timedelta(seconds=PAUSE_SECONDS))
                assert time.monotonic() < deadline
        left = [record.value for record in scan_records(bus, ["mentions", "findings"]) if record.value]
        assert not any(WORD.encode() in value for value in left)
        assert any(OTHER.encode() in value for value in left)
        assert decided(bus) == [("purge", "x:17", "x")]


class Dear:
    """A bus to which a write of decisions takes long, and a purge longer: does the worker pass for stuck meanwhile?"""

    def __init__(self, bus: Bus, clock: ManualClock, part: Part) -> None:
        self._bus = bus
        self._clock = clock
        self._part = part
        self.writes = 0

    def append_after(self, topic: str, make: Any) -> None:
        self.writes += 1
        self._clock.advance(timedelta(seconds=20))
        assert self._part.stuck() is None
        self._bus.append_after(topic, make)

    def purge(self, places: Any) -> int:
        self._clock.advance(timedelta(minutes=5))
        assert self._part.stuck() is None
        return self._bus.purge(places)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


def test_a_platform_that_says_of_thousands_that_they_are_gone_makes_no_worker_that_hangs(
    bus: Bus, tmp_path: Path
) -> None:
    ids = [str(1000 + number) for number in range(2 * DECIDED_AT_ONCE + 1)]
    bus.publish([each for id_ in ids for each in said(id_, f"{WORD} {id_}")])
    bus.publish([deletion(*ids)])
    clock = ManualClock(NOW)
    part = Health(clock).part("purge")
    dear = Dear(bus, clock, part)
    made = Deletions(cast(Bus, dear), tmp_path, clock=clock, metrics=Metrics(CollectorRegistry(), "0"), part=part)
    with closing(made) as its:
        its.step(0.05)
    assert dear.writes == 3
    assert len(decided(bus)) == len(ids)
