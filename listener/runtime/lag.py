"""How far a group is behind what is on the bus, in records and in seconds. Asked of the bus, not of the worker: one
that hangs says nothing of itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from listener.bus.protocol import Bus, TopicPartition
from listener.units import to_ms


class Lag(NamedTuple):
    """`records` are those that the group has not committed, over all partitions of the topic; `seconds`: how long the
    oldest of them has been on the bus, 0 when there is none."""

    group: str
    topic: str
    records: int
    seconds: float


def lags(bus: Bus, groups: Iterable[str], now: datetime) -> list[Lag]:
    """Of every topic that these groups read. Raises BusError."""
    out = []
    for group in groups:
        behind: dict[str, int] = {}
        oldest: dict[str, float] = {}
        found = bus.lag(group)
        # Asked where they are needed: in each process each second, and most of the time nothing waits.
        commits = bus.commits(group) if any(found.values()) else {}
        for tp, records in found.items():
            behind[tp.topic] = behind.get(tp.topic, 0) + records
            age = _age(bus, tp, commits[tp].offset if tp in commits else 0, now) if records else 0.0
            oldest[tp.topic] = max(oldest.get(tp.topic, 0.0), age)
        out += [Lag(group, topic, records, oldest[topic]) for topic, records in sorted(behind.items())]
    return out


def _age(bus: Bus, tp: TopicPartition, offset: int, now: datetime) -> float:
    """Seconds since the first record from `offset` on was written; a clock set back makes none younger than now."""
    first = bus.read(tp, offset, 1)
    return max(0.0, (to_ms(now) - first[0].time_ms) / 1000) if first else 0.0
