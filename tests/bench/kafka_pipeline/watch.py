"""Whoever reads the bus next door: when could the alert of a probe be read, and when did the watermark pass it?"""

from __future__ import annotations

import statistics
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic_core import from_json

from listener.bus.protocol import Bus, Record
from listener.units import parse_instant
from tests.bench.kafka_pipeline.deployment import EARLY, LATER, NOW
from tests.bench.kafka_pipeline.x import FIRST

LATE = 1.0
"""Seconds; a pipeline whose alerts are later than this at the end of a try does not sustain it."""


@dataclass
class Delays:
    """Seconds, in the order of the posts."""

    at_once: list[float] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    early: list[float] = field(default_factory=list)
    """Of the rule that tells early, from the line."""
    intended: dict[str, list[float]] = field(default_factory=dict)
    """Rule → from the line until it is written down that somebody is told."""
    cpu: dict[str, float] = field(default_factory=dict)
    """Stage → seconds a post."""
    rate: float = 0.0
    """What was really sent."""

    @property
    def grows(self) -> bool:
        fifth = len(self.at_once) // 5
        early, late = (statistics.median(part) for part in (self.at_once[fifth : 2 * fifth], self.at_once[-fifth:]))
        return late > 2 * early + 0.2 or late > LATE


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


class Watch:
    """Reads in a thread of its own, until it is closed."""

    def __init__(self, bus: Bus) -> None:
        self._partitions = bus.partitions("mentions")
        self._reader = bus.reader(["mentions", "alerts", "deliveries"], start=None)
        self._ticks: dict[int, list[tuple[datetime, float]]] = defaultdict(list)
        self.heard: dict[str, dict[int, float]] = {NOW: {}, EARLY: {}, LATER: {}}
        """Rule → number of the post → when its alert could first be read, in seconds since the epoch."""
        self.intended: dict[str, dict[int, float]] = {NOW: {}, EARLY: {}, LATER: {}}
        """The same of the first intent to tell somebody of it."""
        self._probes: dict[str, tuple[str, int]] = {}
        self._intents: dict[str, float] = {}
        self.said: dict[int, datetime] = {}
        self.failed: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                records = self._reader.poll(0.1, 5000)
                now = time.time()
                for record in records:
                    self._take(record, now)
        except BaseException as error:
            self.failed = error

    def _take(self, record: Record, now: float) -> None:
        if record.topic == "mentions":
            if record.key.endswith(":tick"):
                until = parse_instant(from_json(record.value or b"{}")["until"])
                self._ticks[record.partition].append((until, record.time_ms / 1000))
            return
        said = from_json(record.value or b"{}")
        if record.topic == "deliveries":
            if said["type"] == "delivery" and "outcome" not in said:
                for id_ in said["alerts"]:
                    self._intents.setdefault(id_, now)
                    self._intend(id_)
        elif said.get("rule") in self.heard and said["event"] == "fired":
            number = int(said["samples"][0]["key"].partition(":")[2]) - FIRST
            self._probes[said["id"]] = said["rule"], number
            self._intend(said["id"])
            self.heard[said["rule"]].setdefault(number, now)
            self.said[number] = parse_instant(said["first_seen"])

    def _intend(self, id_: str) -> None:
        """Topics are read in no order: an intent may be known before its alert."""
        if id_ in self._probes and id_ in self._intents:
            rule, number = self._probes[id_]
            self.intended[rule].setdefault(number, self._intents[id_])

    def passed(self, at: datetime, lateness: timedelta) -> float | None:
        """When the last tick was made that moved the watermark to `at`; seconds since the epoch."""
        made = []
        for number in range(self._partitions):
            found = next((when for until, when in list(self._ticks[number]) if until - lateness >= at), None)
            if found is None:
                return None
            made.append(found)
        return max(made)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._reader.close()
