"""What the contract suite shares. A further bus plugs in by one entry in `SITES` (see `conftest.site`)."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from listener.bus.protocol import Bus, Consumer, Message, Record, open_bus
from listener.clock import Clock, SystemClock
from listener.model.topics import TOPICS, Retention, topic_specs

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
KEEP = {Retention.PRIVACY: timedelta(days=30), Retention.BASELINE: timedelta(days=365)}
PATIENCE = 30.0
"""Seconds after which something that should happen never will."""


class SetClock:
    """Tells the time it was set to; the monotonic clock is the machine's."""

    def __init__(self) -> None:
        # Today: a broker drops by its own clock what is older than the retention.
        self.time = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, until: threading.Event) -> bool:
        return until.wait(seconds)


@dataclass(frozen=True)
class Site:
    """Where one bus lives: what another process needs to open the same one.

    `disk`: where its bytes lie, if known. `whole`: false of a server that only stands in for Kafka.
    """

    url: str
    folder: Path
    disk: Path | None
    whole: bool = True

    def needs_all(self) -> None:
        """Compaction, and that members who say nothing lose their places."""
        if not self.whole:
            pytest.skip("what stands in for Kafka cannot do this")

    def open(self, clock: Clock | None = None) -> Bus:
        bus = open_bus(self.url, self.folder, clock or SystemClock())
        bus.ensure(topic_specs(PARTITIONS, KEEP))
        return bus

    def files(self) -> Iterator[Path]:
        """All files that hold the bus's bytes. A folder that goes meanwhile, another test's topic, is passed over."""
        assert self.disk
        found = (Path(folder, name) for folder, _, names in os.walk(self.disk) for name in names)
        return (path for path in found if path.is_file())

    def holds(self, text: bytes) -> bool:
        """Whether the bytes are in any file. A broker's files come and go."""
        for path in self.files():
            with contextlib.suppress(FileNotFoundError):
                if text in path.read_bytes():
                    return True
        return False

    def settle(self, bus: Bus, topic: str) -> None:
        """Do what must happen for a compacted topic to be compacted now."""

    def start(self, *args: object, crash: str = "") -> subprocess.Popen[str]:
        """Run one of `child.py`'s parts in a process of its own."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "LYTTEPOST_CRASH": crash}
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("child.py")), self.url, str(self.folder), *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )


class KafkaSite(Site):
    """A deployment of its own on a cluster that all tests share."""

    def open(self, clock: Clock | None = None) -> Bus:
        bus = super().open(clock)
        if isinstance(clock, SetClock):
            self._alter(bus, TOPICS, {"message.timestamp.after.max.ms": str((1 << 63) - 1)})
        return bus

    def files(self) -> Iterator[Path]:
        """Those of its own topics. What was removed waits under a name of its own to be deleted."""
        prefix = self.url.partition("prefix=")[2]
        return (path for path in super().files() if path.parent.name.startswith(f"{prefix}."))

    def settle(self, bus: Bus, topic: str) -> None:
        self._alter(bus, [topic], {"segment.ms": "1", "max.compaction.lag.ms": "1", "min.cleanable.dirty.ratio": "0"})
        time.sleep(0.05)
        bus.publish([Message(topic, "settled", None)])

    def _alter(self, bus: Bus, topics: Iterable[str], config: Mapping[str, str]) -> None:
        from listener.bus.kafka.bus import KafkaBus
        from listener.bus.kafka.topics import alter

        assert isinstance(bus, KafkaBus)
        alter(bus.cluster, {bus.cluster.name(topic): config for topic in topics})


def embedded(folder: Path) -> Site:
    return Site("embedded:", folder / "data", folder / "data")


def on_kafka(cluster: str, folder: Path, disk: Path | None, *, whole: bool = True) -> Site:
    return KafkaSite(f"{cluster}?prefix=t{uuid4().hex[:12]}", folder / "data", disk, whole)


SITES: Mapping[str, str | None] = {"embedded": None, "kafka": "kafka_url"}
"""Bus → the fixture that tells where it can be reached, if it must be started."""


def mentions(count: int, start: int = 0, size: int = 0) -> list[Message]:
    """Records for `mentions`, spread over its partitions by their keys."""
    return [Message("mentions", f"x:{n}", f"{n} ".encode().ljust(size, b".")) for n in range(start, start + count)]


def drain(consumer: Consumer, want: int, patience: float = PATIENCE) -> list[Record]:
    """Poll until `want` records came, then once more for any that should not have."""
    records: list[Record] = []
    deadline = time.monotonic() + patience
    while len(records) < want and time.monotonic() < deadline:
        records += consumer.poll(0.2)
    return records + consumer.poll(0)


def everything(bus: Bus, topic: str) -> list[Record]:
    """All that a reader from the beginning finds now."""
    reader = bus.reader([topic])
    records: list[Record] = []
    while batch := reader.poll(0):
        records += batch
    reader.close()
    return records


def eventually(happened: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Whether it happens in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.02)
    return happened()


def said(process: subprocess.Popen[str]) -> str:
    """The next line that a child says."""
    assert process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(PATIENCE), "the child says nothing"
    return process.stdout.readline().strip()


def killed(process: subprocess.Popen[str]) -> str:
    """Wait for a child that is to die at its crash point; what it said before."""
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL, f"child ended with {process.returncode}"
    return out


def finish(process: subprocess.Popen[str], text: str = "") -> str:
    """Let a child run to its end; what it said. It must end well."""
    out, _ = process.communicate(text, timeout=PATIENCE * 2)
    assert process.returncode == 0, f"child ended with {process.returncode}"
    return out
